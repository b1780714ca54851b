//! What all logins have in common: a request that brings a token, what a refusal of it means, and the token's renewal.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use locket_core::{BoxFuture, ErrorKind, FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;
use zeroize::Zeroizing;

use crate::http::{Authority, Grant, Member, Response, Stamp, object};
use crate::infisical::client::Api;
use crate::infisical::wire;

/// One way to prove who is asking.
pub(super) trait Proof: fmt::Debug + Send + Sync {
    /// What messages call it.
    fn name(&self) -> &'static str;

    /// Its part of the request's path, such as `universal-auth`.
    fn path(&self) -> &'static str;

    /// The body of the request, made anew for each login: files are read again.
    fn body<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>>;

    /// What to look at when the server refuses, as a sentence.
    fn advice(&self) -> &'static str;

    /// The files that a login starts from.
    fn source(&self) -> Vec<PathBuf> {
        Vec::new()
    }
}

/// A login by one proof.
#[derive(Debug)]
pub(super) struct Login {
    api: Arc<Api>,
    proof: Box<dyn Proof>,
}

impl Login {
    pub(super) fn new(api: Arc<Api>, proof: Box<dyn Proof>) -> Self {
        Self { api, proof }
    }

    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let body = self.proof.body(cx).await?;
        let response = self.api.post_auth([self.proof.path(), "login"], body, cx).await?;
        match response.status.is_success() {
            true => wire::grant(&response),
            false => Err(self.refused(&response)),
        }
    }

    /// What is wrong with a login comes with any of these statuses, an identity that does not exist among them.
    fn refused(&self, response: &Response) -> ProviderError {
        match response.status {
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::UNPROCESSABLE_ENTITY => ProviderError::auth(format!(
                "{} refused the {} login ({})",
                response.place,
                self.proof.name(),
                response.status.as_u16()
            ))
            .hint(self.proof.advice()),
            _ => response.error(),
        }
    }

    async fn renew_token(&self, token: &SecretBytes, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let body = object([("accessToken", Member::Secret(token))])?;
        let response = self.api.post_auth(["token", "renew"], body, cx).await?;
        if response.status.is_success() {
            return wire::grant(&response);
        }
        // Whatever was wrong with the request: this token gets no more time.
        let error = response.error();
        Err(match error.kind {
            ErrorKind::RateLimited { .. } | ErrorKind::Unavailable => error,
            _ => ProviderError {
                kind: ErrorKind::Auth,
                ..error
            },
        })
    }
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
        Box::pin(self.renew_token(token, cx))
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        Box::pin(Stamp::of_each(self.proof.source(), cx))
    }
}
