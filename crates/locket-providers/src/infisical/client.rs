//! Requests as the server wants them, and what its refusals mean. Knows no token of its own and no reference.

use locket_core::{FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;
use zeroize::Zeroizing;

use super::wire::{self, Refused};
use crate::http::{Client, Endpoint, Request, Response};

/// One server.
#[derive(Debug)]
pub(super) struct Api {
    http: Client,
    endpoint: Endpoint,
}

impl Api {
    pub(super) fn new(http: Client, endpoint: Endpoint) -> Self {
        Self { http, endpoint }
    }

    /// A `GET` below `/api`.
    pub(super) fn get<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Request {
        Request::get(self.endpoint.join(["api"].into_iter().chain(path)))
    }

    /// Posts `body` to a path below `/api/v1/auth`. Any status is an answer.
    ///
    /// # Errors
    /// There is no answer, or one that is not the API's.
    pub(super) async fn post_auth(
        &self,
        path: [&str; 2],
        body: Zeroizing<Vec<u8>>,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let path = ["api", "v1", "auth"].into_iter().chain(path);
        let response = self
            .http
            .send(Request::post(self.endpoint.join(path)).json(body), cx)
            .await?;
        let is_own = || wire::refused(&response) != Refused::BySomethingElse;
        if response.status.is_client_error() && response.status != StatusCode::TOO_MANY_REQUESTS && !is_own()
        {
            return Err(not_the_protocol(&response.place));
        }
        Ok(response)
    }

    /// Sends `request` with `token`; `None` when the server has no such request.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub(super) async fn send(
        &self,
        request: Request,
        token: &SecretBytes,
        cx: &FetchCx,
    ) -> Result<Option<Response>, ProviderError> {
        let response = self.http.send(request.bearer(token)?, cx).await?;
        if response.status.is_success() {
            return Ok(Some(response));
        }
        let error = response.error();
        match (response.status, wire::refused(&response)) {
            (StatusCode::NOT_FOUND, Refused::NoRequest) => Ok(None),
            (StatusCode::NOT_FOUND, Refused::BySomethingElse) => Err(not_the_protocol(&response.place)),
            (StatusCode::UNAUTHORIZED, _) | (StatusCode::FORBIDDEN, Refused::Token) => {
                Err(token_refused(&response))
            }
            (StatusCode::FORBIDDEN, Refused::ByApi) => Err(ProviderError {
                context: format!("{} may not be read by this identity (403)", response.place),
                ..error
            }),
            _ => Err(error),
        }
    }

    /// Closes the connections that nobody uses now.
    pub(super) fn rest(&self) {
        self.http.rest();
    }
}

fn token_refused(response: &Response) -> ProviderError {
    let host = response.place.split('/').next().unwrap_or_default();
    ProviderError::auth(format!(
        "{host} does not accept the access token: it is unknown, was revoked or has ended ({})",
        response.status.as_u16()
    ))
    .hint("Give a fresh token, or log in by a method that renews it, such as universal auth.")
}

/// What an answer means that is not what Infisical sends.
pub(super) fn not_the_protocol(place: &str) -> ProviderError {
    ProviderError::unavailable(format!(
        "{place} answered with something that Infisical does not send"
    ))
    .hint("Check `infisical.url`: it is the address of the server, without `/api`.")
}
