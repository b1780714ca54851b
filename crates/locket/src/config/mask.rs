//! Hides what may be a credential in a configuration file, so that no message shows it.
//!
//! A credential does not belong into the file, and one that stands there is refused; the refusal must not print it.
//! The masked text keeps its length, so that places stay true.

use locket_core::Schemes;
use toml::de::{DeTable, DeValue};

use super::providers;

/// What a hidden character becomes.
const MASK: u8 = b'*';

/// Words in the name of a key whose value is hidden where a broken file cannot be read any better.
const TELLING: &[&str] = &["token", "password", "passphrase", "secret", "credential", "key"];

/// `text` with every value hidden that a provider's table could mean as a credential.
pub(super) fn values(text: &str, document: &DeTable<'_>) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    for (key, value) in document {
        if providers::may_hold_credentials(key.get_ref()) {
            hide(value.get_ref(), key.get_ref(), value.span(), &mut bytes);
        }
    }
    bytes
}

/// `text` of a file that is no TOML, with whatever follows a telling key hidden.
pub(super) fn lines(text: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (key, rest) = line.split_at(line.find('=').map_or(0, |at| at + 1));
        let key_folded = key.to_ascii_lowercase();
        let is_telling =
            TELLING.iter().any(|word| key_folded.contains(word)) && !key_folded.contains("-file");
        bytes.extend(key.as_bytes());
        if is_telling {
            bytes.extend(
                rest.bytes()
                    .map(|byte| if byte.is_ascii_whitespace() { byte } else { MASK }),
            );
        } else {
            bytes.extend(rest.as_bytes());
        }
    }
    bytes
}

fn hide(value: &DeValue<'_>, key: &str, span: std::ops::Range<usize>, bytes: &mut [u8]) {
    match value {
        DeValue::Table(table) => {
            let is_free = providers::is_table_key(key);
            for (key, value) in table {
                let key = if is_free { "" } else { key.get_ref() };
                hide(value.get_ref(), key, value.span(), bytes);
            }
        }
        DeValue::Boolean(_) => {}
        _ if providers::is_plain_key(key) => {}
        DeValue::String(text) if names_a_secret(text) => {}
        _ => {
            for byte in bytes.get_mut(span).unwrap_or_default() {
                if !byte.is_ascii_whitespace() {
                    *byte = MASK;
                }
            }
        }
    }
}

/// Whether `text` has the form of a reference.
fn names_a_secret(text: &str) -> bool {
    match text.trim().split_once("://") {
        Some((scheme, _)) => !Schemes::is_foreign(scheme),
        None => text.trim_start().starts_with("{{"),
    }
}
