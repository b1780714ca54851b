//! Userpass: a name and a password.

use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{BoxFuture, FetchCx, ProviderError};
use zeroize::Zeroizing;

use super::login::Method;
use crate::bao::client::Api;
use crate::bao::wire::{self, Member};
use crate::{BuildCx, ConfigError, Credential};

/// One user.
#[derive(Debug)]
pub(super) struct Userpass {
    username: String,
    password: Credential,
}

impl Userpass {
    /// The user that the settings describe.
    ///
    /// # Errors
    /// The name or the password is missing.
    pub(super) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let missing = |name: &str, hint: &str| {
            ConfigError::new(
                format!("`{}` logs in by userpass and has no `{name}`", cx.instance),
                hint,
            )
        };
        let username = cx.settings.text("username").map(str::trim);
        let Some(username) = username.filter(|name| !name.is_empty()) else {
            return Err(missing("username", "Set `username` to the user's name."));
        };
        let Some(password) = cx.settings.credential("password-file") else {
            return Err(missing(
                "password-file",
                "Set `password-file` to a file that holds the user's password.",
            ));
        };
        Ok(Self {
            username: username.to_owned(),
            password: password.clone(),
        })
    }
}

impl Method for Userpass {
    fn name(&self) -> &'static str {
        "userpass"
    }

    fn subject(&self) -> Option<&str> {
        Some(&self.username)
    }

    fn body<'a>(
        &'a self,
        _: &'a Arc<Api>,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>> {
        Box::pin(async {
            let password = self.password.read(cx).await?;
            wire::object([("password", Member::Secret(&password))])
        })
    }

    fn advice(&self) -> String {
        "Check `username`, `password-file`, `auth-mount` and `namespace`. After several wrong passwords the server locks a user out for some minutes."
            .to_owned()
    }

    fn source(&self) -> Vec<PathBuf> {
        self.password.file().into_iter().collect()
    }
}
