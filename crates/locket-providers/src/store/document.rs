//! The plaintext inside the store's file: JSON that a person with `age` and `jq` can read. Pure, and never quotes a
//! value: not even the JSON parser's own messages leave this file, since they may.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::time::SystemTime;

use data_encoding::BASE64;
use locket_core::{SecretBuilder, SecretBytes};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, Serializer};
use zeroize::Zeroizing;

use super::SecretName;

/// Everything the store holds.
#[derive(Debug, Default)]
pub struct Document {
    /// Public keys the store is encrypted to, as written: whoever writes the store encrypts to all of them.
    pub recipients: Vec<String>,
    /// The secrets by name.
    pub secrets: BTreeMap<SecretName, Entry>,
}

/// One secret.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry {
    /// The exact bytes.
    pub value: SecretBytes,
    /// When the value last changed, in milliseconds; a store written by hand may not say.
    pub updated: Option<SystemTime>,
}

/// What is wrong with a plaintext. Never any part of a value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON, or not of the expected shape.
    #[error("it is not the store's JSON at line {line}, column {column}")]
    Shape {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// Made by a later version.
    #[error("it has format {0}, and this build knows format {FORMAT}")]
    Format(u64),
    /// A name that the store cannot have.
    #[error("it holds a secret with a bad name: {0}")]
    Name(#[from] super::NameError),
    /// A name twice.
    #[error("it holds `{0}` twice")]
    Twice(SecretName),
    /// An entry that has neither or both of `value` and `base64`, or bad base64, or a bad time.
    #[error("in `{name}`, {what}")]
    Entry {
        /// Which secret.
        name: SecretName,
        /// What is wrong with it.
        what: &'static str,
    },
}

/// The number under `locket-store`.
const FORMAT: u64 = 1;

impl Document {
    /// Reads a plaintext.
    ///
    /// # Errors
    /// See [`DocumentError`].
    pub fn parse(plain: &[u8]) -> Result<Self, DocumentError> {
        // The version first: a later format may have any shape.
        let head: WireHead = serde_json::from_slice(plain)?;
        if head.format != FORMAT {
            return Err(DocumentError::Format(head.format));
        }
        let wire: WireDocument = serde_json::from_slice(plain)?;
        let mut secrets = BTreeMap::new();
        for (name, entry) in wire.secrets.0 {
            let name: SecretName = name.parse()?;
            let entry = entry.settle().map_err(|what| DocumentError::Entry {
                name: name.clone(),
                what,
            })?;
            if secrets.insert(name.clone(), entry).is_some() {
                return Err(DocumentError::Twice(name));
            }
        }
        Ok(Self {
            recipients: wire.recipients,
            secrets,
        })
    }

    /// Whether a plaintext claims to be one of ours, whatever else is in it.
    pub(super) fn claims(plain: &[u8]) -> bool {
        serde_json::from_slice::<WireHead>(plain).is_ok()
    }

    /// The plaintext: the same document always gives the same bytes.
    pub fn to_plaintext(&self) -> SecretBytes {
        let mut writer = SecretWriter(SecretBuilder::with_capacity(self.capacity()));
        let mut serializer = serde_json::Serializer::pretty(&mut writer);
        let written = WireOut(self).serialize(&mut serializer);
        debug_assert!(written.is_ok(), "writing to memory does not fail");
        writer.0.extend(b"\n");
        writer.0.finish()
    }

    /// About the room that the plaintext takes.
    fn capacity(&self) -> usize {
        let entries: usize = self
            .secrets
            .iter()
            .map(|(name, entry)| name.as_str().len() + entry.value.len() * 3 / 2 + 96)
            .sum();
        256 + 80 * self.recipients.len() + entries
    }
}

impl From<serde_json::Error> for DocumentError {
    fn from(error: serde_json::Error) -> Self {
        Self::Shape {
            line: error.line(),
            column: error.column(),
        }
    }
}

#[derive(serde::Deserialize)]
struct WireHead {
    #[serde(rename = "locket-store")]
    format: u64,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WireDocument {
    #[serde(rename = "locket-store")]
    _format: u64,
    #[serde(default)]
    recipients: Vec<String>,
    secrets: WireSecrets,
}

/// The entries in the order written, so that a name given twice is seen.
struct WireSecrets(Vec<(String, WireEntry)>);

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct WireEntry {
    value: Option<SecretText>,
    base64: Option<SecretText>,
    updated: Option<String>,
}

/// A JSON string that goes straight into its wrapper.
pub(super) struct SecretText(pub(super) SecretBytes);

impl WireEntry {
    fn settle(self) -> Result<Entry, &'static str> {
        let value = match (self.value, self.base64) {
            (Some(text), None) => text.0,
            (None, Some(text)) => decode_base64(&text.0).ok_or("`base64` is not base64 with padding")?,
            (None, None) => return Err("neither `value` nor `base64` is given"),
            (Some(_), Some(_)) => return Err("both `value` and `base64` are given"),
        };
        let updated = self
            .updated
            .map(|text| {
                humantime::parse_rfc3339(&text).map_err(|_| "`updated` is no time like 2025-01-31T12:00:00Z")
            })
            .transpose()?;
        Ok(Entry { value, updated })
    }
}

/// The bytes that standard base64 with padding stands for.
pub(super) fn decode_base64(text: &SecretBytes) -> Option<SecretBytes> {
    #[expect(clippy::disallowed_methods, reason = "the encoded form becomes the value")]
    let text = text.expose();
    BASE64.decode(text).ok().map(SecretBytes::new)
}

impl<'de> Deserialize<'de> for WireSecrets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;

        impl<'de> Visitor<'de> for Entries {
            type Value = WireSecrets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of secrets")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<WireSecrets, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(WireSecrets(entries))
            }
        }

        deserializer.deserialize_map(Entries)
    }
}

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = SecretText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E>(self, text: &str) -> Result<SecretText, E> {
                Ok(SecretText(SecretBytes::copy_from(text.as_bytes())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

struct WireOut<'a>(&'a Document);

struct SecretsOut<'a>(&'a BTreeMap<SecretName, Entry>);

struct EntryOut<'a>(&'a Entry);

impl Serialize for WireOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("locket-store", &FORMAT)?;
        map.serialize_entry("recipients", &self.0.recipients)?;
        map.serialize_entry("secrets", &SecretsOut(&self.0.secrets))?;
        map.end()
    }
}

impl Serialize for SecretsOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(
            self.0
                .iter()
                .map(|(name, entry)| (name.as_str(), EntryOut(entry))),
        )
    }
}

impl Serialize for EntryOut<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        serialize_value(&mut map, "value", &self.0.value)?;
        if let Some(updated) = self.0.updated {
            map.serialize_entry("updated", &humantime::format_rfc3339_millis(updated).to_string())?;
        }
        map.end()
    }
}

/// Puts a value into a map: as text under `key` if it is text, else under `base64`.
pub(super) fn serialize_value<M: SerializeMap>(
    map: &mut M,
    key: &'static str,
    value: &SecretBytes,
) -> Result<(), M::Error> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the value goes into the plaintext that is encrypted next"
    )]
    let bytes = value.expose();
    match std::str::from_utf8(bytes) {
        Ok(text) => map.serialize_entry(key, text),
        Err(_) => map.serialize_entry("base64", Zeroizing::new(BASE64.encode(bytes)).as_str()),
    }
}

/// Lets a serializer write into memory that leaves no copies behind.
pub(super) struct SecretWriter(pub(super) SecretBuilder);

impl io::Write for SecretWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
