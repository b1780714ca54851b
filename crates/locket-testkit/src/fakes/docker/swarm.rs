//! The swarm of a Docker Engine, as much of it as moving services from one version of a secret to the next takes. Its
//! updates end after as many looks as the test says; a service in any other state is put there by the test.
//!
//! Source: Docker Engine API v1.44; what a change does to `PreviousSpec` and `UpdateStatus`: swarmkit,
//! `manager/controlapi/service.go`.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use super::refused;
use crate::{Request, Response};

/// A swarm with secrets and services. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Swarm {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    secrets: Vec<Value>,
    services: Vec<Value>,
    /// Looks at a service until the end of its update.
    looks: usize,
}

impl Swarm {
    /// A swarm with nothing in it.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a secret as `GET /secrets` lists it.
    pub fn add_secret(&self, secret: Value) {
        self.lock().secrets.push(secret);
    }

    /// Adds a service as `GET /services/{id}` describes it, in the place of one that has its `ID`.
    pub fn put_service(&self, service: Value) {
        let mut state = self.lock();
        state.services.retain(|known| known["ID"] != service["ID"]);
        state.services.push(service);
    }

    /// From now on an update is over at this look at its service.
    pub fn end_updates_at_look(&self, looks: usize) {
        self.lock().looks = looks;
    }

    /// A service as it is now; null where there is none of this `ID`.
    pub fn service(&self, id: &str) -> Value {
        let state = self.lock();
        let found = state.services.iter().find(|service| service["ID"] == id);
        found.cloned().unwrap_or_default()
    }

    /// The names of the secrets, in the order in which they were added.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.lock();
        let names = state.secrets.iter();
        names
            .filter_map(|secret| secret["Spec"]["Name"].as_str().map(str::to_owned))
            .collect()
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Response {
        let segments = request.segments();
        let segments: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
        let mut state = self.lock();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["secrets"]) => Response::json(200, &state.secrets),
            ("GET", ["services"]) => Response::json(200, &state.services),
            ("GET", ["services", id]) => state.look(id),
            ("POST", ["services", id, "update"]) => state.update(id, request),
            ("DELETE", ["secrets", id]) => state.remove_secret(id),
            _ => refused(404, "page not found"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn service(&mut self, id: &str) -> Option<&mut Value> {
        self.services.iter_mut().find(|service| service["ID"] == id)
    }

    fn look(&mut self, id: &str) -> Response {
        self.looks = self.looks.saturating_sub(1);
        let is_over = self.looks == 0;
        let Some(service) = self.service(id) else {
            return refused(404, &format!("service {id} not found"));
        };
        let ended = match service["UpdateStatus"]["State"].as_str() {
            Some("updating") => Some("completed"),
            Some("rollback_started") => Some("rollback_completed"),
            _ => None,
        };
        if let Some(ended) = ended.filter(|_| is_over) {
            service["UpdateStatus"]["State"] = json!(ended);
        }
        Response::json(200, &*service)
    }

    fn update(&mut self, id: &str, request: &Request) -> Response {
        let Some(service) = self.service(id) else {
            return refused(404, &format!("service {id} not found"));
        };
        let version = service["Version"]["Index"].as_u64().unwrap_or_default();
        if request.param("version") != Some(version.to_string()) {
            return refused(500, "rpc error: code = Unknown desc = update out of sequence");
        }
        let before = service["Spec"].take();
        let (spec, status) = match request.param("rollback").as_deref() {
            Some("previous") => (service["PreviousSpec"].take(), "rollback_started"),
            _ => (request.json().unwrap_or_default(), "updating"),
        };
        service["Spec"] = spec;
        service["PreviousSpec"] = before;
        service["UpdateStatus"] = json!({ "State": status, "Message": "as it was asked for" });
        service["Version"]["Index"] = json!(version + 1);
        Response::json(200, &json!({ "Warnings": null }))
    }

    fn remove_secret(&mut self, id: &str) -> Response {
        let is_used = self.services.iter().any(|service| {
            let given = service["Spec"]["TaskTemplate"]["ContainerSpec"]["Secrets"].as_array();
            given.is_some_and(|given| given.iter().any(|reference| reference["SecretID"] == id))
        });
        let Some(at) = self.secrets.iter().position(|secret| secret["ID"] == id) else {
            return refused(404, &format!("secret {id} not found"));
        };
        if is_used {
            return refused(400, &format!("secret '{id}' is in use by a service"));
        }
        self.secrets.remove(at);
        Response::status(204)
    }
}
