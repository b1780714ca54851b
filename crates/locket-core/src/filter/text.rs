//! Filters that change a text.

use super::apply::FilterError;
use crate::{SecretBuilder, SecretBytes};

pub(super) const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

/// White space of any script removed from both ends.
pub(super) fn trim(value: &[u8]) -> Result<SecretBytes, FilterError> {
    Ok(SecretBytes::copy_from(utf8(value)?.trim().as_bytes()))
}

/// Each character in upper case.
pub(super) fn upper(value: &[u8]) -> Result<SecretBytes, FilterError> {
    map_chars(value, char::to_uppercase)
}

/// Each character in lower case.
pub(super) fn lower(value: &[u8]) -> Result<SecretBytes, FilterError> {
    map_chars(value, char::to_lowercase)
}

/// Every `from`, found from the left without overlap, replaced by `to`.
pub(super) fn replace(value: &[u8], from: &str, to: &str) -> Result<SecretBytes, FilterError> {
    let text = utf8(value)?;
    let mut builder = SecretBuilder::with_capacity(text.len());
    let mut at = 0;
    for (start, found) in text.match_indices(from) {
        builder.extend(&value[at..start]);
        builder.extend(to.as_bytes());
        at = start + found.len();
    }
    builder.extend(&value[at..]);
    Ok(builder.finish())
}

/// The first `count` lines, without the end of the last of them: `lines 1` is the first line alone.
pub(super) fn lines(value: &[u8], count: usize) -> Result<SecretBytes, FilterError> {
    let text = utf8(value)?;
    let taken: usize = text.split_inclusive('\n').take(count).map(str::len).sum();
    let taken = &text[..taken];
    let taken = taken
        .strip_suffix('\n')
        .map_or(taken, |line| line.strip_suffix('\r').unwrap_or(line));
    Ok(SecretBytes::copy_from(taken.as_bytes()))
}

/// Every line but the first begins with `count` more spaces. What stands behind the last line break, if nothing,
/// is no line.
pub(super) fn indent(value: &[u8], count: usize) -> Result<SecretBytes, FilterError> {
    let text = utf8(value)?;
    let spaces = " ".repeat(count);
    let breaks = text.matches('\n').count();
    let mut builder = SecretBuilder::with_capacity(text.len() + breaks * count);
    for (index, line) in text.split_inclusive('\n').enumerate() {
        if index > 0 {
            builder.extend(spaces.as_bytes());
        }
        builder.extend(line.as_bytes());
    }
    Ok(builder.finish())
}

/// Everything but the unreserved characters of RFC 3986 (section 2.3) percent-encoded.
pub(super) fn url(value: &[u8]) -> Result<SecretBytes, FilterError> {
    let mut builder = SecretBuilder::with_capacity(value.len() * 3);
    for byte in utf8(value)?.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => builder.extend(&[byte]),
            _ => {
                builder.extend(&[
                    b'%',
                    UPPER_HEX[usize::from(byte >> 4)],
                    UPPER_HEX[usize::from(byte & 15)],
                ]);
            }
        }
    }
    Ok(builder.finish())
}

/// The value as text.
///
/// # Errors
/// It is not UTF-8; the error says from which byte on.
pub(super) fn utf8(value: &[u8]) -> Result<&str, FilterError> {
    std::str::from_utf8(value).map_err(|error| {
        FilterError::Value(format!(
            "the value is not UTF-8 text (byte {})",
            error.valid_up_to() + 1
        ))
    })
}

fn map_chars<I: Iterator<Item = char>>(
    value: &[u8],
    map: impl Fn(char) -> I,
) -> Result<SecretBytes, FilterError> {
    let text = utf8(value)?;
    let mut builder = SecretBuilder::with_capacity(text.len());
    for char in text.chars().flat_map(map) {
        builder.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
    Ok(builder.finish())
}
