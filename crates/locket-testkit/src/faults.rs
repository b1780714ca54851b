//! A reverse proxy on loopback that forwards to any server, real or fake, and misbehaves where it is told to.
//!
//! Without rules it changes nothing, so that every test of a fault has its control: the same request passes.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hyper::Method;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, DATE, EXPECT, HOST, HeaderMap, RETRY_AFTER, TE, TRANSFER_ENCODING, UPGRADE,
};
use serde_json::Value;
use tokio::sync::watch;

use crate::canary::Canary;
use crate::http::Body;
use crate::server::ServerBuilder;
use crate::{Client, Request, Response, Server};

/// The proxy. It is a [`Server`]: its URL, its record of requests, `go_down` and the rest come from there.
#[derive(Debug)]
pub struct Faults {
    server: Server,
    proxy: Arc<Proxy>,
}

/// One fault: what happens, to which requests, how often.
#[derive(Clone, Debug)]
pub struct Rule {
    fault: Fault,
    path: String,
    method: Option<Method>,
    after: usize,
    times: usize,
}

/// What happens to a request. The bodies that are made up hold [`Faults::canary`].
#[derive(Clone, Debug)]
pub enum Fault {
    /// An answer of this status; the server is not asked.
    Status(u16),
    /// 429; the server is not asked.
    RateLimited(RetryAfter),
    /// Never an answer; the connection stays open and the server is not asked.
    NeverAnswers,
    /// The server's answer up to the middle of its body, then nothing, with the connection open.
    HangsMidBody,
    /// The server's answer up to the middle of its body, then the connection closes.
    ClosesMidBody,
    /// The connection is reset before any answer; the server is not asked.
    Resets,
    /// 200 with a page of HTML, as captive portals and broken load balancers send; the server is not asked.
    NotJson,
    /// The server's answer, complete as HTTP, its body cut in the middle.
    TruncatedJson,
    /// The server's answer with its outermost values replaced by strings, and strings by lists: JSON of another
    /// shape.
    OtherShape,
    /// 200 with nothing; the server is not asked.
    EmptyBody,
    /// 200 with so many mebibytes of white space, which no JSON parser can refuse early; the server is not asked.
    HugeBody(usize),
    /// The server's answer, this much later. For measures; tests wait for events with [`Fault::Held`].
    Slow(Duration),
    /// The server's answer once the gate is open.
    Held(Gate),
}

/// What a 429 says about the time to wait.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryAfter {
    /// Nothing.
    Missing,
    /// A number of seconds.
    Seconds(u64),
    /// A date, as HTTP writes it.
    Date {
        /// When to come back.
        at: SystemTime,
        /// What the server's own clock shows.
        now: SystemTime,
    },
    /// Anything else.
    Text(String),
}

/// Holds requests back until it is opened. Clones are the same gate.
#[derive(Clone, Debug)]
pub struct Gate(watch::Sender<bool>);

/// A rule in force, and how often it struck.
#[derive(Clone, Debug)]
pub struct Injected {
    rule: Arc<Active>,
}

#[derive(Debug)]
struct Proxy {
    upstream: Client,
    canary: Canary,
    rules: Mutex<Vec<Arc<Active>>>,
}

#[derive(Debug)]
struct Active {
    rule: Rule,
    matched: AtomicUsize,
    hits: watch::Sender<usize>,
}

impl Faults {
    /// A proxy before the server at `url`, `http://HOST:PORT`.
    pub fn before(url: &str) -> Self {
        Self::between(Server::builder(), Client::new(url))
    }

    /// A proxy that listens as `front` says and reaches its server as `upstream` does.
    pub fn between(front: ServerBuilder, upstream: Client) -> Self {
        let proxy = Arc::new(Proxy {
            upstream,
            canary: Canary::text("body of an injected answer"),
            rules: Mutex::default(),
        });
        let answering = Arc::clone(&proxy);
        let server = front.start_async(move |request| {
            let proxy = Arc::clone(&answering);
            async move { proxy.answer(request).await }
        });
        Self { server, proxy }
    }

    /// Puts a rule in force, before all earlier ones.
    pub fn inject(&self, rule: Rule) -> Injected {
        let rule = Arc::new(Active {
            rule,
            matched: AtomicUsize::new(0),
            hits: watch::channel(0).0,
        });
        self.proxy.rules().insert(0, Arc::clone(&rule));
        Injected { rule }
    }

    /// Lifts every rule. What is held or hanging already stays so.
    pub fn clear(&self) {
        self.proxy.rules().clear();
    }

    /// What stands in every body that is made up here, and must not reach a log or an error.
    pub fn canary(&self) -> &Canary {
        &self.proxy.canary
    }
}

impl Deref for Faults {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl Rule {
    /// `fault` for every request.
    pub fn new(fault: Fault) -> Self {
        Self {
            fault,
            path: "*".to_owned(),
            method: None,
            after: 0,
            times: usize::MAX,
        }
    }

    /// Only where the path, as on the wire, has this form; a `*` stands for any bytes, slashes too.
    #[must_use]
    pub fn on(mut self, pattern: &str) -> Self {
        pattern.clone_into(&mut self.path);
        self
    }

    /// Only for this method.
    #[must_use]
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Lets the first `count` requests that match pass.
    #[must_use]
    pub fn after(mut self, count: usize) -> Self {
        self.after = count;
        self
    }

    /// Strikes so many times, then lets everything pass.
    #[must_use]
    pub fn times(mut self, count: usize) -> Self {
        self.times = count;
        self
    }

