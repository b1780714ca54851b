//! AppRole: a role id, and a secret id that is given or stands in a response-wrapping token.

use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBytes};
use zeroize::Zeroizing;

use super::login::{Method, mount};
use super::wrapping::Wrapped;
use crate::bao::client::Api;
use crate::bao::wire::{self, Member};
use crate::{BuildCx, ConfigError, Credential};

/// One role.
#[derive(Debug)]
pub(super) struct AppRole {
    role_id: String,
    secret_id: SecretId,
}

#[derive(Debug)]
enum SecretId {
    /// For roles that are bound to an address instead.
    None,
    Given(Credential),
    Wrapped(Wrapped),
}

impl AppRole {
    /// The role that the settings describe.
    ///
    /// # Errors
    /// There is no role id, or nothing to unwrap, or the mount cannot be a path.
    pub(super) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let Some(role_id) = cx.settings.text("role-id") else {
            return Err(ConfigError::new(
                format!("`{}` logs in by AppRole and has no `role-id`", cx.instance),
                "Set `role-id`; `bao read auth/approle/role/NAME/role-id` prints it.",
            ));
        };
        let secret_id = cx.settings.credential("secret-id-file").cloned();
        let is_wrapped = cx.settings.text("secret-id-wrapped") == Some("true");
        let secret_id = match (secret_id, is_wrapped) {
            (None, false) => SecretId::None,
            (Some(credential), false) => SecretId::Given(credential),
            (Some(credential), true) => {
                let role = cx.settings.text("role").map(str::to_owned);
                SecretId::Wrapped(Wrapped::new(credential, mount(cx, "approle")?, role))
            }
            (None, true) => {
                return Err(ConfigError::new(
                    format!(
                        "`{}` has `secret-id-wrapped` and no `secret-id-file`",
                        cx.instance
                    ),
                    "Set `secret-id-file` to a file that holds the wrapping token.",
                ));
            }
        };
        Ok(Self {
            role_id: role_id.trim().to_owned(),
            secret_id,
        })
    }

    fn encode(&self, secret_id: Option<&SecretBytes>) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let role_id = ("role_id", Member::Plain(&self.role_id));
        let secret_id = secret_id.map(|secret| ("secret_id", Member::Secret(secret)));
        wire::object([role_id].into_iter().chain(secret_id))
    }
}

impl Method for AppRole {
    fn name(&self) -> &'static str {
        "AppRole"
    }

    fn body<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>> {
        Box::pin(async move {
            match &self.secret_id {
                SecretId::None => self.encode(None),
                SecretId::Given(credential) => self.encode(Some(&credential.read(cx).await?)),
                SecretId::Wrapped(wrapped) => self.encode(Some(&*wrapped.secret_id(api, cx).await?)),
            }
        })
    }

    fn advice(&self) -> String {
        match &self.secret_id {
            SecretId::None => "Set `secret-id-file`, unless the role is meant to do without a secret id; check `role-id`, `auth-mount` and `namespace`.",
            SecretId::Given(_) => "Check `role-id`, `auth-mount` and `namespace`, and the secret id, which may be used up, expired, or bound to other addresses.",
            SecretId::Wrapped(_) => "Check `role-id`, `auth-mount` and `namespace`. If the secret id that was unwrapped is used up or has expired, put a new wrapping token into `secret-id-file`.",
        }
        .to_owned()
    }

    fn source(&self) -> Vec<PathBuf> {
        match &self.secret_id {
            SecretId::None => Vec::new(),
            SecretId::Given(credential) => credential.file().into_iter().collect(),
            SecretId::Wrapped(wrapped) => wrapped.file().into_iter().collect(),
        }
    }
}
