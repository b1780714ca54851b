//! A plain HTTP/1.1 client for tests: one connection for each request, no retries, no redirects, no proxy.

use std::io;
use std::sync::Arc;

use http_body_util::{BodyExt, Full};
use hyper::header::HOST;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::http::Body;
use crate::tls::Leaf;
use crate::{Request, Response, TestCa};

/// A client of one server.
#[derive(Clone, Debug)]
pub struct Client {
    authority: String,
    encrypted: bool,
    tls: Option<Arc<ClientConfig>>,
}

impl Client {
    /// A client of `http://HOST:PORT` or `https://HOST:PORT`; a path is ignored.
    ///
    /// # Panics
    /// The URL has another form.
    pub fn new(url: &str) -> Self {
        let (scheme, rest) = url.split_once("://").unwrap_or_else(|| panic!("{url} is no URL"));
        let authority = rest.split('/').next().unwrap_or_default().to_owned();
        assert!(authority.contains(':'), "{url} names no port");
        Self {
            authority,
            encrypted: scheme == "https",
            tls: None,
        }
    }

    /// The same, trusting this authority.
    #[must_use]
    pub fn trusting(mut self, ca: &TestCa) -> Self {
        self.tls = Some(ca.client_config(None));
        self
    }

    /// The same, trusting this authority and showing a certificate of it.
    #[must_use]
    pub fn identified(mut self, ca: &TestCa, identity: &Leaf) -> Self {
        self.tls = Some(ca.client_config(Some(identity)));
        self
    }

    /// Sends one request and reads the whole response.
    ///
    /// # Errors
    /// No connection, or no whole response.
    pub async fn send(&self, request: Request) -> io::Result<Response> {
        let stream = TcpStream::connect(&self.authority).await?;
        stream.set_nodelay(true)?;
        if !self.encrypted {
            return self.exchange(stream, request).await;
        }
        let tls = self
            .tls
            .clone()
            .ok_or_else(|| io::Error::other("an https client needs `trusting`"))?;
        let host = self.authority.rsplit_once(':').map_or("", |(host, _)| host);
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(tls).connect(name, stream).await?;
        self.exchange(stream, request).await
    }

    /// The same for a blocking test.
    ///
    /// # Errors
    /// No connection, or no whole response.
    ///
    /// # Panics
    /// The caller stands in a runtime.
    pub fn send_blocking(&self, request: Request) -> io::Result<Response> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?
            .block_on(self.send(request))
    }

    /// The same on a thread of its own, for code that may or may not stand in a runtime.
    ///
    /// # Errors
    /// No connection, or no whole response.
    ///
    /// # Panics
    /// The thread does.
    pub fn send_apart(&self, request: Request) -> io::Result<Response> {
        std::thread::scope(|scope| scope.spawn(|| self.send_blocking(request)).join())
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    async fn exchange<S>(&self, stream: S, request: Request) -> io::Result<Response>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(io::Error::other)?;
        // Dropping the set ends the connection with the exchange, also where the caller gives up.
        let mut driver = JoinSet::new();
        driver.spawn(connection);

        let mut outgoing = hyper::Request::new(Full::new(request.body.clone()));
        *outgoing.method_mut() = request.method.clone();
        *outgoing.uri_mut() = request.target().parse().map_err(io::Error::other)?;
        *outgoing.headers_mut() = request.headers;
        let host = self.authority.parse().map_err(io::Error::other)?;
        outgoing.headers_mut().insert(HOST, host);

        let response = sender.send_request(outgoing).await.map_err(io::Error::other)?;
        let (head, body) = response.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let mut response = Response::status(head.status.as_u16()).with_body(Body::Full(body));
        response.headers = head.headers;
        Ok(response)
    }
}
