//! The requests that are sent, and what refusals mean. Knows no session and opens nothing.

use locket_core::{FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;
use reqwest::header::{HeaderName, HeaderValue};
use zeroize::Zeroizing;

use super::reference::Uuid;
use super::wire;
use crate::http::{Client, Endpoint, Request, Response};

/// The kind of client, in the API's own numbers: 21 is the SDK of Secrets Manager.
const DEVICE_TYPE: (HeaderName, &str) = (HeaderName::from_static("device-type"), "21");

/// The two servers of one Bitwarden.
#[derive(Debug)]
pub(super) struct Api {
    http: Client,
    api: Endpoint,
    identity: Endpoint,
}

impl Api {
    pub(super) fn new(http: Client, api: Endpoint, identity: Endpoint) -> Self {
        Self { http, api, identity }
    }

    /// Closes the connections that nobody uses now.
    pub(super) fn rest(&self) {
        self.http.rest();
    }

    /// Logs in with the form of an access token.
    ///
    /// # Errors
    /// There is no answer, the token is refused, or this is no identity server.
    pub(super) async fn log_in(
        &self,
        form: Zeroizing<Vec<u8>>,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let kind = HeaderValue::from_static("application/x-www-form-urlencoded; charset=utf-8");
        let request = Request::post(self.identity.join(["connect", "token"])).body(kind, form);
        let response = self.http.send(from_us(request)?, cx).await?;
        match response.status {
            status if status.is_success() => Ok(response),
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
                if wire::is_login_refusal(response.body.bytes()) =>
            {
                Err(login_refused(&response))
            }
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED => Err(not_the_protocol(&response.place)),
            _ => Err(response.error()),
        }
    }

    /// Reads the API path `segments`.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub(super) async fn get(
        &self,
        segments: &[String],
        session: &SecretBytes,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        self.send(Request::get(self.api.join(segments)), session, cx)
            .await
    }

    /// Reads the secrets of these ids, which must differ: the server refuses all of them when one does not exist, may
    /// not be read, or comes twice.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub(super) async fn by_ids(
        &self,
        ids: &[Uuid],
        session: &SecretBytes,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let ids: Vec<_> = ids.iter().map(Uuid::as_str).collect();
        let body = serde_json::json!({ "ids": ids }).to_string();
        let request =
            Request::post(self.api.join(["secrets", "get-by-ids"])).json(Zeroizing::new(body.into_bytes()));
        self.send(request, session, cx).await
    }

    async fn send(
        &self,
        request: Request,
        session: &SecretBytes,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let request = from_us(request)?.bearer(session)?;
        let response = self.http.send(request, cx).await?;
        let own = || wire::is_refusal(response.body.bytes());
        match response.status {
            status if status.is_success() => Ok(response),
            // Each of these may also be said by a proxy, which knows nothing of secrets.
            StatusCode::NOT_FOUND if !own() => Err(not_the_protocol(&response.place)),
            StatusCode::FORBIDDEN => Err(response.error().hint(
                "Check that the organization's subscription to Secrets Manager is active and the machine account was not suspended.",
            )),
            _ => Err(response.error()),
        }
    }
}

fn from_us(request: Request) -> Result<Request, ProviderError> {
    let (name, value) = DEVICE_TYPE;
    request.header(name, value)
}

/// The server does not say why. A token that was revoked, has expired, or is of another server is one it never heard of.
fn login_refused(response: &Response) -> ProviderError {
    ProviderError::auth(format!(
        "{} does not accept the access token ({})",
        response.place,
        response.status.as_u16()
    ))
    .hint(
        "Check that the token was neither revoked nor has expired, and is of this server: one of bitwarden.eu needs \
         `bws.server-url` set to `https://vault.bitwarden.eu`, one of a server of your own its address.",
    )
}

/// What an answer means that is not what Bitwarden sends.
pub(super) fn not_the_protocol(place: &str) -> ProviderError {
    ProviderError::unavailable(format!(
        "{place} answered with something that Bitwarden does not send"
    ))
    .hint("Check `bws.server-url`, or `bws.api-url` and `bws.identity-url`; of a server of your own they usually end in `/api` and `/identity`.")
}
