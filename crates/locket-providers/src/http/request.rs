//! One request and its response, as providers write and read them.

use locket_core::{ProviderError, SecretBytes};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use zeroize::Zeroizing;

use crate::http::body::Body;
use crate::http::error::status_error;

/// A request under construction.
pub(crate) struct Request {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<Zeroizing<Vec<u8>>>,
    /// Whether it must not be sent a second time where nobody knows what became of the first.
    pub(super) is_single: bool,
}

/// Host, port where it is not the usual one, and path: what messages and logs may show of an address.
#[derive(Debug)]
pub(super) struct Place {
    text: String,
    /// Where the path begins.
    path: usize,
    /// Whether it is spoken to over TLS.
    pub(super) is_secure: bool,
}

/// What a server answered, whatever the status.
#[derive(Debug)]
pub(crate) struct Response {
    /// The status line's code.
    pub(crate) status: StatusCode,
    /// The headers.
    pub(crate) headers: HeaderMap,
    /// The whole body.
    pub(crate) body: Body,
    /// Host and path, for messages.
    pub(crate) place: String,
    /// When it arrived, for `Retry-After` dates.
    pub(super) arrived: std::time::SystemTime,
}

impl Request {
    /// A request of `method` to `url`.
    pub(crate) fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            is_single: false,
        }
    }

    /// A `GET` of `url`.
    pub(crate) fn get(url: Url) -> Self {
        Self::new(Method::GET, url)
    }

    /// A `POST` to `url`.
    pub(crate) fn post(url: Url) -> Self {
        Self::new(Method::POST, url)
    }

    /// The same, of which each one counts though it only reads: what it reads is made for it, like a lease.
    #[must_use]
    pub(crate) fn single(mut self) -> Self {
        self.is_single = true;
        self
    }

    /// Adds `name=value` to the query, percent-encoded.
    #[must_use]
    pub(crate) fn query(mut self, name: &str, value: &str) -> Self {
        self.url.query_pairs_mut().append_pair(name, value);
        self
    }

    /// Sets a header that is not secret.
    ///
    /// # Errors
    /// `value` holds a byte that no header may carry.
    pub(crate) fn header(mut self, name: HeaderName, value: &str) -> Result<Self, ProviderError> {
        let value = HeaderValue::from_str(value).map_err(|_| unfit(&name))?;
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Sets a header whose value is secret: neither logged nor indexed by HTTP/2's header compression.
    ///
    /// # Errors
    /// `value` holds a byte that no header may carry.
    #[expect(
        clippy::disallowed_methods,
        reason = "the credential goes to the server that issued it"
    )]
    pub(crate) fn secret_header(
        mut self,
        name: HeaderName,
        value: &SecretBytes,
    ) -> Result<Self, ProviderError> {
        let mut value = HeaderValue::from_bytes(value.expose()).map_err(|_| unfit(&name))?;
        value.set_sensitive(true);
        self.headers.insert(name, value);
        Ok(self)
    }

    /// Authenticates with a bearer token.
    ///
    /// # Errors
    /// The token holds a byte that no header may carry.
    #[expect(
        clippy::disallowed_methods,
        reason = "the credential goes to the server that issued it"
    )]
    pub(crate) fn bearer(self, token: &SecretBytes) -> Result<Self, ProviderError> {
        let mut value = Zeroizing::new(Vec::with_capacity(7 + token.len()));
        value.extend_from_slice(b"Bearer ");
        value.extend_from_slice(token.expose());
        self.secret_header(AUTHORIZATION, &SecretBytes::copy_from(&value))
    }

    /// Sends `body` as JSON. It may hold secrets and is wiped once sent.
    #[must_use]
    pub(crate) fn json(self, body: Zeroizing<Vec<u8>>) -> Self {
        self.body(HeaderValue::from_static("application/json"), body)
    }

    /// Sends `body` as `content_type`. It may hold secrets and is wiped once sent.
    #[must_use]
    pub(crate) fn body(mut self, content_type: HeaderValue, body: Zeroizing<Vec<u8>>) -> Self {
        self.headers.insert(CONTENT_TYPE, content_type);
        self.body = Some(body);
        self
    }

    /// `GET`, `POST`, …, for what signs requests.
    pub(crate) fn method(&self) -> &Method {
        &self.method
    }

    /// Path and query as they go over the wire.
    pub(crate) fn target(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// What the `Host` field will say.
    pub(crate) fn host(&self) -> String {
        host(&self.url)
    }

    /// The text of a header that was set; empty when it was not.
    pub(crate) fn header_text(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The same request with these headers, which somebody else put together.
    #[must_use]
    pub(crate) fn with_headers(mut self, headers: HeaderMap) -> Self {
        self.headers = headers;
        self
    }

    /// The same request with a body as it is. It may hold secrets and is wiped once sent.
    #[must_use]
    pub(crate) fn with_body(mut self, body: Option<Zeroizing<Vec<u8>>>) -> Self {
        self.body = body;
        self
    }
}

impl Place {
    pub(super) fn of(url: &Url) -> Self {
        let mut text = host(url);
        let path = text.len();
        text.push_str(url.path());
        Self {
            text,
            path,
            is_secure: url.scheme() == "https",
        }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    pub(super) fn host(&self) -> &str {
        &self.text[..self.path]
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.text
    }
}

impl Response {
    /// What the status means to most servers.
    pub(crate) fn error(&self) -> ProviderError {
        status_error(self.status, &self.headers, &self.place, self.arrived)
    }

    /// A header's text.
    pub(crate) fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Host, and port where it is not the usual one.
pub(super) fn host(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    match url.port() {
        Some(port) => format!("{host}:{port}"),
        None => host.to_owned(),
    }
}

fn unfit(name: &HeaderName) -> ProviderError {
    ProviderError::auth(format!(
        "the value for the header `{name}` holds a byte that no header may carry"
    ))
    .hint("Check that the credential is a single line of text without control characters.")
}
