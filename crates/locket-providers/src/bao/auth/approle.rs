//! AppRole: a role id and a secret id become a token, which is renewed while the server allows it.

use std::sync::Arc;

use locket_core::{BoxFuture, ErrorKind, FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;

use crate::bao::client::Api;
use crate::bao::wire;
use crate::http::{Authority, Grant, Response, Stamp};
use crate::{BuildCx, ConfigError, Credential};

/// The login of one role.
#[derive(Debug)]
pub(in crate::bao) struct AppRole {
    api: Arc<Api>,
    mount: String,
    role_id: String,
    /// Absent for roles that are bound to an address instead.
    secret_id: Option<Credential>,
}

impl AppRole {
    /// The login that the settings describe.
    ///
    /// # Errors
    /// There is no role id, or the mount cannot be a path.
    pub(in crate::bao) fn new(cx: &BuildCx<'_>, api: Arc<Api>) -> Result<Self, ConfigError> {
        let Some(role_id) = cx.settings.text("role-id") else {
            return Err(ConfigError::new(
                format!("`{}` logs in by AppRole and has no `role-id`", cx.instance),
                "Set `role-id`; `bao read auth/approle/role/NAME/role-id` prints it.",
            ));
        };
        let mount = cx.settings.text("auth-mount").unwrap_or("approle");
        let mount = mount.trim_matches('/');
        let mount = mount.strip_prefix("auth/").unwrap_or(mount);
        if mount.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(ConfigError::new(
                "`auth-mount` is not a path",
                "Give the path under `auth/`, like `approle`.",
            ));
        }
        Ok(Self {
            api,
            mount: mount.to_owned(),
            role_id: role_id.trim().to_owned(),
            secret_id: cx.settings.credential("secret-id-file").cloned(),
        })
    }

    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let secret_id = self.secret_id.as_ref().map(Credential::read).transpose()?;
        let body = wire::approle_login(&self.role_id, secret_id.as_ref())?;
        let path = ["auth"].into_iter().chain(self.mount.split('/')).chain(["login"]);
        let response = self.api.send(self.api.post(path).json(body), None, cx).await?;
        if !response.status.is_success() {
            return Err(self.refused(&response));
        }
        wire::grant(&response)
    }

    /// A login answers 400 to wrong ids, and 403 to a wrong address as well as where no method is mounted.
    fn refused(&self, response: &Response) -> ProviderError {
        match response.status {
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND => {
                let code = response.status.as_u16();
                ProviderError::auth(format!("{} refused the AppRole login ({code})", response.place))
                    .hint(self.how_to_log_in())
            }
            _ => self.api.error(response),
        }
    }

    fn how_to_log_in(&self) -> &'static str {
        if self.secret_id.is_some() {
            "Check `role-id`, `auth-mount` and `namespace`, and the secret id, which may be used up, expired, or bound to other addresses."
        } else {
            "Set `secret-id-file`, unless the role is meant to do without a secret id; check `role-id`, `auth-mount` and `namespace`."
        }
    }
}

impl Authority for AppRole {
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

    fn source(&self) -> Vec<Stamp> {
        self.secret_id
            .as_ref()
            .map(Stamp::of_credential)
            .unwrap_or_default()
    }
}
