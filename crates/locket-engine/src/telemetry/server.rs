//! Serves the metrics: one page, few connections, little time for each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{ALLOW, HeaderValue};
use locket_core::BoxFuture;

use super::metrics::Board;
use crate::serve::{self, Answer, Asked, Crowd, Limits, Listener, Method, Respond, StatusCode};

/// Nobody who asks for a page of metrics needs more.
const LIMITS: Limits = Limits {
    connections: 16,
    crowd: Crowd::Refused,
    body: 1 << 10,
    time: Some(Duration::from_secs(10)),
};

/// The running server; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    _running: serve::Server,
}

/// Takes the address, so that one that is in use is found before anything else happens.
///
/// # Errors
/// The system refuses it.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    std::net::TcpListener::bind(address)
}

impl Server {
    /// Serves `board` on `listener`.
    ///
    /// # Errors
    /// The runtime does not take the listener.
    pub(crate) fn start(listener: std::net::TcpListener, board: Board) -> std::io::Result<Self> {
        Ok(Self {
            address: listener.local_addr()?,
            _running: serve::Server::start(Listener::Tcp(listener), LIMITS, Arc::new(board))?,
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Respond for Board {
    fn respond<'a>(&'a self, asked: Asked) -> BoxFuture<'a, Answer> {
        let answer = match (&asked.method, asked.path.as_str()) {
            (&Method::GET | &Method::HEAD, "/metrics") => Answer {
                content_type: "text/plain; version=0.0.4; charset=utf-8",
                ..Answer::text(StatusCode::OK, self.text())
            },
            (&Method::GET | &Method::HEAD, _) => {
                Answer::text(StatusCode::NOT_FOUND, "metrics are at /metrics\n".to_owned())
            }
            _ => Answer {
                header: Some((ALLOW, HeaderValue::from_static("GET, HEAD"))),
                ..Answer::text(StatusCode::METHOD_NOT_ALLOWED, String::new())
            },
        };
        Box::pin(std::future::ready(answer))
    }
}
