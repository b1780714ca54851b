//! An HTTP/1.1 server on loopback that answers with a closure and remembers what it was asked.
//!
//! It runs on a thread and runtime of its own, so that it serves blocking tests and tests under paused time alike.

use std::future::{Future, ready};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::http::Outgoing;
use crate::journal::Journal;
use crate::tls::ClientCertificate;
use crate::{Request, Response, TestCa};

/// A running server. It stops when it is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    journal: Arc<Journal>,
    control: Option<mpsc::UnboundedSender<Control>>,
    thread: Option<JoinHandle<()>>,
}

/// A server that is not running yet.
#[derive(Default)]
pub struct ServerBuilder {
    speech: Speech,
}

/// What is spoken on a connection.
#[derive(Clone, Default)]
enum Speech {
    #[default]
    Http,
    Https(TlsAcceptor),
    Mute,
}

type Handler = Arc<dyn Fn(Request) -> BoxFuture<'static, Response> + Send + Sync>;

enum Control {
    Down(Sender<()>),
    Up(Sender<()>),
}

impl Server {
    /// A server without TLS that answers with `handler`.
    pub fn start(handler: impl Fn(Request) -> Response + Send + Sync + 'static) -> Self {
        Self::builder().start(handler)
    }

    /// The same with a handler that may wait.
    pub fn start_async<F, A>(handler: F) -> Self
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        Self::builder().start_async(handler)
    }

    /// A listener that takes connections and never says a word, whatever the protocol.
    pub fn blackhole() -> Self {
        let builder = ServerBuilder { speech: Speech::Mute };
        builder.start(|_| Response::status(500))
    }

    /// A server to be described.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// `http://127.0.0.1:PORT`, or with `https`; no slash at the end.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every request since the start or [`Server::forget`], in the order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.journal.read(|seen| seen.requests.clone())
    }

    /// How many those are.
    pub fn request_count(&self) -> usize {
        self.journal.read(|seen| seen.requests.len())
    }

    /// Connections accepted since the start.
    pub fn connection_count(&self) -> usize {
        self.journal.read(|seen| seen.connections)
    }

    /// The most requests that were being answered at one moment since the start or [`Server::forget`]. A request
    /// counts until its response was written or its client went away.
    pub fn peak_concurrency(&self) -> usize {
        self.journal.read(|seen| seen.peak)
    }

    /// Bytes of bodies that were given to the network since the start or [`Server::forget`]. Clients that stop
    /// reading early have not seen them all.
    pub fn body_bytes_sent(&self) -> u64 {
        self.journal.read(|seen| seen.body_bytes)
    }

    /// Forgets the requests so far.
    pub fn forget(&self) {
        self.journal.forget();
    }

    /// Waits until `count` requests have arrived since the start or [`Server::forget`].
    pub async fn arrived(&self, count: usize) {
        self.journal.until(|seen| seen.requests.len() >= count).await;
    }

    /// Waits until `count` connections were made since the start.
    pub async fn connected(&self, count: usize) {
        self.journal.until(|seen| seen.connections >= count).await;
    }

    /// Waits until a response with [`crate::http::Body::Hanging`] was sent as far as it goes, `count` times since
    /// the start or [`Server::forget`].
    pub async fn hanging(&self, count: usize) {
        self.journal.until(|seen| seen.hanging >= count).await;
    }

    /// [`Server::arrived`] for a blocking test.
    ///
    /// # Panics
    /// `limit` passes first.
    pub fn wait_for_requests(&self, count: usize, limit: Duration) {
        let arrived = self.journal.wait(limit, |seen| seen.requests.len() >= count);
        let seen = self.request_count();
        assert!(arrived, "{seen} of {count} requests arrived within {limit:?}");
    }

    /// [`Server::connected`] for a blocking test.
    ///
    /// # Panics
    /// `limit` passes first.
    pub fn wait_for_connections(&self, count: usize, limit: Duration) {
        let connected = self.journal.wait(limit, |seen| seen.connections >= count);
        let seen = self.connection_count();
        assert!(connected, "{seen} of {count} connections came within {limit:?}");
    }

    /// Stops listening and closes every connection; clients are refused until [`Server::go_up`].
    pub fn go_down(&self) {
        self.tell(Control::Down);
    }

    /// Listens again, on the same port.
    pub fn go_up(&self) {
        self.tell(Control::Up);
    }

    fn tell(&self, command: fn(Sender<()>) -> Control) {
        let (done, wait) = std::sync::mpsc::channel();
        let control = self
            .control
            .as_ref()
            .expect("only dropping takes the control away");
        // A thread that has panicked drops `done`, which ends the wait as well.
        let _ = control.send(command(done));
        wait.recv().expect("the server's thread answers");
    }
}

impl ServerBuilder {
    /// Speaks TLS with a leaf certificate of `ca` for 127.0.0.1 and `localhost`.
    #[must_use]
    pub fn tls(mut self, ca: &TestCa) -> Self {
        self.speech = Speech::Https(ca.acceptor(ClientCertificate::NotAsked));
        self
    }

    /// The same, and refuses clients that show no certificate of `ca`.
    #[must_use]
    pub fn mutual_tls(mut self, ca: &TestCa) -> Self {
        self.speech = Speech::Https(ca.acceptor(ClientCertificate::Required));
        self
    }

    /// Starts it with a handler that answers at once.
    pub fn start(self, handler: impl Fn(Request) -> Response + Send + Sync + 'static) -> Server {
        self.start_async(move |request| ready(handler(request)))
    }

