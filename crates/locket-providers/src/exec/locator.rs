//! What stands behind `exec://name/` or `name://`, as the helper gets it.

use locket_core::{Diagnostic, Locator, Reference};
use percent_encoding::percent_decode_str;

use super::provider::SCHEME;

/// What a helper is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HelperLocator {
    /// The locator, decoded.
    pub(super) text: Box<str>,
    /// The options, sorted by their names.
    pub(super) options: Vec<(String, String)>,
}

/// The locator of `reference`. Under the scheme of the kind itself the first component names the instance; who that
/// is was settled before.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let written = match reference.scheme() {
        SCHEME => reference.locator().split_once('/').map_or("", |(_, rest)| rest),
        _ => reference.locator(),
    };
    let refused = |message: &str, help: &str| {
        Err(vec![
            Diagnostic::error(reference.span(), message.to_owned()).help(help),
        ])
    };
    if written.is_empty() {
        return refused(
            "this reference names a helper and no secret",
            "Write `exec://NAME/LOCATOR`; what the locator means is up to the helper.",
        );
    }
    let Ok(text) = percent_decode_str(written).decode_utf8() else {
        return refused(
            "this locator is not UTF-8 text",
            "Helpers are asked in JSON, which holds text only.",
        );
    };
    let mut options = reference.options().to_vec();
    options.sort();
    let words = || options.iter().flat_map(|(name, value)| [name.as_str(), value]);
    if text.contains('\0') || words().any(|word| word.contains('\0')) {
        return refused(
            "a locator cannot hold a NUL character",
            "Remove the `%00` from the reference.",
        );
    }
    // No part holds a NUL, so that different locators have different keys.
    let item = std::iter::once(text.as_ref())
        .chain(words())
        .collect::<Vec<_>>()
        .join("\0");
    let locator = HelperLocator {
        text: text.as_ref().into(),
        options,
    };
    Ok(Locator::new(item, "", locator))
}
