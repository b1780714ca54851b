//! What can be done with a store. Readers take no lock, since the file is replaced in one step; writers do.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use locket_core::{ProviderError, SecretBytes};

use super::disk::{self, Locked};
use super::document::{Document, Entry};
use super::identity::IdentitySource;
use super::keys::{Identities, Recipient};
use super::seal::{self, UnsealError};
use super::{DocumentError, SecretName};
use crate::file::{ReadError, RegularFile, Stamp, read_regular};

/// One store: its file, and what opens it.
#[derive(Clone, Debug)]
pub struct Store {
    path: PathBuf,
    identity: IdentitySource,
    patience: Duration,
}

/// What a write did to one secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// There was none of this name.
    Added,
    /// There was another value.
    Replaced,
    /// The value was there already; nothing was written, and its age is what it was.
    Unchanged,
}

/// A secret without its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: SecretName,
    /// When the value last changed, if the store says so.
    pub updated: Option<SystemTime>,
    /// Length of the value in bytes.
    pub bytes: usize,
}

/// What [`Store::init`] made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Created {
    /// Whom the store is encrypted to; its maker first.
    pub recipients: Vec<Recipient>,
    /// The identity file, where there was none before.
    pub identity: Option<PathBuf>,
}

/// What came of an edit.
pub(super) enum Edited<T> {
    /// Nothing changed, nothing is written.
    No(T),
    /// The document changed.
    Yes(T),
}

/// A value with more bytes is refused, as by the `file` provider.
const VALUE_LIMIT: usize = 16 << 20;

/// A file with more bytes is refused: it is read into memory whole.
const FILE_LIMIT: usize = 128 << 20;

/// How long a writer waits for another one.
const PATIENCE: Duration = Duration::from_secs(10);

impl Store {
    /// The store at `path`. Looks at nothing yet.
    pub fn new(path: PathBuf, identity: IdentitySource) -> Self {
        Self {
            path,
            identity,
            patience: PATIENCE,
        }
    }

    /// The same store, whose writers wait for each other at most this long.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// Its file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What opens it.
    pub fn identity(&self) -> &IdentitySource {
        &self.identity
    }

    /// Makes an empty store for the identity and `others`; makes the identity file too if there is none.
    ///
    /// # Errors
    /// There is a store already, or a file cannot be written.
    pub fn init(&self, others: &[Recipient], now: SystemTime) -> Result<Created, ProviderError> {
        let exists = || {
            ProviderError::invalid(format!("there is a store at {} already", self.path.display()))
                .hint("Add to it with `locket store set`, or name another file with `--file`.")
        };
        // Before an identity is made: one that does not open the store in its place only confuses.
        if std::fs::symlink_metadata(&self.path).is_ok() {
            return Err(exists());
        }
        let (identities, identity) = self.own_identities(now)?;
        let mut recipients = Vec::new();
        for recipient in std::iter::once(identities.own()).chain(others.iter().cloned()) {
            if !recipients.contains(&recipient) {
                recipients.push(recipient);
            }
        }
        let document = Document {
            recipients: recipients.iter().map(ToString::to_string).collect(),
            ..Document::default()
        };
        let sealed = self.seal(&document, &recipients)?;
        if !disk::create(&self.path, &sealed)? {
            return Err(exists());
        }
        Ok(Created { recipients, identity })
    }

    /// The value of one secret.
    ///
    /// # Errors
    /// There is no such secret, or the store does not open.
    pub fn get(&self, name: &SecretName) -> Result<SecretBytes, ProviderError> {
        let (mut document, ..) = self.open()?;
        match document.secrets.remove(name) {
            Some(entry) => Ok(entry.value),
            None => Err(self.no_such_secret(name, document.secrets.keys())),
        }
    }

    /// All secrets by name, without their values.
    ///
    /// # Errors
    /// The store does not open.
    pub fn list(&self) -> Result<Vec<Listed>, ProviderError> {
        let (document, ..) = self.open()?;
        let listed = document.secrets.into_iter().map(|(name, entry)| Listed {
            name,
            updated: entry.updated,
            bytes: entry.value.len(),
        });
        Ok(listed.collect())
    }

    /// Adds or replaces one secret.
    ///
    /// # Errors
    /// The value is too large, or the store does not open or cannot be written.
    pub fn set(
        &self,
        name: &SecretName,
        value: SecretBytes,
        now: SystemTime,
    ) -> Result<Change, ProviderError> {
        self.edit(|document| {
            Ok(match put(document, name, value, now)? {
                Change::Unchanged => Edited::No(Change::Unchanged),
                change => Edited::Yes(change),
            })
        })
    }