    /// Starts it with a handler that may wait.
    ///
    /// # Panics
    /// Nothing can listen on loopback.
    pub fn start_async<F, A>(self, handler: F) -> Server
    where
        F: Fn(Request) -> A + Send + Sync + 'static,
        A: Future<Output = Response> + Send + 'static,
    {
        let handler: Handler = Arc::new(move |request| Box::pin(handler(request)));
        let scheme = match self.speech {
            Speech::Https(_) => "https",
            Speech::Http | Speech::Mute => "http",
        };
        let listener =
            std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port");
        listener
            .set_nonblocking(true)
            .expect("a socket can be non-blocking");
        let address = listener.local_addr().expect("a bound socket has an address");
        let journal = Journal::new();
        let (control, commands) = mpsc::unbounded_channel();
        let serving = Serving {
            handler,
            journal: Arc::clone(&journal),
            speech: self.speech,
        };
        let thread = std::thread::Builder::new()
            .name(format!("server-{}", address.port()))
            .spawn(move || {
                let runtime = runtime::Builder::new_current_thread()
                    .enable_all()
                    .build()
                    .expect("a runtime can be made");
                runtime.block_on(serving.run(listener, address, commands));
                runtime.shutdown_background();
            })
            .expect("a thread can be started");
        Server {
            address,
            scheme,
            journal,
            control: Some(control),
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.control = None;
        if let Some(thread) = self.thread.take() {
            // The thread panics only with its handler, which the hook has told already.
            let _ = thread.join();
        }
    }
}

/// What a connection needs.
#[derive(Clone)]
struct Serving {
    handler: Handler,
    journal: Arc<Journal>,
    speech: Speech,
}

impl Serving {
    async fn run(
        self,
        listener: std::net::TcpListener,
        address: SocketAddr,
        mut commands: mpsc::UnboundedReceiver<Control>,
    ) {
        let listener = TcpListener::from_std(listener).expect("the socket is non-blocking");
        let mut listener = Some(listener);
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                command = commands.recv() => match command {
                    None => return,
                    Some(Control::Down(done)) => {
                        listener = None;
                        connections.shutdown().await;
                        // Nobody waits when the test has given up.
                        let _ = done.send(());
                    }
                    Some(Control::Up(done)) => {
                        listener = Some(rebind(address).await);
                        let _ = done.send(());
                    }
                },
                accepted = accept(listener.as_ref()) => if let Ok((stream, _)) = accepted {
                    connections.spawn(self.clone().connection(stream));
                },
                Some(_) = connections.join_next(), if !connections.is_empty() => {}
            }
        }
    }

    async fn connection(self, stream: TcpStream) {
        let number = self.journal.connection();
        let reset = Arc::new(AtomicBool::new(false));
        let stream = Resettable {
            stream,
            reset: Arc::clone(&reset),
        };
        // A handshake or a connection that fails is the client's affair: tests see it at the client.
        match self.speech.clone() {
            Speech::Mute => std::future::pending().await,
            Speech::Http => self.speak(stream, number, None, reset).await,
            Speech::Https(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let certificate = stream
                        .get_ref()
                        .1
                        .peer_certificates()
                        .and_then(|chain| chain.first())
                        .map(|certificate| Bytes::copy_from_slice(certificate));
                    self.speak(stream, number, certificate, reset).await;
                }
            }
        }
    }

    async fn speak<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self,
        stream: S,
        connection: usize,
        client_certificate: Option<Bytes>,
        reset: Arc<AtomicBool>,
    ) {
        let service = service_fn(move |incoming: hyper::Request<Incoming>| {
            let (serving, reset) = (self.clone(), Arc::clone(&reset));
            let client_certificate = client_certificate.clone();
            async move {
                let request = receive(incoming, connection, client_certificate).await?;
                let guard = serving.journal.arrive(&request);
                let response = (serving.handler)(request).await;
                if response.reset {
                    reset.store(true, Ordering::Relaxed);
                    return Err(io::Error::other("reset as asked"));
                }
                let mut outgoing = hyper::Response::new(Outgoing::new(response.body, guard));
                *outgoing.status_mut() = response.status;
                *outgoing.headers_mut() = response.headers;
                Ok(outgoing)
            }
        });
        let _ = hyper::server::conn::http1::Builder::new()
            .header_read_timeout(None)
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

/// Takes the port back. A client's own socket may sit on it for a moment.
async fn rebind(address: SocketAddr) -> TcpListener {
    let mut last = None;
    for _ in 0..100 {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) => last = Some(error),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("{address} was taken while the server was down: {last:?}");
}

async fn receive(
    incoming: hyper::Request<Incoming>,
    connection: usize,
    client_certificate: Option<Bytes>,
) -> io::Result<Request> {
    let (head, body) = incoming.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    Ok(Request {
        method: head.method,
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body,
        connection,
        client_certificate,
    })
}

/// A socket that can be told to end in a reset instead of an orderly close.
struct Resettable {
    stream: TcpStream,
    reset: Arc<AtomicBool>,
}

impl Drop for Resettable {
    fn drop(&mut self) {
        if self.reset.load(Ordering::Relaxed) {
            // Without the option the close is orderly, which the test of resets would see.
            let _ = self.stream.set_zero_linger();
        }
    }
}

impl AsyncRead for Resettable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Resettable {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.reset.load(Ordering::Relaxed) {
            // An orderly end sent first would reach the client before the reset.
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
