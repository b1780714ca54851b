//! The requests and responses that the servers and the client of this kit speak, whole in memory.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::journal::InFlight;

/// One request, with its whole body.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET`, `POST`, …
    pub method: Method,
    /// The path as it stood on the wire, still percent-encoded.
    pub path: String,
    /// What followed the `?`, still encoded; empty without one.
    pub query: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body; empty without one.
    pub body: Bytes,
    /// The number of the connection it came on, counted from 0: equal numbers mean that it was kept alive.
    pub connection: usize,
    /// The certificate that the client showed, in DER.
    pub client_certificate: Option<Bytes>,
}

/// One response.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code.
    pub status: StatusCode,
    /// The header fields beside the length, which is added.
    pub headers: HeaderMap,
    /// What follows them.
    pub body: Body,
    pub(crate) reset: bool,
}

/// What follows the header fields of a response.
#[derive(Clone, Debug)]
pub enum Body {
    /// These bytes.
    Full(Bytes),
    /// These bytes, then nothing, with the connection left open: more was promised.
    Hanging(Bytes),
    /// These bytes, then the connection closes: more was promised.
    Cut(Bytes),
    /// These bytes so many times. Produced as the client reads, so that it costs no memory here.
    Repeated {
        /// What is repeated.
        chunk: Bytes,
        /// How often.
        times: usize,
    },
}

impl Request {
    /// A request without header fields and body. `target` is the path with an optional query.
    pub fn new(method: Method, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
            connection: 0,
            client_certificate: None,
        }
    }

    /// A `GET` of `target`.
    pub fn get(target: &str) -> Self {
        Self::new(Method::GET, target)
    }

    /// A `POST` of JSON to `target`.
    pub fn post(target: &str, body: &impl Serialize) -> Self {
        Self::new(Method::POST, target).json_body(body)
    }

    /// The same request with one more header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        append(&mut self.headers, name, value);
        self
    }

    /// The same request with a JSON body.
    #[must_use]
    pub fn json_body(mut self, body: &impl Serialize) -> Self {
        self.body = json_bytes(body);
        self.with_header("content-type", "application/json")
    }

    /// Path and query, as on the wire.
    pub fn target(&self) -> String {
        if self.query.is_empty() {
            self.path.clone()
        } else {
            format!("{}?{}", self.path, self.query)
        }
    }

    /// The path's components, percent-decoded, without the leading slash.
    pub fn segments(&self) -> Vec<Cow<'_, str>> {
        self.path
            .strip_prefix('/')
            .unwrap_or(&self.path)
            .split('/')
            .map(|segment| percent_decode_str(segment).decode_utf8_lossy())
            .collect()
    }

    /// The decoded value of one query parameter, with `+` as a space.
    pub fn param(&self, name: &str) -> Option<String> {
        in_form(&self.query, name)
    }

    /// The same of one field of a form in the body.
    pub fn form_field(&self, name: &str) -> Option<String> {
        let is_form = self
            .header("content-type")
            .is_some_and(|kind| kind.starts_with("application/x-www-form-urlencoded"));
        is_form.then(|| in_form(&String::from_utf8_lossy(&self.body), name))?
    }

    /// One header field, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The token of an `Authorization: Bearer` field.
    pub fn bearer(&self) -> Option<&str> {
        self.header("authorization")?.strip_prefix("Bearer ")
    }

    /// The body as JSON; `None` if it is not that.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

impl Response {
    /// A response of `status` without a body.
    pub fn status(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).expect("a status code has three digits"),
            headers: HeaderMap::new(),
            body: Body::Full(Bytes::new()),
            reset: false,
        }
    }

    /// JSON.
    pub fn json(status: u16, body: &impl Serialize) -> Self {
        Self::status(status)
            .with_body(Body::Full(json_bytes(body)))
            .with_header("content-type", "application/json")
    }

    /// Plain text.
    pub fn text(status: u16, body: impl Into<String>) -> Self {
        Self::status(status)
            .with_body(Body::Full(Bytes::from(body.into())))
            .with_header("content-type", "text/plain; charset=utf-8")
    }

    /// Any bytes.
    pub fn bytes(status: u16, body: impl Into<Bytes>) -> Self {
        Self::status(status)
            .with_body(Body::Full(body.into()))
            .with_header("content-type", "application/octet-stream")
    }

    /// No response at all: the connection is reset.
    pub fn reset() -> Self {
        Self {
            reset: true,
            ..Self::status(500)
        }
    }

    /// The same response with one more header field.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        append(&mut self.headers, name, value);
        self
    }

    /// The same response with another body.
    #[must_use]
    pub fn with_body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// One header field, where it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body, where it is whole.
    ///
    /// # Panics
    /// It is one of those that misbehave.
    pub fn body(&self) -> &Bytes {
        match &self.body {
            Body::Full(bytes) => bytes,
            other => panic!("{other:?} has no whole body"),
        }
    }

    /// The body as JSON; `None` if it is not that.
    pub fn json_value<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(self.body()).ok()
    }
}

/// A [`Body`] on its way out; its request counts as in flight until it was read or given up.
pub(crate) struct Outgoing {
    chunk: Bytes,
    left: usize,
    then: Then,
    promised: u64,
    flight: InFlight,
}

#[derive(Clone, Copy)]
enum Then {
    End,
    /// What was sent may still wait to be flushed.
    Flush,
    Hang,
    Cut,
}

/// What a response that is never finished promises beside what it sends.
const NEVER_SENT: usize = 1000;

impl Outgoing {
    pub(crate) fn new(body: Body, flight: InFlight) -> Self {
        let (chunk, left, then) = match body {
            Body::Full(bytes) => (bytes, 1, Then::End),
            Body::Repeated { chunk, times } => (chunk, times, Then::End),
            Body::Hanging(bytes) => (bytes, 1, Then::Flush),
            Body::Cut(bytes) => (bytes, 1, Then::Cut),
        };
        let unsent = match then {
            Then::End => 0,
            Then::Flush | Then::Hang | Then::Cut => NEVER_SENT,
        };
        Self {
            promised: (chunk.len() * left + unsent) as u64,
            left: if chunk.is_empty() { 0 } else { left },
            chunk,
            then,
            flight,
        }
    }
}

impl HttpBody for Outgoing {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.left > 0 {
            self.left -= 1;
            self.flight.sent(self.chunk.len());
            return Poll::Ready(Some(Ok(Frame::data(self.chunk.clone()))));
        }
        match self.then {
            Then::End => Poll::Ready(None),
            Then::Flush => {
                // hyper flushes when a body has nothing more for now, then asks again: the second time is the
                // moment from which the client has everything it will ever get.
                self.then = Then::Hang;
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Then::Hang => {
                self.flight.hangs();
                Poll::Pending
            }
            Then::Cut => Poll::Ready(Some(Err(io::Error::other("cut as asked")))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0 && matches!(self.then, Then::End)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.promised)
    }
}

fn append(headers: &mut HeaderMap, name: &str, value: &str) {
    let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name is a token");
    let value = HeaderValue::from_str(value).expect("a header value is visible ASCII");
    headers.append(name, value);
}

fn json_bytes(body: &impl Serialize) -> Bytes {
    Bytes::from(serde_json::to_vec(body).expect("a test's own JSON has string keys"))
}

fn in_form(form: &str, name: &str) -> Option<String> {
    form.split('&').find_map(|pair| {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        (form_decode(key) == name).then(|| form_decode(value))
    })
}

fn form_decode(text: &str) -> String {
    let spaced = text.replace('+', " ");
    percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
}