    /// Removes secrets: all of them, or none if one of them is not there.
    ///
    /// # Errors
    /// There is no such secret, or the store does not open or cannot be written.
    pub fn remove(&self, names: &[SecretName]) -> Result<(), ProviderError> {
        self.edit(|document| {
            if let Some(missing) = names.iter().find(|name| !document.secrets.contains_key(name)) {
                return Err(self.no_such_secret(missing, document.secrets.keys()));
            }
            document.secrets.retain(|name, _| !names.contains(name));
            Ok(if names.is_empty() {
                Edited::No(())
            } else {
                Edited::Yes(())
            })
        })
    }

    /// The whole store, with the stamps of its file and of the identity file.
    pub(super) fn open(&self) -> Result<(Document, Stamp, Option<Stamp>), ProviderError> {
        let file = self.read_sealed()?;
        let (identities, stamp) = self.identity.read()?;
        Ok((self.unseal(&file.bytes, &identities)?, file.stamp, stamp))
    }

    /// Changes the store under its lock.
    pub(super) fn edit<T>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<Edited<T>, ProviderError>,
    ) -> Result<T, ProviderError> {
        let (locked, mut document, identities) = self.open_locked()?;
        match change(&mut document)? {
            Edited::No(result) => Ok(result),
            Edited::Yes(result) => {
                let recipients = self.recipients(&document, &identities)?;
                locked.replace(&self.seal(&document, &recipients)?)?;
                Ok(result)
            }
        }
    }

    /// The store under its lock, with the identities that opened it.
    pub(super) fn open_locked(&self) -> Result<(Locked, Document, Identities), ProviderError> {
        // What keeps a reader out is said in a reader's words.
        let locked =
            Locked::acquire(&self.path, self.patience).or_else(|error| self.read_sealed().and(Err(error)))?;
        let file = self.read_sealed()?;
        let (identities, _) = self.identity.read()?;
        let document = self.unseal(&file.bytes, &identities)?;
        Ok((locked, document, identities))
    }

    /// The store's file for `document`.
    pub(super) fn seal(
        &self,
        document: &Document,
        recipients: &[Recipient],
    ) -> Result<Vec<u8>, ProviderError> {
        let plain = document.to_plaintext();
        #[expect(clippy::disallowed_methods, reason = "the plaintext goes into encryption")]
        let sealed = seal::seal(plain.expose(), recipients);
        match sealed {
            Ok(sealed) if sealed.len() <= FILE_LIMIT => Ok(sealed),
            Ok(_) => Err(ProviderError::invalid(format!(
                "{} would be larger than {} MiB",
                self.path.display(),
                FILE_LIMIT >> 20
            ))),
            Err(_) => Err(ProviderError::invalid(format!(
                "{} cannot be encrypted to its recipients",
                self.path.display()
            ))),
        }
    }

    fn unseal(&self, sealed: &[u8], identities: &Identities) -> Result<Document, ProviderError> {
        let plain = seal::unseal(sealed, identities).map_err(|error| self.unopened(error, identities))?;
        Document::parse(&plain).map_err(|error| {
            let context = format!("{} opens, but {error}", self.path.display());
            ProviderError::invalid(context).hint(match error {
                DocumentError::Format(_) => "Use a newer locket.",
                _ => "Decrypt it with `age -d -i IDENTITY`, correct it and encrypt it again; or restore an earlier copy.",
            })
        })
    }

    /// Everybody the store is encrypted to when it is written.
    ///
    /// # Errors
    /// Writing would lock somebody out: the list is missing, holds what cannot be encrypted to, or lacks the writer.
    fn recipients(
        &self,
        document: &Document,
        identities: &Identities,
    ) -> Result<Vec<Recipient>, ProviderError> {
        let shown = self.path.display();
        if document.recipients.is_empty() {
            return Err(ProviderError::invalid(format!(
                "{shown} does not say who its recipients are, so that writing it would lock the others out"
            ))
            .hint("Name them once with `locket store rekey --add age1…`; your own key is kept."));
        }
        let recipients = document
            .recipients
            .iter()
            .map(|text| {
                text.parse::<Recipient>().map_err(|error| {
                    ProviderError::invalid(format!("in {shown}: {error}")).hint(error.hint())
                })
            })
            .collect::<Result<Vec<_>, _>>()?;
        if identities.recipients().iter().any(|own| recipients.contains(own)) {
            return Ok(recipients);
        }
        Err(ProviderError::denied(format!(
            "{} is not among the recipients of {shown}, and could not read what it wrote",
            self.identity.shown()
        ))
        .hint("Ask a recipient to add your public key with `locket store rekey --add`."))
    }

    fn read_sealed(&self) -> Result<RegularFile, ProviderError> {
        read_regular(&self.path, FILE_LIMIT).map_err(|error| {
            let shown = self.path.display();
            match error {
                ReadError::Missing => ProviderError::invalid(format!("there is no store at {shown}"))
                    .hint("Make one with `locket store init`, or name the file with `store.file`."),
                ReadError::Denied => ProviderError::denied(format!("{shown} {error}"))
                    .hint("Let this user read it; it is encrypted, so that mode 0644 gives nothing away."),
                ReadError::Changing | ReadError::Io(_) => {
                    ProviderError::unavailable(format!("{shown} {error}"))
                }
                _ => ProviderError::invalid(format!("{shown} {error}")),
            }
        })
    }

    fn unopened(&self, error: UnsealError, identities: &Identities) -> ProviderError {
        let shown = self.path.display();
        ProviderError::invalid(format!("{shown} {error}")).hint(match error {
            UnsealError::WrongIdentity => {
                let own = identities.own();
                return ProviderError::auth(format!("{} does not open {shown}", self.identity.shown())).hint(
                    format!("Ask somebody who can open it to run `locket store rekey --add {own}`, or name the right identity."),
                );
            }
            UnsealError::NotAge => "Is this the file you meant? `locket store init` makes a new one.",
            UnsealError::Empty => "Restore an earlier copy, or remove it and run `locket store init`.",
            UnsealError::MergeConflict => {
                "Take one side with `git checkout --ours` or `--theirs`, then set again what the other side had changed."
            }
            UnsealError::Damaged => "Restore an earlier copy, for example from version control.",
            UnsealError::Passphrase => {
                "The store opens with an identity: decrypt the file with `age -d` and encrypt it with `age -r age1…`."
            }
        })
    }

    /// The identities, and the path of the identity file if it had to be made.
    fn own_identities(&self, now: SystemTime) -> Result<(Identities, Option<PathBuf>), ProviderError> {
        if let Some(path) = self.identity.path()
            && std::fs::symlink_metadata(path).is_err()
        {
            let made = Identities::generate();
            if write_identity(path, &made, now)? {
                return Ok((made, Some(path.to_owned())));
            }
        }
        Ok((self.identity.read()?.0, None))
    }
}

