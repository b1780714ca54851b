//! Words for people that depend on numbers.

use std::fmt::Display;

/// A number with the word for what is counted: `1 output`, `2 outputs`.
pub fn counted<N: Copy + Display + PartialEq + From<u8>>(count: N, word: &str) -> String {
    let ending = if count == N::from(1) { "" } else { "s" };
    format!("{count} {word}{ending}")
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_no_plural() {
        let said = [0_u64, 1, 2].map(|count| counted(count, "output"));
        assert_eq!(said, ["0 outputs", "1 output", "2 outputs"]);
    }
}