    fn matches(&self, request: &Request) -> bool {
        self.method
            .as_ref()
            .is_none_or(|method| *method == request.method)
            && glob(self.path.as_bytes(), request.path.as_bytes())
    }
}

impl From<Fault> for Rule {
    fn from(fault: Fault) -> Self {
        Self::new(fault)
    }
}

impl Injected {
    /// How often the rule struck.
    pub fn hits(&self) -> usize {
        *self.rule.hits.borrow()
    }

    /// Waits until it struck `count` times.
    pub async fn struck(&self, count: usize) {
        let mut hits = self.rule.hits.subscribe();
        // The sender lives in `self`, so that the channel cannot close meanwhile.
        let _ = hits.wait_for(|seen| *seen >= count).await;
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

impl Gate {
    /// A closed gate.
    pub fn new() -> Self {
        Self(watch::channel(false).0)
    }

    /// Opens it for good.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn pass(&self) {
        let mut open = self.0.subscribe();
        // The sender lives in `self`, so that the channel cannot close meanwhile.
        let _ = open.wait_for(|open| *open).await;
    }
}

impl Active {
    /// Whether the rule strikes this request. Counts either way.
    fn strikes(&self, request: &Request) -> bool {
        if !self.rule.matches(request) {
            return false;
        }
        let before = self.matched.fetch_add(1, Ordering::Relaxed);
        let strikes = before >= self.rule.after && before - self.rule.after < self.rule.times;
        if strikes {
            self.hits.send_modify(|hits| *hits += 1);
        }
        strikes
    }
}

impl Proxy {
    async fn answer(&self, request: Request) -> Response {
        let fault = self
            .rules()
            .iter()
            .find(|active| active.strikes(&request))
            .map(|active| active.rule.fault.clone());
        let Some(fault) = fault else {
            return self.forward(request).await;
        };
        match fault {
            Fault::Status(status) => self.refusal(status),
            Fault::RateLimited(retry_after) => retry_after.told_by(self.refusal(429)),
            Fault::NeverAnswers => std::future::pending().await,
            Fault::HangsMidBody => self.half(request, Body::Hanging).await,
            Fault::ClosesMidBody => self.half(request, Body::Cut).await,
            Fault::TruncatedJson => self.half(request, Body::Full).await,
            Fault::Resets => Response::reset(),
            Fault::NotJson => {
                let page = format!("<html><body>Sign in: {}</body></html>", self.canary.as_str());
                Response::text(200, page)
            }
            Fault::OtherShape => self.other_shape(request).await,
            Fault::EmptyBody => Response::status(200),
            Fault::HugeBody(mebibytes) => Response::status(200)
                .with_header("content-type", "application/json")
                .with_body(Body::Repeated {
                    chunk: Bytes::from(vec![b' '; 1 << 20]),
                    times: mebibytes,
                }),
            Fault::Slow(delay) => {
                tokio::time::sleep(delay).await;
                self.forward(request).await
            }
            Fault::Held(gate) => {
                gate.pass().await;
                self.forward(request).await
            }
        }
    }

    /// An error answer in the manner of APIs, which show what they were asked and more.
    fn refusal(&self, status: u16) -> Response {
        Response::json(
            status,
            &serde_json::json!({"errors": [self.canary.as_str()], "message": self.canary.as_str()}),
        )
    }

    async fn half(&self, request: Request, ending: fn(Bytes) -> Body) -> Response {
        let response = self.forward(request).await;
        let half = response.body().slice(..response.body().len() / 2);
        response.with_body(ending(half))
    }

    async fn other_shape(&self, request: Request) -> Response {
        let response = self.forward(request).await;
        let canary = || Value::from(self.canary.as_str());
        let instead = |value: &Value| match value {
            Value::String(_) => Value::Array(vec![canary()]),
            _ => canary(),
        };
        let shape = match response.json_value() {
            Some(Value::Object(members)) => {
                let changed = |(key, value)| (key, instead(&value));
                Value::Object(members.into_iter().map(changed).collect())
            }
            Some(Value::Array(items)) => items.iter().map(instead).collect(),
            _ => Value::Array(vec![canary()]),
        };
        let body = serde_json::to_vec(&shape).expect("a JSON value is JSON");
        response.with_body(Body::Full(body.into()))
    }

    async fn forward(&self, mut request: Request) -> Response {
        drop_hop_by_hop(&mut request.headers);
        // Signatures cover the host that the client asked.
        if let Some(host) = request.headers.remove(HOST) {
            request.headers.insert("x-forwarded-host", host);
        }
        match self.upstream.send(request).await {
            Ok(mut response) => {
                drop_hop_by_hop(&mut response.headers);
                response
            }
            Err(error) => Response::text(502, format!("the server behind the proxy: {error}")),
        }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Arc<Active>>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RetryAfter {
    fn told_by(self, response: Response) -> Response {
        let (value, now) = match self {
            Self::Missing => return response,
            Self::Seconds(seconds) => (seconds.to_string(), None),
            Self::Date { at, now } => (httpdate::fmt_http_date(at), Some(now)),
            Self::Text(text) => (text, None),
        };
        let response = response.with_header(RETRY_AFTER.as_str(), &value);
        match now {
            Some(now) => response.with_header(DATE.as_str(), &httpdate::fmt_http_date(now)),
            None => response,
        }
    }
}

/// Removes what belongs to one connection, and the length, which is set anew.
fn drop_hop_by_hop(headers: &mut HeaderMap) {
    for name in [CONNECTION, CONTENT_LENGTH, EXPECT, TE, TRANSFER_ENCODING, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}

fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| glob(rest, &text[skipped..])),
        Some((byte, rest)) => text
            .split_first()
            .is_some_and(|(first, after)| first == byte && glob(rest, after)),
    }
}

#[cfg(test)]
mod tests;