/// Puts one value into the document.
pub(super) fn put(
    document: &mut Document,
    name: &SecretName,
    value: SecretBytes,
    now: SystemTime,
) -> Result<Change, ProviderError> {
    if value.len() > VALUE_LIMIT {
        return Err(ProviderError::invalid(format!(
            "the value of `{name}` is larger than {} MiB",
            VALUE_LIMIT >> 20
        )));
    }
    if document
        .secrets
        .get(name)
        .is_some_and(|entry| entry.value == value)
    {
        return Ok(Change::Unchanged);
    }
    let entry = Entry {
        value,
        updated: Some(now),
    };
    Ok(match document.secrets.insert(name.clone(), entry) {
        Some(_) => Change::Replaced,
        None => Change::Added,
    })
}

/// Makes a private directory and an identity file in it, unless there is one.
fn write_identity(path: &Path, identities: &Identities, now: SystemTime) -> Result<bool, ProviderError> {
    use std::os::unix::fs::DirBuilderExt;

    if let Some(directory) = path.parent() {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|error| {
                ProviderError::denied(format!(
                    "the directory {} cannot be made: {error}",
                    directory.display()
                ))
                .hint("Set LOCKET_IDENTITY_FILE to a path that this user can write.")
            })?;
    }
    let text = identities.to_text(&timestamp(now));
    #[expect(
        clippy::disallowed_methods,
        reason = "the private key goes into the identity file"
    )]
    let text = text.expose();
    disk::create(path, text)
}

/// The time as identity files have it.
pub(super) fn timestamp(now: SystemTime) -> String {
    humantime::format_rfc3339_seconds(now).to_string()
}
