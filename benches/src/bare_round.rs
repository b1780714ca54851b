//! The same reads over bare keep-alive connections and the same writes by a bare loop: the floor of a round.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

/// `bare-round ADDRESS READS CONNECTIONS WRITES DIRECTORY`
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) {
    let words: Vec<String> = arguments
        .map(|word| word.into_string().expect("words are UTF-8"))
        .collect();
    let [address, reads, connections, writes, directory] = &words[..] else {
        panic!("five words")
    };
    let reads: usize = reads.parse().expect("a number");
    let connections: usize = connections.parse().expect("a number");
    let writes: usize = writes.parse().expect("a number");
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..connections {
            scope.spawn(|| read(address, reads, &next));
        }
    });
    let directory = PathBuf::from(directory);
    std::fs::create_dir_all(&directory).expect("the directory can be made");
    let text = crate::scenes::output_of_a_round();
    for index in 0..writes {
        std::fs::write(directory.join(index.to_string()), &text).expect("the file can be written");
    }
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
