//! A secret id inside a response-wrapping token, which opens once. That it was opened before, or holds something
//! else, is how a theft on the way shows, so it is said aloud and never passed over.
//!
//! Source: `sys/wrapping/lookup` and `sys/wrapping/unwrap` of the HTTP API.

use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;
use tokio::sync::Mutex;

use crate::Credential;
use crate::bao::client::Api;
use crate::bao::wire::{self, Member};
use crate::http::Stamp;
use crate::turn::turn;

/// A wrapping token in a file, and what came out of it.
pub(super) struct Wrapped {
    credential: Credential,
    /// Where secret ids must come from: the mount of the AppRole method, and the role's name if it is known.
    mount: String,
    role: Option<String>,
    /// Held while unwrapping: the token opens for one.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Goes on where a cancelled login left it: what the server has opened must not get lost.
    opening: Option<Opening>,
    opened: Option<Opened>,
    /// The file whose token this process tried to open without learning what came of it.
    in_doubt: Option<Vec<Stamp>>,
}

struct Opening {
    outcome: BoxFuture<'static, Result<SecretBytes, ProviderError>>,
    source: Vec<Stamp>,
}

struct Opened {
    secret_id: Arc<SecretBytes>,
    source: Vec<Stamp>,
}

impl Wrapped {
    /// The wrapping token in `credential`, of a secret id for `role` at `mount`.
    pub(super) fn new(credential: Credential, mount: String, role: Option<String>) -> Self {
        Self {
            credential,
            mount,
            role,
            state: Mutex::default(),
        }
    }

    /// The secret id: unwrapped once, then from memory until the file holds another token.
    ///
    /// # Errors
    /// The token does not open, or is not of a secret id of this method.
    pub(super) async fn secret_id(
        &self,
        api: &Arc<Api>,
        cx: &FetchCx,
    ) -> Result<Arc<SecretBytes>, ProviderError> {
        let mut state = turn(
            &self.state,
            cx,
            "unwrapping the secret id took all the time there was",
        )
        .await?;
        let looked = Stamp::of_each(self.file().into_iter().collect(), cx).await;
        if let Some(opened) = &state.opened {
            // A file that is gone, or cannot be looked at, holds no other token: this one is spent and often removed.
            let is_other =
                |source: &Vec<Stamp>| *source != opened.source && source.iter().any(|stamp| stamp.is_there());
            if !looked.as_ref().is_ok_and(is_other) {
                return Ok(opened.secret_id.clone());
            }
        }
        let source = looked?;
        if state.opening.is_none() {
            let token = self.credential.read(cx).await?;
            let in_doubt = state.in_doubt.as_ref() == Some(&source);
            self.check_origin(api, &token, in_doubt, cx).await?;
            state.in_doubt = Some(source.clone());
            let outcome = Box::pin(open(api.clone(), token, cx.clone()));
            state.opening = Some(Opening { outcome, source });
        }
        let Some(opening) = &mut state.opening else {
            return Err(ProviderError::auth("the secret id is not being unwrapped"));
        };
        let outcome = (&mut opening.outcome).await;
        let source = state.opening.take().map(|opening| opening.source);
        let secret_id = Arc::new(outcome?);
        tracing::info!("the secret id was unwrapped");
        state.in_doubt = None;
        state.opened = source.map(|source| Opened {
            secret_id: secret_id.clone(),
            source,
        });
        Ok(secret_id)
    }

    /// The file of the token.
    pub(super) fn file(&self) -> Option<PathBuf> {
        self.credential.file()
    }

    /// Looks the token up without opening it. Who swaps it for a token of their own gets noticed.
    async fn check_origin(
        &self,
        api: &Arc<Api>,
        token: &SecretBytes,
        in_doubt: bool,
        cx: &FetchCx,
    ) -> Result<(), ProviderError> {
        let body = wire::object([("token", Member::Secret(token))])?;
        let request = api.post(["sys", "wrapping", "lookup"]).json(body);
        let response = api.send(request, None, cx).await?;
        match response.status {
            status if status.is_success() => {}
            StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => return Err(spent(in_doubt)),
            _ => return Err(api.error(&response)),
        }
        let path = wire::creation_path(&response)?;
        if self.may_come_from(&path) {
            return Ok(());
        }
        let error = ProviderError::auth(format!(
            "the wrapping token was made by `{path}`, which hands out no secret ids of this role: \
             somebody else may have read the secret id and put this token in its place"
        ))
        .hint(format!(
            "Have a new secret id issued by `auth/{}/role/{}/secret-id`, and find out who changed `secret-id-file`.",
            self.mount,
            self.role.as_deref().unwrap_or("NAME"),
        ));
        tracing::error!("{error}");
        Err(error)
    }

    fn may_come_from(&self, path: &str) -> bool {
        let path = path.trim_matches('/');
        let Some(rest) = path
            .strip_prefix("auth/")
            .and_then(|path| path.strip_prefix(self.mount.as_str()))
            .and_then(|path| path.strip_prefix("/role/"))
        else {
            return false;
        };
        let Some((role, "secret-id" | "custom-secret-id")) = rest.split_once('/') else {
            return false;
        };
        !role.is_empty() && self.role.as_deref().is_none_or(|known| known == role)
    }
}

async fn open(api: Arc<Api>, token: SecretBytes, cx: FetchCx) -> Result<SecretBytes, ProviderError> {
    let request = api.post(["sys", "wrapping", "unwrap"]);
    let response = api.send(request, Some(&token), &cx).await?;
    match response.status {
        status if status.is_success() => wire::unwrapped_secret_id(&response),
        StatusCode::BAD_REQUEST | StatusCode::FORBIDDEN => Err(spent(false)),
        _ => Err(api.error(&response)),
    }
}

/// The token does not open any more.
fn spent(by_us_perhaps: bool) -> ProviderError {
    let error = if by_us_perhaps {
        ProviderError::auth(
            "the wrapping token in `secret-id-file` was used: an attempt of this process got no answer, \
             which may be why; if not, somebody else has read the secret id",
        )
    } else {
        ProviderError::auth(
            "the wrapping token in `secret-id-file` was used before or has ended: \
             somebody else may have read the secret id",
        )
    };
    let error = error.hint(
        "Look in the server's audit log for who unwrapped it. If it was not an earlier start of this agent, destroy the secret id; then put a new wrapping token into the file.",
    );
    tracing::error!("{error}");
    error
}

impl std::fmt::Debug for Wrapped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Wrapped")
            .field("credential", &self.credential)
            .finish_non_exhaustive()
    }
}
