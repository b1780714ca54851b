//! How values stand in files of variables: where they are, and whether they take up others.

use std::ops::Range;

/// Where the value stands in a statement of a file of variables, quotes included.
pub(super) fn value_of(statement: &str) -> Option<Range<usize>> {
    let separator = statement.find(['=', ':'])?;
    let start = statement.len() - statement[separator + 1..].trim_start().len();
    Some(start..start + env_length(&statement[start..]))
}

/// The length of the value at the start of `text`, in the grammar of files of variables: a backslash escapes either
/// quote, and a value without quotes ends before ` #`.
pub(super) fn env_length(text: &str) -> usize {
    let quote = text.chars().next().filter(|char| matches!(char, '"' | '\''));
    let Some(quote) = quote else {
        let line = text.split('\n').next().unwrap_or_default();
        return line.split(" #").next().unwrap_or_default().trim_end().len();
    };
    let mut is_escaped = false;
    for (at, char) in text.char_indices().skip(1) {
        if char == quote && !is_escaped {
            return at + 1;
        }
        is_escaped = char == '\\' && !is_escaped;
    }
    text.len()
}

/// Whether a value of a file of variables takes up others. In single quotes nothing has a meaning.
pub(super) fn is_put_together(written: &str) -> bool {
    if written.starts_with('\'') {
        return false;
    }
    // Escapes are resolved before `$$` is.
    let unescaped = match written.starts_with('"') {
        true => written.replace("\\\\", "").replace("\\$", ""),
        false => written.to_owned(),
    };
    let plain = unescaped.replace("$$", "");
    let mut behind = plain.split('$').skip(1);
    behind.any(|text| text.starts_with(|char: char| char == '{' || char == '_' || char.is_alphabetic()))
}
