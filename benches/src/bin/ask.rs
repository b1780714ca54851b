//! The least that a command-line client can do: one process, one connection, one request, its answer put out.
//!
//! Usage: `ask METHOD ADDRESS PATH`.

use std::io::{Error, Read, Write};
use std::net::TcpStream;

fn main() -> std::io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [method, address, path] = &words[..] else {
        return Err(Error::other("a method, an address and a path"));
    };
    let mut stream = TcpStream::connect(address)?;
    let request = format!(
        "{method} {path} HTTP/1.0\r\nhost: {address}\r\nx-vault-token: t\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let is_good = answer.get(9).is_some_and(|class| *class == b'2');
    let body = answer.windows(4).position(|four| four == b"\r\n\r\n");
    match body {
        Some(at) if is_good => std::io::stdout().write_all(&answer[at + 4..]),
        _ => Err(Error::other("it is refused")),
    }
}
