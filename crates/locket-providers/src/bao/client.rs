//! Requests as the server wants them, and what its failures mean. Knows no token of its own and no reference.

use locket_core::{FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderName};

use crate::bao::wire::{self, Absence};
use crate::http::{Client, Endpoint, Request, Response};

const TOKEN: HeaderName = HeaderName::from_static("x-vault-token");
const NAMESPACE: HeaderName = HeaderName::from_static("x-vault-namespace");
/// Proves to agents that listen for it that no browser was tricked into the request.
const REQUEST: HeaderName = HeaderName::from_static("x-vault-request");

/// What means the same whoever says it, in whatever form: a load balancer or proxy speaks for itself.
const ANYBODYS: [StatusCode; 4] = [
    StatusCode::PROXY_AUTHENTICATION_REQUIRED,
    StatusCode::REQUEST_TIMEOUT,
    StatusCode::TOO_EARLY,
    StatusCode::TOO_MANY_REQUESTS,
];

/// One server, in one namespace.
#[derive(Debug)]
pub(super) struct Api {
    http: Client,
    endpoint: Endpoint,
    namespace: Option<String>,
}

impl Api {
    /// The server at `endpoint`.
    pub(super) fn new(http: Client, endpoint: Endpoint, namespace: Option<&str>) -> Self {
        let namespace = namespace
            .map(|text| text.trim_matches('/').to_owned())
            .filter(|text| !text.is_empty());
        Self {
            http,
            endpoint,
            namespace,
        }
    }

    /// A `GET` of the API path `segments`, without the leading `v1`.
    pub(super) fn get<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Request {
        Request::get(self.endpoint.join(["v1"].into_iter().chain(segments)))
    }

    /// A `POST` to the API path `segments`, without the leading `v1`.
    pub(super) fn post<'a>(&self, segments: impl IntoIterator<Item = &'a str>) -> Request {
        Request::post(self.endpoint.join(["v1"].into_iter().chain(segments)))
    }

    /// Sends `request` with `token`.
    ///
    /// # Errors
    /// There is no answer, or one that no such server gives; every other status is an answer.
    pub(super) async fn send(
        &self,
        request: Request,
        token: Option<&SecretBytes>,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let mut request = request.header(REQUEST, "true")?;
        if let Some(namespace) = &self.namespace {
            request = request.header(NAMESPACE, namespace)?;
        }
        if let Some(token) = token {
            request = request.secret_header(TOKEN, token)?;
        }
        let response = self.http.send(request, cx).await?;
        let is_json = response
            .header(&CONTENT_TYPE)
            .is_some_and(|kind| kind.starts_with("application/json"));
        // What stands in front of the server may answer in its place, in JSON too. Its 404 is no missing secret.
        let is_the_servers = match response.status {
            StatusCode::NO_CONTENT => true,
            StatusCode::NOT_FOUND | StatusCode::GONE => is_json && wire::absence(&response).is_some(),
            status => {
                is_json || status.is_server_error() || status.is_redirection() || ANYBODYS.contains(&status)
            }
        };
        match is_the_servers {
            true => Ok(response),
            false => Err(not_the_api(&response)),
        }
    }

    /// Closes the connections that nobody uses now.
    pub(super) fn rest(&self) {
        self.http.rest();
    }

    /// What a status that the caller has no use for means.
    pub(super) fn error(&self, response: &Response) -> ProviderError {
        let error = response.error();
        match response.status {
            StatusCode::SERVICE_UNAVAILABLE => error.hint(
                "The server is sealed, or has no active node: `bao status` tells. Locket goes on asking.",
            ),
            StatusCode::BAD_REQUEST => {
                error.hint("Check the path, and `namespace` if the server uses namespaces.")
            }
            StatusCode::NOT_FOUND | StatusCode::GONE => no_path(response),
            _ => error,
        }
    }
}

/// What a 404 means that does not say that a secret is missing. Something that the token may not see is not told from
/// something that is not there, so that nothing stands in for it.
pub(super) fn no_path(response: &Response) -> ProviderError {
    match wire::absence(response) {
        Some(Absence::NoPath) => ProviderError::denied(format!(
            "{} leads nowhere ({})",
            response.place,
            response.status.as_u16()
        ))
        .hint(
            "Check how the path begins, and `namespace` if the server uses namespaces: nothing is mounted there, or the engine has no such path.",
        ),
        // What is asked for here is always there: that there is nothing is said by another.
        _ => not_the_api(response),
    }
}

fn not_the_api(response: &Response) -> ProviderError {
    ProviderError::unavailable(format!(
        "{} answered {} in another form than OpenBao and Vault do: this is not the API",
        response.place,
        response.status.as_u16()
    ))
    .hint("Check `url`: scheme, host, port, and the path in front of `/v1` if there is one. If it is right, something in front of the server answers in its place.")
}
