//! One value as one token of another language, which that language reads back to exactly the value.

use super::apply::FilterError;
use super::text::{UPPER_HEX, utf8};
use crate::{SecretBuilder, SecretBytes};

/// One word of a POSIX shell, in single quotes, where nothing but the quote itself has a meaning.
pub(super) fn shell(value: &[u8]) -> Result<SecretBytes, FilterError> {
    let text = without_nul(value, "a shell word")?;
    let mut builder = SecretBuilder::with_capacity(text.len() + 2);
    builder.extend(b"'");
    for (index, part) in text.split('\'').enumerate() {
        if index > 0 {
            builder.extend(br"'\''");
        }
        builder.extend(part.as_bytes());
    }
    builder.extend(b"'");
    Ok(builder.finish())
}

/// A value of an env file in the grammar of Compose (compose-go, `dotenv/parser.go`): in single quotes, which
/// know neither escapes nor variables, unless the value holds what they cannot; then in double quotes. A shell
/// that sources the file reads the same, save for carriage returns and back quotes beside single ones.
pub(super) fn dotenv(value: &[u8]) -> Result<SecretBytes, FilterError> {
    let text = without_nul(value, "an environment variable")?;
    let mut builder = SecretBuilder::with_capacity(text.len() + 2);
    // A backslash before the closing quote would escape it, and editors and checkouts rewrite carriage returns.
    if !text.contains(['\'', '\\', '\r']) {
        builder.extend(b"'");
        builder.extend(text.as_bytes());
        builder.extend(b"'");
        return Ok(builder.finish());
    }
    builder.extend(b"\"");
    let mut rest = text;
    while let Some(at) = rest.find(['"', '\\', '$', '\r']) {
        builder.extend(&rest.as_bytes()[..at]);
        builder.extend(match rest.as_bytes()[at] {
            b'"' => br#"\""#,
            b'\\' => br"\\",
            b'$' => br"\$",
            _ => br"\r",
        });
        rest = &rest[at + 1..];
    }
    builder.extend(rest.as_bytes());
    builder.extend(b"\"");
    Ok(builder.finish())
}

/// A string in double quotes that JSON (RFC 8259), TOML 1.0 (basic string) and YAML 1.1 and 1.2 (flow scalar) all
/// read back to the value: they share these escapes, and what only one of them forbids is escaped for all.
pub(super) fn string(value: &[u8]) -> Result<SecretBytes, FilterError> {
    let text = utf8(value)?;
    let mut builder = SecretBuilder::with_capacity(text.len() + text.len() / 8 + 2);
    builder.extend(b"\"");
    let mut rest = text;
    while let Some((at, char)) = rest.char_indices().find(|(_, char)| needs_escape(*char)) {
        builder.extend(&rest.as_bytes()[..at]);
        match char {
            '"' => builder.extend(br#"\""#),
            '\\' => builder.extend(br"\\"),
            '\u{8}' => builder.extend(br"\b"),
            '\t' => builder.extend(br"\t"),
            '\n' => builder.extend(br"\n"),
            '\u{c}' => builder.extend(br"\f"),
            '\r' => builder.extend(br"\r"),
            other => {
                builder.extend(br"\u");
                for shift in [12, 8, 4, 0] {
                    builder.extend(&[UPPER_HEX[(other as usize >> shift) & 15]]);
                }
            }
        }
        rest = &rest[at + char.len_utf8()..];
    }
    builder.extend(rest.as_bytes());
    builder.extend(b"\"");
    Ok(builder.finish())
}

/// Quotes, backslashes, and what one of the three does not allow, or takes for a line break, between its quotes:
/// the controls (JSON, TOML: C0; TOML: DEL; YAML: C1), line and paragraph separator, the byte order mark and the
/// two noncharacters (YAML 1.2, section 5.1). All of them have four hexadecimal digits.
fn needs_escape(char: char) -> bool {
    char.is_control()
        || matches!(
            char,
            '"' | '\\' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

fn without_nul<'a>(value: &'a [u8], what: &str) -> Result<&'a str, FilterError> {
    let text = utf8(value)?;
    match text.find('\0') {
        Some(at) => Err(FilterError::Value(format!(
            "{what} cannot hold a NUL byte (byte {})",
            at + 1
        ))),
        None => Ok(text),
    }
}
