//! Comments that take findings back: `# locket-ignore` or `# locket-ignore: ID, ID` in the same line, or alone in the
//! line above. `# pragma: allowlist secret` counts for credentials.

use super::Finding;
use crate::model::Project;

/// What is left, and what comments took back. The second comes first.
pub(super) fn split(project: &Project, found: Vec<Finding>) -> (Vec<Finding>, Vec<Finding>) {
    found.into_iter().partition(|finding| {
        let text = &project.sources.get(finding.place.source).text;
        is_ignored(text, finding.place.span.start, finding.rule.id)
    })
}

/// Whether a comment beside the byte `at` of `text` takes findings of the rule `id` back.
pub fn is_ignored(text: &str, at: usize, id: &str) -> bool {
    let at = at.min(text.len());
    let start = text[..floor(text, at)].rfind('\n').map_or(0, |line| line + 1);
    let line = text[start..].lines().next().unwrap_or_default();
    if takes_back(line, id) {
        return true;
    }
    let above = text[..start].lines().next_back().unwrap_or_default();
    above.trim_start().starts_with('#') && takes_back(above, id)
}

fn takes_back(line: &str, id: &str) -> bool {
    // The word may stand behind another comment.
    let Some(comment) = line.find('#').map(|at| &line[at..]) else {
        return false;
    };
    if id.ends_with("credential") && comment.contains("pragma: allowlist secret") {
        return true;
    }
    let Some(at) = comment.find("locket-ignore") else {
        return false;
    };
    let behind = comment[at + "locket-ignore".len()..].trim_start();
    match behind.strip_prefix(':') {
        None => true,
        Some(ids) => ids.split([',', ' ', '\t']).any(|name| name.trim() == id),
    }
}

fn floor(text: &str, at: usize) -> usize {
    (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comment_counts_for_its_line_and_for_the_one_below() {
        for (text, id, ignored) in [
            ("a: b # locket-ignore\n", "x", true),
            ("a: b # fine # locket-ignore: y, x\n", "x", true),
            ("a: b # locket-ignore: y\n", "x", false),
            ("# locket-ignore: x\na: b\n", "x", true),
            ("a: c # locket-ignore: x\na: b\n", "x", false),
            ("a: b # pragma: allowlist secret\n", "plain-credential", true),
            ("a: b # pragma: allowlist secret\n", "unused-secret", false),
            ("a: b\n", "x", false),
        ] {
            let at = text.rfind('b').unwrap();
            assert_eq!(is_ignored(text, at, id), ignored, "{text}");
        }
    }
}
