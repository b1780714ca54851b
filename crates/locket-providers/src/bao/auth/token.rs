//! A token that somebody else obtained. It is read again when its file changes, and never renewed: whoever made
//! it decides how long it lasts.

use std::path::PathBuf;

use locket_core::{BoxFuture, FetchCx, ProviderError};

use crate::Credential;
use crate::http::{Authority, Grant, OnNewSource, Stamp};

/// Where a token comes from.
#[derive(Debug)]
pub(super) enum GivenToken {
    /// The user named it.
    Set(Credential),
    /// Nobody did: the files that the command lines of OpenBao and Vault keep in the home directory, the first
    /// that is there.
    Home(Vec<PathBuf>),
}

impl Authority for GivenToken {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(async {
            let token = match self {
                Self::Set(credential) => credential.read(cx).await?,
                Self::Home(paths) => {
                    let stamps = Stamp::of_each(paths.clone(), cx).await?;
                    let mut there = paths.iter().zip(stamps).filter(|(_, stamp)| stamp.is_there());
                    match there.next() {
                        Some((path, _)) => Credential::File(path.clone()).read(cx).await?,
                        None => return Err(no_token()),
                    }
                }
            };
            Ok(Grant::new(token))
        })
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        let files = match self {
            Self::Set(credential) => credential.file().into_iter().collect(),
            Self::Home(paths) => paths.clone(),
        };
        Box::pin(Stamp::of_each(files, cx))
    }

    fn on_new_source(&self) -> OnNewSource {
        OnNewSource::Replace
    }
}

fn no_token() -> ProviderError {
    ProviderError::auth("there is no token to read with").hint(
        "Set `token-file` to a file that holds one, BAO_TOKEN or VAULT_TOKEN to its value, or `role-id` and `secret-id-file` for an AppRole login.",
    )
}
