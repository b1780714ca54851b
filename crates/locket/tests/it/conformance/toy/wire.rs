//! Just enough HTTP for the toy: one request, one connection, read until its end.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How one request is sent.
pub(super) struct Limits {
    /// Time for the whole, `None` for ever.
    pub(super) whole: Option<Duration>,
    /// Time for the head of the answer.
    pub(super) head: Option<Duration>,
    /// Bytes of the body.
    pub(super) body: usize,
}

/// An answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Sends `body` to `path`.
pub(super) async fn post(
    authority: &str,
    path: &str,
    token: Option<&str>,
    body: &[u8],
    limits: &Limits,
) -> io::Result<Answer> {
    let exchange = async {
        let mut stream = TcpStream::connect(authority).await?;
        let authorization = token.map(|token| format!("authorization: Bearer {token}\r\n"));
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {authority}\r\ncontent-length: {}\r\n{}connection: close\r\n\r\n",
            body.len(),
            authorization.unwrap_or_default()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body).await?;
        let (head, rest) = within(limits.head, read_head(&mut stream)).await?;
        read_body(stream, &head, rest, limits).await
    };
    within(limits.whole, exchange).await
}

async fn within<T>(limit: Option<Duration>, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    match limit {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work)
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
    }
}

async fn read_head(stream: &mut TcpStream) -> io::Result<(String, Vec<u8>)> {
    let mut seen = Vec::new();
    loop {
        if let Some(end) = seen.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = seen.split_off(end + 4);
            let head = String::from_utf8(seen).map_err(io::Error::other)?;
            return Ok((head, rest));
        }
        if stream.read_buf(&mut seen).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

async fn read_body(
    stream: impl AsyncRead + Unpin,
    head: &str,
    mut body: Vec<u8>,
    limits: &Limits,
) -> io::Result<Answer> {
    let field = |name: &str| {
        let mut lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.find_map(|(key, value)| (key == name).then_some(value))
    };
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    let length: usize = field("content-length")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let mut stream = stream.take(length.saturating_sub(body.len()) as u64);
    while stream.read_buf(&mut body).await? > 0 {
        if body.len() > limits.body {
            return Err(io::Error::other("too large"));
        }
    }
    if body.len() < length {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Answer {
        status: status.ok_or_else(|| io::Error::other("no status"))?,
        retry_after: field("retry-after").map(str::to_owned),
        body,
    })
}
