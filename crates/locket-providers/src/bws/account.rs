//! The machine account behind an access token: logs in, and keeps the keys that its logins brought.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use data_encoding::BASE64;
use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBytes, json_path};
use zeroize::Zeroizing;

use super::client::{Api, not_the_protocol};
use super::crypto::{Key, Unopened};
use super::token::AccessToken;
use super::wire;
use crate::Credential;
use crate::http::{Authority, Grant, OnNewSource, Response, Stamp, Token};

/// Logs in with an access token.
#[derive(Debug)]
pub(super) struct MachineAccount {
    api: Arc<Api>,
    token: Credential,
    /// By id: a session's token tells its organization.
    organizations: Mutex<HashMap<String, Arc<Organization>>>,
}

/// Whose secrets they are.
#[derive(Debug)]
pub(super) struct Organization {
    pub(super) id: String,
    pub(super) key: Key,
}

impl MachineAccount {
    pub(super) fn new(api: Arc<Api>, token: Credential) -> Self {
        Self {
            api,
            token,
            organizations: Mutex::default(),
        }
    }

    /// The organization that a session is for.
    ///
    /// # Errors
    /// The token came from elsewhere.
    pub(super) fn organization(&self, session: &Token) -> Result<Arc<Organization>, ProviderError> {
        #[expect(clippy::disallowed_methods, reason = "the claims of the token are read")]
        let id = wire::organization(session.value().expose());
        id.and_then(|id| self.known().get(&id).cloned())
            .ok_or_else(|| ProviderError::auth("the session belongs to no organization"))
    }

    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let token = AccessToken::parse(&self.token.read(cx).await?)?;
        let response = self.api.log_in(token.login_form(), cx).await?;
        let garbage = || not_the_protocol(&response.place);
        let login: wire::Login<'_> = serde_json::from_slice(response.body.bytes()).map_err(|_| garbage())?;
        let session = json_path::select(login.access_token.get().as_bytes(), "").map_err(|_| garbage())?;
        let id = organization_of(&session).ok_or_else(garbage)?;
        let key = organization_key(&login, &token, &response)?;
        let organization = Arc::new(Organization { id: id.clone(), key });
        self.known().insert(id, organization);
        Ok(Grant::new(session).lasting(Duration::from_secs(login.expires_in)))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<String, Arc<Organization>>> {
        self.organizations.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Authority for MachineAccount {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        Box::pin(Stamp::of_each(self.token.file().into_iter().collect(), cx))
    }

    fn on_new_source(&self) -> OnNewSource {
        // Another access token may be another machine account, of another organization.
        OnNewSource::Replace
    }
}

fn organization_of(session: &SecretBytes) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the claims of the token are read")]
    wire::organization(session.expose())
}

fn organization_key(
    login: &wire::Login<'_>,
    token: &AccessToken,
    response: &Response,
) -> Result<Key, ProviderError> {
    let garbage = || not_the_protocol(&response.place);
    let payload = token
        .key()
        .open(&login.encrypted_payload)
        .map_err(|why| match why {
            Unopened::Malformed => garbage(),
            Unopened::NotAuthentic => ProviderError::auth(
                "the server accepts the access token, but its last part does not open what the login brought",
            )
            .hint("Copy the token anew: what stands behind the `:` belongs to another one or was changed."),
        })?;
    let payload: wire::Payload<'_> = serde_json::from_slice(&payload).map_err(|_| garbage())?;
    let key = Zeroizing::new(
        BASE64
            .decode(payload.encryption_key.as_bytes())
            .map_err(|_| garbage())?,
    );
    Key::new(&key).ok_or_else(garbage)
}
