//! What would change, line by line; a value that moves out is not shown.

use std::fmt::Write;
use std::path::Path;

use locket_compose::migrate::Edit;

/// What stands for a value.
const HIDDEN: &str = "…";

/// The lines of one file that change. `edits` are those of this file, in their order.
pub(super) fn lines(path: &Path, before: &str, edits: &[&Edit]) -> String {
    let mut shown = format!("--- {0}\n+++ {0}\n", path.display());
    let mut at = 0;
    while at < edits.len() {
        let start = before[..edits[at].span.start].rfind('\n').map_or(0, |at| at + 1);
        let mut end = line_end(before, edits[at].span.end);
        let mut last = at + 1;
        while last < edits.len() && edits[last].span.start < end {
            end = end.max(line_end(before, edits[last].span.end));
            last += 1;
        }
        let number = before[..start].matches('\n').count() + 1;
        let (mut old, mut new) = (String::new(), String::new());
        let mut from = start;
        for edit in &edits[at..last] {
            let kept = &before[from..edit.span.start];
            old.push_str(kept);
            new.push_str(kept);
            if !edit.span.is_empty() {
                old.push_str(HIDDEN);
            }
            new.push_str(&edit.text);
            from = edit.span.end;
        }
        old.push_str(&before[from..end]);
        new.push_str(&before[from..end]);
        let _ = writeln!(shown, "@@ line {number} @@");
        for (mark, text) in [('-', &old), ('+', &new)] {
            for line in text.lines().filter(|line| !line.is_empty()) {
                let _ = writeln!(shown, "{mark}{line}");
            }
        }
        at = last;
    }
    shown
}

fn line_end(text: &str, at: usize) -> usize {
    text[at..].find('\n').map_or(text.len(), |end| at + end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_shown_without_the_value() {
        let before = "a: 1\npw: hunter2 # mine\nb: 2\n";
        let edit = Edit {
            path: "x".into(),
            span: 9..16,
            text: "\"${PW}\"".to_owned(),
        };
        let added = Edit {
            path: "x".into(),
            span: before.len()..before.len(),
            text: "c: 3\n".to_owned(),
        };
        assert_eq!(
            lines(Path::new("x"), before, &[&edit, &added]),
            "--- x\n+++ x\n@@ line 2 @@\n-pw: … # mine\n+pw: \"${PW}\" # mine\n@@ line 4 @@\n+c: 3\n"
        );
    }
}
