//! The embedded store: one age-encrypted file, safe to commit, readable with the standard `age` tool.

mod config;
mod disk;
mod document;
mod dotenv;
mod export;
mod identity;
mod import;
mod keys;
mod name;
mod operations;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod provider;
mod rekey;
mod seal;

#[cfg(test)]
mod tests;

pub use document::{Document, DocumentError, Entry};
pub use export::ExportFormat;
pub use identity::IdentitySource;
pub use import::{ImportError, ImportFormat, Imported, OnConflict, Problem, Secrets};
pub use keys::{Recipient, RecipientError};
pub use name::{NameError, SecretName};
pub use operations::{Change, Created, Listed, Store};
pub use provider::KIND;
pub use rekey::{OwnKey, Rekey};
