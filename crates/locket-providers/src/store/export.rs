//! Writing all secrets in the forms that other tools read.

use locket_core::filter::Filter;
use locket_core::{ProviderError, SecretBuilder, SecretBytes};
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::Store;
use super::document::{Document, Entry, SecretWriter, serialize_value};

/// How exported secrets are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportFormat {
    /// `NAME=value` lines, quoted for Compose. Only for names and values that an env file can hold.
    Dotenv,
    /// One object: texts as they are, binary values as `{"base64": "…"}`.
    Json,
}

impl ExportFormat {
    /// Every format with its name.
    pub const ALL: [(&'static str, Self); 2] = [("dotenv", Self::Dotenv), ("json", Self::Json)];
}

impl Store {
    /// All secrets in one text; importing it again gives the same secrets.
    ///
    /// # Errors
    /// The store does not open, or the format cannot hold one of the secrets: then none is put out.
    pub fn export(&self, format: ExportFormat) -> Result<SecretBytes, ProviderError> {
        let (document, ..) = self.open()?;
        match format {
            ExportFormat::Dotenv => dotenv(&document),
            ExportFormat::Json => Ok(json(&document)),
        }
    }
}

fn dotenv(document: &Document) -> Result<SecretBytes, ProviderError> {
    let (mut text, mut misfits) = (SecretBuilder::with_capacity(4096), Vec::new());
    for (name, entry) in &document.secrets {
        match (is_variable(name.as_str()), quoted(entry)) {
            (true, Some(quoted)) => {
                text.extend(name.as_str().as_bytes());
                text.extend(b"=");
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the value goes to the user who asked for it"
                )]
                text.extend(quoted.expose());
                text.extend(b"\n");
            }
            _ => misfits.push(format!("`{name}`")),
        }
    }
    if misfits.is_empty() {
        return Ok(text.finish());
    }
    Err(
        ProviderError::invalid(format!("an env file cannot hold {}", misfits.join(", "))).hint(
            "It holds text under names of letters, digits and `_` only: export with `--format json` instead.",
        ),
    )
}

/// The value as an env file has it; `None` where it cannot be written there.
fn quoted(entry: &Entry) -> Option<SecretBytes> {
    Filter::Dotenv.apply_alone(&entry.value).ok()
}

fn is_variable(name: &str) -> bool {
    !name.starts_with(|first: char| first.is_ascii_digit())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn json(document: &Document) -> SecretBytes {
    let mut writer = SecretWriter(SecretBuilder::with_capacity(4096));
    let mut serializer = serde_json::Serializer::pretty(&mut writer);
    let written = serializer.collect_map(
        document
            .secrets
            .iter()
            .map(|(name, entry)| (name.as_str(), Value(entry))),
    );
    debug_assert!(written.is_ok(), "writing to memory does not fail");
    writer.0.extend(b"\n");
    writer.0.finish()
}

struct Value<'a>(&'a Entry);

impl Serialize for Value<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the value goes to the user who asked for it"
        )]
        let bytes = self.0.value.expose();
        if let Ok(text) = std::str::from_utf8(bytes) {
            return serializer.serialize_str(text);
        }
        let mut map = serializer.serialize_map(Some(1))?;
        serialize_value(&mut map, "value", &self.0.value)?;
        map.end()
    }
}
