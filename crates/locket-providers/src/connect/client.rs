//! Connect's five read requests, and what its refusals mean.

use std::fmt;

use locket_core::{FetchCx, ProviderError, SecretBytes};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::Credential;
use crate::http::{self, Body, Endpoint, Request, Response};
use crate::onepassword::{ItemSummary, Vault};

/// One Connect server.
pub(super) struct Client {
    http: http::Client,
    host: Endpoint,
    token: Credential,
}

/// The token, read anew for each call of the provider, and what surrounds the call.
pub(super) struct Session<'a> {
    client: &'a Client,
    token: SecretBytes,
    pub(super) cx: &'a FetchCx,
}

/// `ErrorResponse` of the specification; its message is not read, since nobody knows what it repeats.
#[derive(Deserialize)]
struct ErrorResponse {
    status: u16,
}

impl Client {
    pub(super) fn new(http: http::Client, host: Endpoint, token: Credential) -> Self {
        Self { http, host, token }
    }

    /// Closes the connections that nobody uses now.
    pub(super) fn rest(&self) {
        self.http.rest();
    }

    /// Reads the token.
    ///
    /// # Errors
    /// The token's file cannot be read.
    pub(super) async fn session<'a>(&'a self, cx: &'a FetchCx) -> Result<Session<'a>, ProviderError> {
        Ok(Session {
            client: self,
            token: self.token.read(cx).await?,
            cx,
        })
    }
}

impl Session<'_> {
    /// The vaults that the token sees, all or those that the server takes for `name`.
    pub(super) async fn vaults(&self, name: Option<&str>) -> Result<Vec<Vault>, ProviderError> {
        let request = self.get(&[]);
        self.list(filtered(request, "name", name)).await
    }

    /// The items of a vault, all or those that the server takes for `title`.
    pub(super) async fn items(
        &self,
        vault: &str,
        title: Option<&str>,
    ) -> Result<Vec<ItemSummary>, ProviderError> {
        let request = self.get(&[vault, "items"]);
        self.list(filtered(request, "title", title)).await
    }

    /// One item with all its values, as JSON.
    pub(super) async fn item(&self, vault: &str, item: &str) -> Result<Body, ProviderError> {
        Ok(self.send(self.get(&[vault, "items", item])).await?.body)
    }

    /// The content of one file.
    pub(super) async fn file(&self, vault: &str, item: &str, file: &str) -> Result<Body, ProviderError> {
        let segments = [vault, "items", item, "files", file, "content"];
        Ok(self.send(self.get(&segments)).await?.body)
    }

    fn get(&self, below_vaults: &[&str]) -> Request {
        let segments = ["v1", "vaults"].iter().chain(below_vaults);
        Request::get(self.client.host.join(segments))
    }

    async fn list<T: DeserializeOwned>(&self, request: Request) -> Result<Vec<T>, ProviderError> {
        let response = self.send(request).await?;
        serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(&response.place))
    }

    async fn send(&self, request: Request) -> Result<Response, ProviderError> {
        let request = request.bearer(&self.token)?;
        let response = self.client.http.send(request, self.cx).await?;
        if response.status.is_success() {
            return Ok(response);
        }
        Err(refused(&response))
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("host", &self.host)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

/// What a body is answered with that is not what Connect sends.
pub(super) fn not_the_protocol(place: &str) -> ProviderError {
    ProviderError::unavailable(format!(
        "{place} answered with something that Connect does not send"
    ))
    .hint("Check that `connect.host` is the address of a Connect server, without `/v1`.")
}

/// Adds a SCIM filter (RFC 7644, section 3.4.2.2), whose value is a JSON string.
fn filtered(request: Request, attribute: &str, value: Option<&str>) -> Request {
    match value {
        Some(value) => {
            let value = serde_json::Value::from(value);
            request.query("filter", &format!("{attribute} eq {value}"))
        }
        None => request,
    }
}

fn refused(response: &Response) -> ProviderError {
    match response.status.as_u16() {
        401 => response.error().hint(
            "Check that the access token is whole, belongs to this Connect server, and was neither revoked nor has \
             expired; a new one comes from the server's page in 1Password or from `op connect token create`.",
        ),
        403 => response
            .error()
            .hint("Use an access token that may read this vault; the vaults of a token are chosen when it is made."),
        // A proxy's or another server's 404 says nothing about the secret.
        404 if !is_connect_error(response) => not_the_protocol(&response.place),
        _ => response.error(),
    }
}

fn is_connect_error(response: &Response) -> bool {
    serde_json::from_slice::<ErrorResponse>(response.body.bytes())
        .is_ok_and(|error| error.status == response.status.as_u16())
}
