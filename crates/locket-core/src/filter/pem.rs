//! Blocks of a PEM file (RFC 7468).

use super::apply::FilterError;
use super::text::utf8;
use crate::{SecretBuilder, SecretBytes};

/// The blocks with this label in their order, each with its marks and ending in a line break.
///
/// # Errors
/// [`FilterError::NoSuchPart`] when there is none; [`FilterError::Value`] when one is never closed.
pub(super) fn blocks(value: &[u8], label: &str) -> Result<SecretBytes, FilterError> {
    let begin = format!("-----BEGIN {label}-----");
    let end = format!("-----END {label}-----");
    let mut rest = utf8(value)?;
    let mut builder = SecretBuilder::with_capacity(value.len() + 1);
    while let Some(start) = rest.find(&begin) {
        let block = &rest[start..];
        let Some(length) = block.find(&end).map(|at| at + end.len()) else {
            return Err(FilterError::Value(format!(
                "the PEM block `{label}` is never closed"
            )));
        };
        builder.extend(&block.as_bytes()[..length]);
        rest = &block[length..];
        let line_break = ["\r\n", "\n"]
            .into_iter()
            .find(|line_break| rest.starts_with(line_break));
        builder.extend(line_break.unwrap_or("\n").as_bytes());
    }
    if builder.is_empty() {
        return Err(FilterError::NoSuchPart(format!(
            "the value holds no PEM block `{label}`"
        )));
    }
    Ok(builder.finish())
}
