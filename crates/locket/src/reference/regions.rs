//! Generated regions inside of pages that people write: what stands between two marks is replaced, the rest is left
//! alone.
//!
//! ```text
//! <!-- generated: NAME -->
//! …
//! <!-- end of generated -->
//! ```

/// What stands before the name of a region.
pub(super) const BEGIN: &str = "<!-- generated: ";

/// The line behind a region.
pub(super) const END: &str = "<!-- end of generated -->";

const CLOSE: &str = " -->";

/// The names of the regions in `text`.
pub(super) fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(name)
}

/// `text` with every region filled by what `make` gives for its name.
///
/// # Errors
/// A mark without its counterpart, or a name that `make` does not know.
pub(super) fn fill(text: &str, make: impl Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut filled = String::with_capacity(text.len());
    let mut open = None;
    for line in text.split_inclusive('\n') {
        match (open, name(line.trim_end())) {
            (None, Some(name)) => {
                let content = make(name).ok_or_else(|| format!("nothing is generated as `{name}`"))?;
                filled.push_str(line);
                filled.push_str(&format!("\n{}\n", content.trim_end()));
                open = Some(name);
            }
            (Some(name), Some(_)) => return Err(format!("the region `{name}` has no end")),
            (Some(_), None) if line.trim_end() == END => {
                filled.push_str(&format!("\n{line}"));
                open = None;
            }
            (Some(_), None) => {}
            (None, None) if line.trim_end() == END => return Err("a region ends that did not begin".into()),
            (None, None) => filled.push_str(line),
        }
    }
    match open {
        Some(name) => Err(format!("the region `{name}` has no end")),
        None => Ok(filled),
    }
}

fn name(line: &str) -> Option<&str> {
    line.strip_prefix(BEGIN)?.strip_suffix(CLOSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str =
        "# By hand\n\n<!-- generated: a -->\nold\n<!-- end of generated -->\n\nBy hand, too.\n";

    #[test]
    fn only_what_stands_between_the_marks_is_replaced_and_twice_is_once() {
        let filled = fill(PAGE, |name| Some(format!("[{name}]\n"))).unwrap();
        assert_eq!(
            filled,
            "# By hand\n\n<!-- generated: a -->\n\n[a]\n\n<!-- end of generated -->\n\nBy hand, too.\n"
        );
        assert_eq!(fill(&filled, |name| Some(format!("[{name}]"))).unwrap(), filled);
    }

    #[test]
    fn marks_that_do_not_match_are_refused_before_anything_is_lost() {
        let make = |name: &str| (name == "a").then(String::new);
        for wrong in [
            PAGE.replace("<!-- end of generated -->\n", ""),
            PAGE.replace("generated: a", "generated: b"),
            PAGE.replace("old", "<!-- generated: a -->"),
            PAGE.replace("<!-- generated: a -->\n", ""),
        ] {
            assert!(fill(&wrong, make).is_err(), "{wrong}");
        }
        assert!(fill(PAGE, make).is_ok());
    }
}
