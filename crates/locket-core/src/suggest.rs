//! "Did you mean": the one place that decides which name is near enough to be offered.

/// The candidate nearest to `given`, if it is near enough that a person will have meant it.
pub fn nearest<'a>(given: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = match given.chars().count() {
        0..=2 => 1,
        3..=5 => 2,
        _ => 3,
    };
    let folded = given.to_ascii_lowercase();
    candidates
        .into_iter()
        .map(|name| {
            (
                strsim::damerau_levenshtein(&folded, &name.to_ascii_lowercase()),
                name,
            )
        })
        .filter(|(distance, name)| *distance <= limit && *distance < name.chars().count())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        assert_eq!(nearest("bas64", ["base64", "hex"]), Some("base64"));
        assert_eq!(nearest("OP", ["op", "bao"]), Some("op"));
        assert_eq!(nearest("voult", ["vault", "bao"]), Some("vault"));
    }

    #[test]
    fn a_different_word_finds_none() {
        assert_eq!(nearest("kubernetes", ["op", "bao"]), None);
        assert_eq!(nearest("zz", ["op"]), None);
    }
}
