//! What an administrator does with a server, for tests that need more than one secret. It blocks for a moment, and
//! panics when the server refuses.

use std::time::Duration;

use serde_json::{Value, json};

use super::OpenBao;
use crate::{Request, Response};

/// Looks at a mount that prepares itself, five milliseconds apart.
const LOOKS: usize = 6_000;

/// A server as its administrator sees it, in one namespace.
#[derive(Clone, Debug)]
pub struct Admin<'a> {
    server: &'a OpenBao,
    namespace: Option<String>,
}

impl<'a> Admin<'a> {
    pub(super) fn new(server: &'a OpenBao) -> Self {
        Self {
            server,
            namespace: None,
        }
    }

    /// The same in a new namespace.
    ///
    /// # Panics
    /// The server refuses.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Self {
        self.call("POST", &format!("sys/namespaces/{name}"), &Value::Null);
        Self {
            server: self.server,
            namespace: Some(name.to_owned()),
        }
    }

    /// Mounts a key/value engine of `version` 1 or 2.
    ///
    /// # Panics
    /// The server refuses.
    pub fn mount_kv(&self, path: &str, version: u8) {
        let engine = json!({ "type": "kv", "options": { "version": version.to_string() } });
        self.call("POST", &format!("sys/mounts/{path}"), &engine);
        if version == 2 {
            self.settled(path);
        }
    }

    /// Waits for a mount of version 2: it upgrades itself first, and refuses writes until that is done.
    ///
    /// # Panics
    /// It never is.
    pub fn settled(&self, mount: &str) {
        let path = format!("{mount}/config");
        for _ in 0..LOOKS {
            let response = self.send("GET", &path, &Value::Null, self.server.root_token());
            if response.status.is_success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("{mount} is never ready");
    }

    /// Writes a secret to a mount of version 2: a new version with these fields.
    ///
    /// # Panics
    /// The server refuses.
    pub fn put(&self, mount: &str, path: &str, fields: &Value) {
        let body = json!({ "data": fields });
        self.call("POST", &format!("{mount}/data/{path}"), &body);
    }

    /// Sets a policy, in HCL.
    ///
    /// # Panics
    /// The server refuses.
    pub fn policy(&self, name: &str, rules: &str) {
        self.call(
            "POST",
            &format!("sys/policies/acl/{name}"),
            &json!({ "policy": rules }),
        );
    }

    /// A new token, made as these options of `auth/token/create` say.
    ///
    /// # Panics
    /// The server refuses.
    pub fn token(&self, options: &Value) -> String {
        string(&self.call("POST", "auth/token/create", options)["auth"]["client_token"])
    }

    /// Ends a token.
    ///
    /// # Panics
    /// The server refuses.
    pub fn revoke(&self, token: &str) {
        self.call("POST", "auth/token/revoke", &json!({ "token": token }));
    }

    /// Mounts the login method `kind` at `mount`, unless it is there.
    ///
    /// # Panics
    /// The server refuses.
    pub fn mount_auth(&self, mount: &str, kind: &str) {
        let methods = self.call("GET", "sys/auth", &Value::Null);
        if methods["data"][format!("{mount}/")].is_null() {
            self.call("POST", &format!("sys/auth/{mount}"), &json!({ "type": kind }));
        }
    }

    /// Mounts the engine `kind` at `mount`.
    ///
    /// # Panics
    /// The server refuses.
    pub fn mount(&self, mount: &str, kind: &str) {
        self.call("POST", &format!("sys/mounts/{mount}"), &json!({ "type": kind }));
    }

    /// A new role of the AppRole method at `mount`, which is mounted if it is not yet. Gives its role id.
    ///
    /// # Panics
    /// The server refuses.
    pub fn approle(&self, mount: &str, name: &str, options: &Value) -> String {
        self.mount_auth(mount, "approle");
        let role = format!("auth/{mount}/role/{name}");
        self.call("POST", &role, options);
        string(&self.call("GET", &format!("{role}/role-id"), &Value::Null)["data"]["role_id"])
    }

    /// A new secret id of a role, made as these options say.
    ///
    /// # Panics
    /// The server refuses.
    pub fn secret_id(&self, mount: &str, name: &str, options: &Value) -> String {
        let path = format!("auth/{mount}/role/{name}/secret-id");
        string(&self.call("POST", &path, options)["data"]["secret_id"])
    }

    /// A new secret id of a role inside a wrapping token that lasts for a minute.
    ///
    /// # Panics
    /// The server refuses.
    pub fn wrapped_secret_id(&self, mount: &str, name: &str) -> String {
        self.wrapped(&format!("auth/{mount}/role/{name}/secret-id"))
    }

    /// What writing nothing to `path` gives, inside a wrapping token that lasts for a minute.
    ///
    /// # Panics
    /// The server refuses.
    pub fn wrapped(&self, path: &str) -> String {
        let request = Request::new("POST".parse().expect("a method"), &format!("/v1/{path}"))
            .with_header("x-vault-token", self.server.root_token())
            .with_header("x-vault-wrap-ttl", "60s")
            .json_body(&json!({}));
        let response = self.server.client().send_apart(request);
        let response = response.unwrap_or_else(|error| panic!("{path}: {error}"));
        let answer: Value = response.json_value().unwrap_or_default();
        string(&answer["wrap_info"]["token"])
    }

    /// Calls the API as root: method, path below `/v1/`, body (`null` for none). Gives the answer's body, `null`
    /// when it has none.
    ///
    /// # Panics
    /// The server refuses.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let response = self.send(method, path, body, self.server.root_token());
        let status = response.status;
        let text = String::from_utf8_lossy(response.body());
        assert!(status.is_success(), "{method} {path}: {status} {text}");
        response.json_value().unwrap_or(Value::Null)
    }

    /// The same with any token, for any answer.
    ///
    /// # Panics
    /// There is none.
    pub fn send(&self, method: &str, path: &str, body: &Value, token: &str) -> Response {
        let method = method.parse().expect("an HTTP method");
        let mut request = Request::new(method, &format!("/v1/{path}")).with_header("x-vault-token", token);
        if let Some(namespace) = &self.namespace {
            request = request.with_header("x-vault-namespace", namespace);
        }
        if !body.is_null() {
            request = request.json_body(body);
        }
        let response = self.server.client().send_apart(request);
        response.unwrap_or_else(|error| panic!("{path}: {error}"))
    }
}

fn string(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no string"))
        .to_owned()
}
