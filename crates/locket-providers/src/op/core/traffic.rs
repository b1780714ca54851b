//! The requests of the core, sent by our own client and to nobody but the address that the token names.

use std::sync::Arc;

use locket_core::{FetchCx, ProviderError};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, StatusCode, Url};
use zeroize::Zeroizing;

use super::machine::{Answer, Incoming, Outgoing};
use super::value::Object;
use crate::http::{Client, Request};

/// What the core may reach, and how.
pub(super) struct Traffic<'a> {
    pub(super) http: &'a Client,
    /// The only address, such as `https://example.1password.com/`.
    pub(super) home: &'a Url,
    pub(super) cx: &'a FetchCx,
}

/// One request that is done.
pub(super) struct Delivered {
    pub(super) incoming: Incoming,
    /// What was wrong with it, where that is not the core's to handle.
    pub(super) trouble: Option<Trouble>,
}

/// What a request met.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    /// Nothing came of it, or the server can do nothing now: asking on is of no use.
    Fatal(ProviderError),
    /// The server refused, and the core may know better: this is what it meant if the core fails.
    Refused(ProviderError),
}

impl Traffic<'_> {
    /// Sends one request and gives what the core gets of the answer.
    pub(super) async fn deliver(&self, outgoing: Outgoing) -> Delivered {
        let id = outgoing.id;
        let failed = |error| Delivered {
            incoming: Incoming { id, answer: None },
            trouble: Some(Trouble::Fatal(error)),
        };
        let request = match self.request(&outgoing.request) {
            Ok(request) => request,
            Err(error) => return failed(error),
        };
        let response = match self.http.send(request, self.cx).await {
            Ok(response) => response,
            Err(error) => return failed(error),
        };
        let status = response.status;
        let refused = || refusal(response.error(), status);
        let trouble = match status {
            StatusCode::TOO_MANY_REQUESTS => Some(Trouble::Fatal(refused())),
            status if status.is_server_error() || status.is_redirection() => Some(Trouble::Fatal(refused())),
            status if status.is_client_error() => Some(Trouble::Refused(refused())),
            _ => None,
        };
        let headers = response.headers.iter().filter_map(|(name, value)| {
            let value = Zeroizing::new(value.to_str().ok()?.to_owned());
            Some((name.as_str().to_owned(), value))
        });
        let answer = Answer {
            status: status.as_u16(),
            headers: headers.collect(),
            body: Zeroizing::new(response.body.bytes().to_vec()),
        };
        Delivered {
            incoming: Incoming {
                id,
                answer: Some(answer),
            },
            trouble,
        }
    }

    fn request(&self, wanted: &Arc<Object>) -> Result<Request, ProviderError> {
        let Object::Request(wanted) = &**wanted else {
            return Err(garbled());
        };
        let url = Url::parse(&wanted.url).map_err(|_| garbled())?;
        if url.origin() != self.home.origin() {
            return Err(ProviderError::invalid(format!(
                "1Password's core wants to reach {}, which is not the address of the token",
                url.origin().ascii_serialization()
            ))
            .hint(
                "Nothing was sent. Check that `op.core` is 1Password's own core and that the token is genuine. The \
                 content of a file, which 1Password may keep at another address, can be had through Connect or by the \
                 `op` program (`op.cli`).",
            ));
        }
        let method = Method::from_bytes(wanted.method.as_bytes()).map_err(|_| garbled())?;
        let mut headers = HeaderMap::new();
        for (name, value) in &wanted.headers {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| garbled())?;
            let mut value = HeaderValue::from_str(value).map_err(|_| garbled())?;
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let body = match wanted.body.is_empty() {
            true => None,
            false => Some(wanted.body.clone()),
        };
        Ok(Request::new(method, url).with_headers(headers).with_body(body))
    }
}

/// What a refusal means to somebody with a service account.
fn refusal(error: ProviderError, status: StatusCode) -> ProviderError {
    match status {
        StatusCode::UNAUTHORIZED => error.hint(
            "The token was revoked or has expired, or the service account was deleted: make a new token in 1Password \
             and write it to the file that `op.token-file` names.",
        ),
        StatusCode::FORBIDDEN => error.hint(
            "Give the service account read access to the vault; it is chosen when the account is made. Where nothing \
             can be read, the account or this address may be blocked by a firewall rule of 1Password.",
        ),
        StatusCode::TOO_MANY_REQUESTS => error.hint(
            "Refresh less often with `--refresh`. Accounts may read so many times an hour and a day: \
             `op service-account ratelimit` shows what is left.",
        ),
        _ => error,
    }
}

fn garbled() -> ProviderError {
    ProviderError::invalid("1Password's core made a request that is none")
}
