//! The one question that a secret manager asks a Kubernetes cluster: whose token is this?
//!
//! Source: `authentication.k8s.io/v1` TokenReview.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::{Request, Response, Server};

/// A cluster that knows some service accounts.
#[derive(Debug)]
pub struct Cluster {
    server: Server,
    accounts: Arc<Mutex<HashMap<String, String>>>,
}

impl Cluster {
    /// A cluster that knows nobody.
    pub fn start() -> Self {
        let accounts: Arc<Mutex<HashMap<String, String>>> = Arc::default();
        let known = accounts.clone();
        let server = Server::start(move |request: Request| {
            let review: Value = serde_json::from_slice(&request.body).unwrap_or_default();
            let token = review["spec"]["token"].as_str().unwrap_or_default();
            let accounts = known.lock().unwrap_or_else(PoisonError::into_inner);
            let status = match accounts.get(token) {
                Some(name) => json!({ "authenticated": true, "user": {
                    "username": format!("system:serviceaccount:default:{name}"),
                    "uid": name,
                    "groups": ["system:serviceaccounts", "system:serviceaccounts:default"],
                } }),
                None => json!({ "authenticated": false, "error": "unknown" }),
            };
            let (kind, version) = ("TokenReview", "authentication.k8s.io/v1");
            Response::json(
                201,
                &json!({ "kind": kind, "apiVersion": version, "status": status }),
            )
        });
        Self { server, accounts }
    }

    /// Its address.
    pub fn url(&self) -> String {
        self.server.url()
    }

    /// `token` is of the service account `name` in the namespace `default`.
    pub fn add(&self, token: &str, name: &str) {
        self.lock().insert(token.to_owned(), name.to_owned());
    }

    /// `token` counts no more.
    pub fn remove(&self, token: &str) {
        self.lock().remove(token);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, String>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
