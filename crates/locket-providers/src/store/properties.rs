//! Any bytes as the store's file, as what is inside of it, and as a file to import.

use locket_core::SecretBytes;
use locket_core::filter::Filter;

use super::document::{Document, DocumentError};
use super::import::{self, ImportFormat};
use super::keys::Identities;
use super::seal;

/// The key of the seeds, which opens nothing else.
const IDENTITY: &[u8] = b"AGE-SECRET-KEY-19WHQHH5HUECKD8PMRGN4EU5UU7D2VECG69W5WFYKL7KJFL9T8TYSEDCD2A\n";

/// A plaintext that can be read says the same when it is written.
pub fn store_document(data: &[u8]) {
    match Document::parse(data) {
        Ok(document) => {
            let plain = document.to_plaintext();
            let again = Document::parse(bytes(&plain));
            assert!(
                again
                    .as_ref()
                    .is_ok_and(|again| again.recipients == document.recipients
                        && again.secrets.len() == document.secrets.len()),
                "{again:?}"
            );
            if let Ok(again) = again {
                for ((name, entry), (known, other)) in document.secrets.iter().zip(&again.secrets) {
                    assert!(name == known && entry.value == other.value, "{name}");
                    // What is written has milliseconds.
                    assert_eq!(entry.updated.is_some(), other.updated.is_some());
                }
                assert!(again.to_plaintext() == plain, "writing settles at once");
            }
        }
        Err(error) => {
            let shown = match &error {
                // Names are told.
                DocumentError::Twice(name) | DocumentError::Entry { name, .. } => {
                    error.to_string().replace(name.as_str(), "")
                }
                error => error.to_string(),
            };
            assert!(!shown.contains("canary-4f7a"), "{shown:?} tells a value");
        }
    }
}

/// Nothing but what was encrypted comes out of a file, whole or not at all.
///
/// The first byte says what is damaged where.
pub fn store_file(data: &[u8]) {
    let Ok(identities) = Identities::parse(IDENTITY) else {
        return;
    };
    if let Ok(plain) = seal::unseal(data, &identities) {
        store_document(&plain);
    }
    let [place, plain @ ..] = data else {
        return;
    };
    let sealed = seal::seal(plain, &identities.recipients());
    let Ok(mut sealed) = sealed else {
        unreachable!("{:?}", sealed.err());
    };
    assert!(seal::is_age(&sealed));
    let opened = seal::unseal(&sealed, &identities);
    assert!(
        opened.as_ref().is_ok_and(|opened| opened.as_slice() == plain),
        "what was sealed does not open: {:?}",
        opened.err()
    );
    let at = usize::from(*place) * sealed.len() / 256;
    let cut = seal::unseal(&sealed[..at], &identities);
    assert!(cut.is_err(), "a part of a file opens");
    sealed[at] ^= 1 << (place % 8);
    let damaged = seal::unseal(&sealed, &identities);
    assert!(
        damaged.is_err() || damaged.is_ok_and(|damaged| damaged.as_slice() == plain),
        "a damaged file opens to something else"
    );
}

/// What an env file says can be said again by quoting it the way that locket quotes.
pub fn dotenv(data: &[u8]) {
    let _ = import::parse(data, Some(ImportFormat::Json));
    let Ok(secrets) = import::parse(data, Some(ImportFormat::Dotenv)) else {
        return;
    };
    let mut written = Vec::new();
    let mut expected = Vec::new();
    for (name, value) in secrets {
        if let Some(quoted) = quoted(&value) {
            written.extend(name.as_str().as_bytes());
            written.push(b'=');
            written.extend(bytes(&quoted));
            written.push(b'\n');
            expected.push((name, value));
        }
    }
    assert!(
        import::parse(&written, Some(ImportFormat::Dotenv)).is_ok_and(|again| again == expected),
        "{:?} reads as something else",
        String::from_utf8_lossy(&written)
    );
}

/// The value as an env file has it; `None` where none can hold it.
fn quoted(value: &SecretBytes) -> Option<SecretBytes> {
    Filter::Dotenv.apply_alone(value).ok()
}

#[expect(clippy::disallowed_methods, reason = "the fuzzer's own bytes are looked at")]
fn bytes(secret: &SecretBytes) -> &[u8] {
    secret.expose()
}
