//! Reading secrets out of files that other tools wrote. Messages name places and names, never values.

use std::collections::BTreeSet;
use std::fmt;
use std::time::SystemTime;

use locket_core::{ProviderError, SecretBytes};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::document::{Document, SecretText, decode_base64};
use super::operations::{Change, Edited, put};
use super::{SecretName, Store, dotenv, seal};

/// How secrets are written in a file to import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImportFormat {
    /// `NAME=value` lines.
    Dotenv,
    /// An object: texts, numbers and lists are values, objects are groups whose names go before a slash, and
    /// `{"base64": "…"}` is a binary value. The plaintext of a store is read too.
    Json,
}

/// What is wrong at one place of a file to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// A line or a name.
    pub place: String,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
}

/// Why nothing was read from a file to import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError {
    /// It could not be decrypted.
    Sealed(ProviderError),
    /// All that is wrong in it.
    Problems(Vec<Problem>),
}

/// What happens to a secret of a name that has another value already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnConflict {
    /// Nothing at all is imported.
    #[default]
    Refuse,
    /// It keeps its value.
    Keep,
    /// It gets the imported value.
    Replace,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Names that are new.
    pub added: Vec<SecretName>,
    /// Names that have another value now.
    pub replaced: Vec<SecretName>,
    /// Names that had this value.
    pub unchanged: Vec<SecretName>,
    /// Names that kept another value.
    pub kept: Vec<SecretName>,
}

/// Secrets on their way into the store.
pub type Secrets = Vec<(SecretName, SecretBytes)>;

