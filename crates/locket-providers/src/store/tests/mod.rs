//! The store as its users and its provider see it; what the commands do with it stands with the commands.

mod disk;
mod document;
mod import;
mod keys;
mod operations;
mod provider;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::SecretBytes;

use super::{IdentitySource, SecretName, Store};

/// A store in `dir` with its identity beside it.
fn store(dir: &Path) -> Store {
    Store::new(
        dir.join("locket.store"),
        IdentitySource::Named(dir.join("identity.txt")),
    )
}

/// The same, made and holding these secrets.
fn filled(dir: &Path, secrets: &[(&str, &[u8])]) -> Store {
    let store = store(dir);
    store.init(&[], now()).unwrap();
    for (name, value) in secrets {
        store.set(&self::name(name), secret(value), now()).unwrap();
    }
    store
}

/// Another user's key: the identity's text and a store handle on the same file.
fn other_user(store: &Store) -> (super::Recipient, Store) {
    let key = super::keys::Identities::generate();
    let source = IdentitySource::Text(Arc::new(key.to_text("2025-01-01T00:00:00Z")));
    (key.own(), Store::new(store.path().to_owned(), source))
}

fn name(text: &str) -> SecretName {
    text.parse().unwrap()
}

fn secret(bytes: &[u8]) -> SecretBytes {
    SecretBytes::copy_from(bytes)
}

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_760_000_000_123)
}
