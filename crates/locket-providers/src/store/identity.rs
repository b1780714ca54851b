//! Where the private key comes from, and what protects it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::{ProviderError, SecretBytes};

use super::keys::{Identities, IdentityError};
use crate::file::{ReadError, RegularFile, Stamp, read_regular};

/// Where the private keys come from.
#[derive(Clone, Debug)]
pub enum IdentitySource {
    /// The file under the user's configuration directory, since nothing else was named.
    Default(PathBuf),
    /// A file that the user named.
    Named(PathBuf),
    /// The text of an identity file, from a variable or another provider.
    Text(Arc<SecretBytes>),
    /// Nothing was named, and there is no home directory to look in.
    Nowhere,
}

/// An identity file with more bytes is none.
const LIMIT: usize = 1 << 20;

impl IdentitySource {
    /// The file, where it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Default(path) | Self::Named(path) => Some(path),
            Self::Text(_) | Self::Nowhere => None,
        }
    }

    /// What messages call it.
    pub(super) fn shown(&self) -> String {
        match self.path() {
            Some(path) => format!("the identity file {}", path.display()),
            None => "the identity".into(),
        }
    }

    /// The private keys, and the file's stamp where they come from one.
    ///
    /// # Errors
    /// There is no usable key, or others may read the file.
    pub(super) fn read(&self) -> Result<(Identities, Option<Stamp>), ProviderError> {
        match self {
            Self::Nowhere => Err(
                ProviderError::auth("no identity is named, and there is no home directory")
                    .hint("Set LOCKET_IDENTITY_FILE to the file that `locket store init` made."),
            ),
            #[expect(clippy::disallowed_methods, reason = "the private key is parsed")]
            Self::Text(text) => Ok((self.parse(text.expose())?, None)),
            Self::Default(path) | Self::Named(path) => {
                let file = self.read_file(path)?;
                self.check_mode(path, &file)?;
                Ok((self.parse(&file.bytes)?, Some(file.stamp)))
            }
        }
    }

    /// The present stamp of the file, where it is one.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        self.path().and_then(Stamp::at)
    }

    /// The file of this source, whole.
    pub(super) fn read_file(&self, path: &Path) -> Result<RegularFile, ProviderError> {
        read_regular(path, LIMIT).map_err(|error| self.unreadable(&error))
    }

    fn parse(&self, text: &[u8]) -> Result<Identities, ProviderError> {
        Identities::parse(text).map_err(|error| {
            ProviderError::auth(format!("{} {error}", self.shown())).hint(match error {
                IdentityError::Passphrase => {
                    "Decrypt it once into a file of mode 0600: `age -d -o identity.txt PROTECTED`."
                }
                IdentityError::Kind { .. } => {
                    "Make an identity with `age-keygen`, and let somebody who can open the store add its public key."
                }
                IdentityError::None | IdentityError::Malformed { .. } => {
                    "An identity file has lines `AGE-SECRET-KEY-1…` and comments after `#`, nothing else."
                }
            })
        })
    }

    /// The default file is the user's own and must be private. A file that was named may be a container's secret,
    /// which engines mount readable for all, in memory that only the container sees.
    fn check_mode(&self, path: &Path, file: &RegularFile) -> Result<(), ProviderError> {
        if file.mode & 0o077 == 0 {
            return Ok(());
        }
        let message = format!(
            "{} has mode {:04o}: others may use the key",
            self.shown(),
            file.mode & 0o7777
        );
        let advice = format!("Run `chmod 600 {}`.", path.display());
        match self {
            Self::Default(_) => Err(ProviderError::auth(message).hint(advice)),
            _ if file.on_tmpfs => Ok(()),
            _ => {
                tracing::warn!("{message}. {advice}");
                Ok(())
            }
        }
    }

    fn unreadable(&self, error: &ReadError) -> ProviderError {
        let context = format!("{} {error}", self.shown());
        match (error, self) {
            (ReadError::Missing, Self::Default(_)) => ProviderError::auth(context).hint(
                "Make one with `locket store init`, or set LOCKET_IDENTITY_FILE to the one that opens this store.",
            ),
            (ReadError::Missing, _) => {
                ProviderError::auth(context).hint("Correct `store.identity-file` or LOCKET_IDENTITY_FILE.")
            }
            (ReadError::Changing | ReadError::Io(_), _) => ProviderError::unavailable(context),
            _ => ProviderError::auth(context),
        }
    }
}
