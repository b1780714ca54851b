//! What all logins have in common: a request that brings a token, what a refusal of it means, and the token's
//! renewal while the server allows it.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{BoxFuture, ErrorKind, FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;
use zeroize::Zeroizing;

use crate::bao::client::Api;
use crate::bao::wire::{self, Absence};
use crate::http::{Authority, Grant, Response, Stamp};
use crate::{BuildCx, ConfigError};

/// One way to prove who is asking.
pub(super) trait Method: fmt::Debug + Send + Sync {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// What follows `login` in the path of the request.
    fn subject(&self) -> Option<&str> {
        None
    }

    /// The body of the request, made anew for each login: files are read again.
    fn body<'a>(
        &'a self,
        api: &'a Arc<Api>,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>>;

    /// What to look at when the server refuses, as a sentence.
    fn advice(&self) -> String;

    /// The files that a login starts from.
    fn source(&self) -> Vec<PathBuf>;
}

/// A login by one method at one mount.
#[derive(Debug)]
pub(super) struct Login {
    api: Arc<Api>,
    mount: String,
    method: Box<dyn Method>,
}

impl Login {
    /// A login by `method`, at the mount that the settings name or else at `usual`.
    ///
    /// # Errors
    /// The mount cannot be a path.
    pub(super) fn new(
        cx: &BuildCx<'_>,
        api: Arc<Api>,
        usual: &str,
        method: Box<dyn Method>,
    ) -> Result<Self, ConfigError> {
        Ok(Self {
            api,
            mount: mount(cx, usual)?,
            method,
        })
    }

    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let body = self.method.body(&self.api, cx).await?;
        let path = ["auth"]
            .into_iter()
            .chain(self.mount.split('/'))
            .chain(["login"])
            .chain(self.method.subject());
        let response = self.api.send(self.api.post(path).json(body), None, cx).await?;
        if !response.status.is_success() {
            return Err(self.refused(&response));
        }
        wire::grant(&response)
    }

    /// A login answers 400 to what is wrong with it, 403 to a wrong address, and 403 or 404 where no method is mounted.
    fn refused(&self, response: &Response) -> ProviderError {
        match response.status {
            StatusCode::NOT_FOUND if wire::absence(response) != Some(Absence::NoPath) => {
                self.api.error(response)
            }
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND => {
                let code = response.status.as_u16();
                let name = self.method.name();
                ProviderError::auth(format!("{} refused the {name} login ({code})", response.place))
                    .hint(self.method.advice())
            }
            _ => self.api.error(response),
        }
    }
}

/// Where the method is mounted, without `auth/` in front.
///
/// # Errors
/// The setting cannot be a path.
pub(super) fn mount(cx: &BuildCx<'_>, usual: &str) -> Result<String, ConfigError> {
    let mount = cx.settings.text("auth-mount").unwrap_or(usual).trim_matches('/');
    let mount = mount.strip_prefix("auth/").unwrap_or(mount);
    if mount.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(ConfigError::new(
            "`auth-mount` is not a path",
            format!("Give the path under `auth/`, like `{usual}`."),
        ));
    }
    Ok(mount.to_owned())
}

impl Authority for Login {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }

    fn renew<'a>(
        &'a self,
        token: &'a SecretBytes,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(async move {
            let request = self.api.post(["auth", "token", "renew-self"]);
            let response = self.api.send(request, Some(token), cx).await?;
            if response.status.is_success() {
                return wire::grant(&response);
            }
            // Whatever was wrong with the request: this token gets no more time.
            let error = self.api.error(&response);
            Err(match error.kind {
                ErrorKind::RateLimited { .. } | ErrorKind::Unavailable => error,
                _ => ProviderError {
                    kind: ErrorKind::Auth,
                    ..error
                },
            })
        })
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        Box::pin(Stamp::of_each(self.method.source(), cx))
    }
}