impl ImportFormat {
    /// Every format with its name.
    pub const ALL: [(&'static str, Self); 2] = [("dotenv", Self::Dotenv), ("json", Self::Json)];

    /// What `text` looks like.
    fn of(text: &[u8]) -> Self {
        match text.trim_ascii_start().first() {
            Some(b'{') => Self::Json,
            _ => Self::Dotenv,
        }
    }
}

impl Store {
    /// Reads the secrets in the file `bytes`; one that is encrypted with age is opened with this store's identity.
    /// Without a `format` it is told by the content.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn read_import(&self, bytes: &[u8], format: Option<ImportFormat>) -> Result<Secrets, ImportError> {
        if !seal::is_age(bytes) {
            return parse(bytes, format);
        }
        let (identities, _) = self.identity().read().map_err(ImportError::Sealed)?;
        let plain = seal::unseal(bytes, &identities).map_err(|error| {
            ImportError::Sealed(ProviderError::invalid(format!("the file to import {error}")))
        })?;
        parse(&plain, format)
    }

    /// Adds secrets: all of them, or none.
    ///
    /// # Errors
    /// A name has another value and that is refused, or the store does not open or cannot be written.
    pub fn import(
        &self,
        secrets: Secrets,
        on_conflict: OnConflict,
        now: SystemTime,
    ) -> Result<Imported, ProviderError> {
        self.edit(|document| {
            let mut imported = Imported::default();
            let mut refused = Vec::new();
            for (name, value) in secrets {
                let other = document.secrets.get(&name).is_some_and(|entry| entry.value != value);
                match on_conflict {
                    OnConflict::Refuse if other => refused.push(name.to_string()),
                    OnConflict::Keep if other => imported.kept.push(name),
                    _ => match put(document, &name, value, now)? {
                        Change::Added => imported.added.push(name),
                        Change::Replaced => imported.replaced.push(name),
                        Change::Unchanged => imported.unchanged.push(name),
                    },
                }
            }
            if !refused.is_empty() {
                return Err(ProviderError::invalid(format!(
                    "{} has other values of {}",
                    self.path().display(),
                    refused.join(", ")
                ))
                .hint("Import with `--replace` to take the new values, or with `--keep` to leave the present ones."));
            }
            let changed = !imported.added.is_empty() || !imported.replaced.is_empty();
            Ok(if changed { Edited::Yes(imported) } else { Edited::No(imported) })
        })
    }
}

pub(super) fn parse(text: &[u8], format: Option<ImportFormat>) -> Result<Secrets, ImportError> {
    match format.unwrap_or_else(|| ImportFormat::of(text)) {
        ImportFormat::Json if Document::claims(text) => match Document::parse(text) {
            Ok(document) => Ok(document
                .secrets
                .into_iter()
                .map(|(name, entry)| (name, entry.value))
                .collect()),
            Err(error) => Err(problems(vec![Problem::new("the store", error.to_string())])),
        },
        ImportFormat::Json => named(flatten(text).map_err(problems)?),
        ImportFormat::Dotenv => named(dotenv::parse(text).map_err(problems)?),
    }
}

fn problems(problems: Vec<Problem>) -> ImportError {
    ImportError::Problems(problems)
}

impl Problem {
    fn new(place: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            place: place.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// Every name checked; a name twice would lose one of its values.
fn named(secrets: Vec<(String, SecretBytes)>) -> Result<Secrets, ImportError> {
    let (mut names, mut wrong) = (BTreeSet::new(), Vec::new());
    let mut parsed = Vec::with_capacity(secrets.len());
    for (name, value) in secrets {
        match name.parse::<SecretName>() {
            Ok(name) if names.insert(name.clone()) => parsed.push((name, value)),
            Ok(name) => wrong.push(Problem::new(format!("`{name}`"), "the name is given twice")),
            Err(error) => wrong.push(Problem::new(
                format!("`{}`", name.escape_default()),
                error.to_string(),
            )),
        }
    }
    if wrong.is_empty() {
        Ok(parsed)
    } else {
        Err(problems(wrong))
    }
}

/// The values of a JSON object by their names, groups joined with slashes.
fn flatten(text: &[u8]) -> Result<Vec<(String, SecretBytes)>, Vec<Problem>> {
    let mut flat = Flat::default();
    match serde_json::from_slice::<Object<'_>>(text) {
        Ok(object) => flat.object("", object),
        // The parser's own message may quote a value.
        Err(error) => flat.wrong.push(Problem::new(
            format!("line {}, column {}", error.line(), error.column()),
            "this is not a JSON object",
        )),
    }
    if flat.wrong.is_empty() {
        Ok(flat.secrets)
    } else {
        Err(flat.wrong)
    }
}

#[derive(Default)]
struct Flat {
    secrets: Vec<(String, SecretBytes)>,
    wrong: Vec<Problem>,
}

/// A JSON object whose values stand where they stood.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl Flat {
    fn object(&mut self, prefix: &str, object: Object<'_>) {
        for (key, value) in object.0 {
            let name = format!("{prefix}{key}");
            // No name is longer; and it bounds how deep groups go.
            if name.len() > 255 {
                self.wrong
                    .push(Problem::new("a name of over 255 bytes", "no name is that long"));
                continue;
            }
            match self.value(&name, value) {
                Ok(Some(secret)) => self.secrets.push((name, secret)),
                Ok(None) => {}
                Err(message) => self
                    .wrong
                    .push(Problem::new(format!("`{}`", name.escape_default()), message)),
            }
        }
    }

    /// The secret that `value` is; `None` for a group, which is followed.
    fn value(&mut self, name: &str, value: &RawValue) -> Result<Option<SecretBytes>, &'static str> {
        let text = value.get();
        match text.as_bytes().first() {
            Some(b'"') => {
                let SecretText(secret) = serde_json::from_str(text).map_err(|_| "the text is not valid")?;
                Ok(Some(secret))
            }
            Some(b'{') => {
                let object: Object<'_> = serde_json::from_str(text).map_err(|_| "the object is not valid")?;
                if let [(key, value)] = object.0.as_slice()
                    && key == "base64"
                    && let Ok(SecretText(encoded)) = serde_json::from_str(value.get())
                {
                    return decode_base64(&encoded)
                        .map(Some)
                        .ok_or("`base64` is not base64 with padding");
                }
                self.object(&format!("{name}/"), object);
                Ok(None)
            }
            Some(b'n') | None => Err("`null` is no value"),
            Some(_) => Ok(Some(SecretBytes::copy_from(text.as_bytes()))),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(Members)
    }
}
