//! Passwords in addresses. No value is kept or shown here.

use std::ops::Range;

/// Where the password of an address stands: of `scheme://user:password@host`. Nothing for one without.
pub fn url_password(text: &str) -> Option<Range<usize>> {
    let scheme = text.find("://")?;
    let is_scheme = |char: char| char.is_ascii_alphanumeric() || "+.-_".contains(char);
    if scheme == 0 || !text[..scheme].chars().all(is_scheme) {
        return None;
    }
    let start = scheme + 3;
    let end = text[start..]
        .find(['/', '?', '#'])
        .map_or(text.len(), |at| start + at);
    // Of several `@`, which nobody escaped, the last one stands before the host.
    let at = text[start..end].rfind('@')? + start;
    let colon = text[start..at].find(':')? + start;
    let password = colon + 1..at;
    let value = &text[password.clone()];
    (!value.is_empty() && !value.contains(char::is_whitespace)).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_an_address_is_found() {
        for (text, password) in [
            ("postgres://app:hunter2@db:5432/app", Some("hunter2")),
            ("redis://:hunter2@cache/0", Some("hunter2")),
            ("mysql://u:p%40ss@h/x?y=z@w", Some("p%40ss")),
            ("amqp://u:p@ss@h", Some("p@ss")),
            ("postgresql+asyncpg://u:p@h/d", Some("p")),
            ("https://example.com/a:b@c", None),
            ("postgres://app@db/app", None),
            ("postgres://app:@db/app", None),
            ("mailto:a@b", None),
            ("://a:b@c", None),
            ("", None),
        ] {
            assert_eq!(url_password(text).map(|range| &text[range]), password, "{text}");
        }
    }
}
