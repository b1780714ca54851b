//! The one HTTP server: few connections, little time for each request, bodies of a bounded size. What is answered is
//! not its business.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use locket_core::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinHandle;

use crate::tasks;

pub use hyper::{Method, StatusCode};

/// After an accept that failed, as it does without file descriptors.
const PAUSE: Duration = Duration::from_secs(1);

/// A request whose body has come in whole.
#[derive(Debug)]
pub struct Asked {
    /// `GET`, `POST` and others.
    pub method: Method,
    /// The path, without what follows a `?`.
    pub path: String,
    /// The body.
    pub body: Bytes,
}

/// What is sent back.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The kind of the body.
    pub content_type: &'static str,
    /// A header beside it.
    pub header: Option<(HeaderName, HeaderValue)>,
    /// The body; it may hold a secret.
    pub body: Bytes,
}

/// Answers requests.
pub trait Respond: Send + Sync + 'static {
    /// The answer to one request. It is dropped when whoever asked is gone before.
    fn respond<'a>(&'a self, asked: Asked) -> BoxFuture<'a, Answer>;
}

/// What a server allows those who ask.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time.
    pub connections: usize,
    /// What becomes of one more.
    pub crowd: Crowd,
    /// Bytes of a request's body.
    pub body: usize,
    /// How long a connection may last in all, and then it carries a single request; `None` for one that is kept as long
    /// as it is wanted.
    pub time: Option<Duration>,
}

/// What becomes of connections that are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crowd {
    /// They are closed unanswered.
    Refused,
    /// They wait until there is room.
    Waits,
}

/// Where a server listens.
#[derive(Debug)]
pub enum Listener {
    /// An address.
    Tcp(std::net::TcpListener),
    /// A socket of this machine.
    Unix(std::os::unix::net::UnixListener),
}

/// A running server; it ends when this is dropped.
#[derive(Debug)]
pub struct Server {
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `responder` on `listener`.
    ///
    /// # Errors
    /// The runtime does not take the listener.
    pub fn start(listener: Listener, limits: Limits, responder: Arc<dyn Respond>) -> io::Result<Self> {
        let task = match listener {
            Listener::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::TcpListener::from_std(listener)?;
                tasks::beside(accept(Socket::Tcp(listener), limits, responder))
            }
            Listener::Unix(listener) => {
                listener.set_nonblocking(true)?;
                let listener = tokio::net::UnixListener::from_std(listener)?;
                tasks::beside(accept(Socket::Unix(listener), limits, responder))
            }
        };
        Ok(Self { task })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

enum Socket {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

async fn accept(socket: Socket, limits: Limits, responder: Arc<dyn Respond>) {
    let room = Arc::new(Semaphore::new(limits.connections));
    loop {
        let waited = match limits.crowd {
            Crowd::Refused => None,
            Crowd::Waits => room.clone().acquire_owned().await.ok(),
        };
        let place = || waited.or_else(|| room.clone().try_acquire_owned().ok());
        let connected = match &socket {
            Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| {
                place().map(|place| tasks::beside(serve(stream, place, limits, responder.clone())))
            }),
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| {
                place().map(|place| tasks::beside(serve(stream, place, limits, responder.clone())))
            }),
        };
        if connected.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    place: OwnedSemaphorePermit,
    limits: Limits,
    responder: Arc<dyn Respond>,
) {
    let service = service_fn(|request| answer(request, limits.body, responder.as_ref()));
    let mut builder = hyper::server::conn::http1::Builder::new();
    builder.timer(TokioTimer::new()).keep_alive(limits.time.is_none());
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // Whoever asks too slowly, or nonsense, is left.
    let _ = match limits.time {
        Some(time) => tokio::time::timeout(time, connection).await.ok(),
        None => Some(connection.await),
    };
    drop(place);
}

async fn answer(
    request: Request<Incoming>,
    limit: usize,
    responder: &dyn Respond,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let answer = match Limited::new(body, limit).collect().await {
        Ok(body) => {
            let asked = Asked {
                method: parts.method,
                path: parts.uri.path().to_owned(),
                body: body.to_bytes(),
            };
            responder.respond(asked).await
        }
        Err(_) => Answer::text(StatusCode::PAYLOAD_TOO_LARGE, String::new()),
    };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    headers.extend(answer.header);
    Ok(response)
}

impl Answer {
    /// A text.
    pub fn text(status: StatusCode, body: String) -> Self {
        Self {
            status,
            content_type: "text/plain; charset=utf-8",
            header: None,
            body: body.into(),
        }
    }
}
