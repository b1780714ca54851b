//! Passwords inside of URLs and connection strings.

use std::ops::Range;

use super::literal::{is_value, literal};
use crate::credential::Sort;

/// Where in `text` a password stands: `scheme://user:PASSWORD@host`, `Password=PASSWORD;`.
pub(super) fn find(text: &str) -> Option<Range<usize>> {
    in_url(text).or_else(|| in_pairs(text))
}

fn in_url(text: &str) -> Option<Range<usize>> {
    for (at, _) in text.match_indices("://") {
        let scheme = text[..at]
            .rsplit(|char: char| !(char.is_ascii_alphanumeric() || "+-.".contains(char)))
            .next()
            .unwrap_or_default();
        let start = at + "://".len();
        let rest = &text[start..];
        let end = authority_end(rest);
        // A password may hold an `@`; the last one ends it.
        let Some(at) = rest[..end].rfind('@') else {
            continue;
        };
        let Some((user, password)) = rest[..at].split_once(':') else {
            continue;
        };
        let from = start + user.len() + 1;
        let is_written = literal(password).is_some_and(|value| is_value(value, Sort::Password));
        if !scheme.is_empty() && !password.contains('/') && is_written {
            return Some(from..from + password.len());
        }
    }
    None
}

/// The end of what stands between `//` and the path, variables and tags counting as one character.
fn authority_end(rest: &str) -> usize {
    let mut depth = 0_usize;
    for (at, char) in rest.char_indices() {
        match char {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '/' | '?' | '#' | ' ' | '"' | '\'' | '\n' | ',' if depth == 0 => return at,
            _ => {}
        }
    }
    rest.len()
}

/// `Server=db;User Id=sa;Password=…;`, `host=db password=…`.
fn in_pairs(text: &str) -> Option<Range<usize>> {
    let separator = if text.contains(';') { ';' } else { ' ' };
    if text.matches('=').count() < 2 {
        return None;
    }
    let mut start = 0;
    for part in text.split(separator) {
        if let Some((name, value)) = part.split_once('=') {
            let name = name.trim().to_ascii_lowercase();
            let is_named = matches!(
                name.as_str(),
                "password" | "pwd" | "accountkey" | "sharedaccesskey"
            );
            if is_named && literal(value).is_some_and(|value| is_value(value, Sort::Password)) {
                let from = start + part.len() - value.len();
                return Some(from..from + value.len());
            }
        }
        start += part.len() + 1;
    }
    None
}

/// Whether `text` is a URL.
pub(super) fn is_url(text: &str) -> bool {
    text.contains("://")
}
