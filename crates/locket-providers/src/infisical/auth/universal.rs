//! Universal auth: a client id and a client secret.

use std::path::PathBuf;

use locket_core::{BoxFuture, FetchCx, ProviderError};
use zeroize::Zeroizing;

use super::login::Proof;
use crate::http::{Member, object};
use crate::{BuildCx, ConfigError, Credential};

/// One client.
#[derive(Debug)]
pub(super) struct Universal {
    client_id: String,
    client_secret: Credential,
}

impl Universal {
    /// The client that the settings describe.
    ///
    /// # Errors
    /// Id or secret is missing.
    pub(super) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let missing = |name: &str, hint: &str| {
            ConfigError::new(
                format!("`{}` logs in by universal auth and has no `{name}`", cx.instance),
                hint,
            )
        };
        let client_id = cx
            .settings
            .text("client-id")
            .map(str::trim)
            .filter(|id| !id.is_empty());
        let client_id = client_id.ok_or_else(|| {
            missing(
                "client-id",
                "Set `infisical.client-id` (or INFISICAL_CLIENT_ID) to the identity's client id.",
            )
        })?;
        let client_secret = cx.settings.credential("client-secret-file").ok_or_else(|| {
            missing(
                "client-secret-file",
                "Set `infisical.client-secret-file` to a file that holds it, or INFISICAL_CLIENT_SECRET to its value.",
            )
        })?;
        Ok(Self {
            client_id: client_id.to_owned(),
            client_secret: client_secret.clone(),
        })
    }
}

impl Proof for Universal {
    fn name(&self) -> &'static str {
        "universal auth"
    }

    fn path(&self) -> &'static str {
        "universal-auth"
    }

    fn body<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>> {
        Box::pin(async {
            let secret = self.client_secret.read(cx).await?;
            object([
                ("clientId", Member::Plain(&self.client_id)),
                ("clientSecret", Member::Secret(&secret)),
            ])
        })
    }

    fn advice(&self) -> &'static str {
        "Check `infisical.client-id` and the client secret, which may be revoked, used up or expired; that \
         `infisical.url` is the server of this identity (`https://eu.infisical.com` for the European cloud); and the \
         identity's trusted addresses."
    }

    fn source(&self) -> Vec<PathBuf> {
        self.client_secret.file().into_iter().collect()
    }
}
