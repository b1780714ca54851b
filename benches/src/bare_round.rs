//! The floor of a round: the same reads by a bare keep-alive client and the same writes by a bare loop.
//!
//! Two clients read: the one that locket uses, without anything around it, which is what a round is held against; and
//! threads that write fixed bytes to sockets, which know nothing of HTTP and are reported beside. What is written goes
//! to a temporary file that gets its mode and the target's name, as every output must.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

/// `bare-round client|sockets ADDRESS READS CONNECTIONS WRITES DIRECTORY`: one round.
///
/// `bare-round agent ADDRESS READS CONNECTIONS WRITES DIRECTORY`: another one for each line of standard input, which
/// says how often the secrets were rotated, by the same client.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) {
    let words: Vec<String> = arguments
        .map(|word| word.into_string().expect("words are UTF-8"))
        .collect();
    let [reader, address, reads, connections, writes, directory] = &words[..] else {
        panic!("six words")
    };
    let reads: usize = reads.parse().expect("a number");
    let connections: usize = connections.parse().expect("a number");
    let writes: usize = writes.parse().expect("a number");
    let directory = PathBuf::from(directory);
    let write = |rotations| write(&directory, writes, rotations);
    match reader.as_str() {
        "client" => {
            BareClient::new(address, connections).read(reads);
            write(0);
        }
        "sockets" => {
            read_by_sockets(address, reads, connections);
            write(0);
        }
        "agent" => {
            let client = BareClient::new(address, connections);
            for line in std::io::stdin().lines() {
                let rotations = line.expect("a line comes");
                client.read(reads);
                write(rotations.parse().expect("a number"));
            }
        }
        other => panic!("there is no reader `{other}`"),
    }
}

fn write(directory: &Path, writes: usize, rotations: usize) {
    std::fs::create_dir_all(directory).expect("the directory can be made");
    let text = crate::scenes::output_of_a_round(rotations);
    for index in 0..writes {
        let temporary = directory.join(format!(".{index}"));
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .expect("the file can be made");
        file.write_all(text.as_bytes()).expect("the file can be written");
        std::fs::rename(&temporary, directory.join(index.to_string())).expect("the file can be renamed");
    }
}

/// One thread, as many requests in flight as connections.
struct BareClient {
    runtime: tokio::runtime::Runtime,
    client: reqwest::Client,
    address: String,
    connections: usize,
}

impl BareClient {
    fn new(address: &str, connections: usize) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let provider = rustls::crypto::ring::default_provider().into();
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(rustls::RootCertStore::empty())
            .with_no_client_auth();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            runtime,
            client,
            address: address.to_owned(),
            connections,
        }
    }

    fn read(&self, reads: usize) {
        let next = AtomicUsize::new(0);
        let one = async || {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= reads {
                    return;
                }
                let url = format!("http://{}/v1/kv/data/s{index}", self.address);
                let request = self.client.get(url).header("x-vault-token", "t");
                let answer = request.send().await.expect("the answer comes");
                let body = answer.bytes().await.expect("the body comes");
                assert!(!body.is_empty());
            }
        };
        let all = (0..self.connections).map(|_| one());
        self.runtime.block_on(futures_util::future::join_all(all));
    }
}

fn read_by_sockets(address: &str, reads: usize, connections: usize) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| read(address, reads, &next));
        }
    });
}

fn read(address: &str, reads: usize, next: &AtomicUsize) {
    let stream = TcpStream::connect(address).expect("the server listens");
    stream.set_nodelay(true).expect("a socket option");
    let mut lines = BufReader::new(stream.try_clone().expect("a socket"));
    let mut stream = stream;
    loop {
        let index = next.fetch_add(1, Ordering::Relaxed);
        if index >= reads {
            return;
        }
        let request =
            format!("GET /v1/kv/data/s{index} HTTP/1.1\r\nhost: {address}\r\nx-vault-token: t\r\n\r\n");
        stream
            .write_all(request.as_bytes())
            .expect("the request goes out");
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            lines.read_line(&mut line).expect("the answer comes");
            let header = line.trim_end().to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if header.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        lines.read_exact(&mut body).expect("the body comes");
    }
}
