//! Docker's Engine, as much of it as telling a consumer takes: containers that are looked at, signalled and restarted.
//! `crates/locket/tests/it/sync/engine.rs` asks it and the real engine the same.
//!
//! Source: Docker Engine API v1.44, <https://docs.docker.com/reference/api/engine/>.

mod swarm;

pub use swarm::Swarm;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use crate::{Request, Response};

/// The signals that are known by a name.
const SIGNALS: &[&str] = &[
    "SIGHUP", "SIGINT", "SIGQUIT", "SIGKILL", "SIGUSR1", "SIGUSR2", "SIGTERM", "SIGWINCH",
];

/// An engine with containers. Copies share them.
#[derive(Clone, Debug, Default)]
pub struct Docker {
    containers: Arc<Mutex<Vec<Container>>>,
}

#[derive(Debug)]
struct Container {
    name: String,
    image: String,
    labels: BTreeMap<String, String>,
    state: State,
    /// Whether the engine fails at everything that it is to do to it.
    is_broken: bool,
    told: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Exited,
}

impl Docker {
    /// An engine without containers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a running container.
    pub fn add(&self, name: &str, image: &str, labels: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.lock().push(Container {
            name: name.to_owned(),
            image: image.to_owned(),
            labels: labels.iter().map(own).collect(),
            state: State::Running,
            is_broken: false,
            told: Vec::new(),
        });
    }

    /// Pauses a container.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn pause(&self, name: &str) {
        self.change(name, |container| container.state = State::Paused);
    }

    /// Ends a container.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn stop(&self, name: &str) {
        self.change(name, |container| container.state = State::Exited);
    }

    /// Lets the engine fail from now on at signals to this container and restarts of it, as at a process that hangs in
    /// the kernel.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn break_down(&self, name: &str) {
        self.change(name, |container| container.is_broken = true);
    }

    /// Ends what [`Docker::break_down`] began.
    ///
    /// # Panics
    /// There is none of this name.
    pub fn mend(&self, name: &str) {
        self.change(name, |container| container.is_broken = false);
    }

    /// The signals that each container got since this was asked, and `restart` for each restart.
    pub fn take_told(&self) -> BTreeMap<String, Vec<String>> {
        let mut containers = self.lock();
        let told = containers
            .iter_mut()
            .filter(|container| !container.told.is_empty());
        told.map(|container| (container.name.clone(), std::mem::take(&mut container.told)))
            .collect()
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Response {
        let segments = request.segments();
        let segments: Vec<_> = segments.iter().map(AsRef::as_ref).collect();
        match (request.method.as_str(), segments.as_slice()) {
            ("GET", ["containers", "json"]) => self.list(request),
            ("GET", ["containers", name, "json"]) => {
                self.with(name, |container| Response::json(200, &container.inspected()))
            }
            ("POST", ["containers", name, "kill"]) => {
                let signal = request.param("signal").unwrap_or_else(|| "SIGKILL".to_owned());
                if !SIGNALS.contains(&signal.as_str()) {
                    return refused(400, &format!("invalid signal: {signal}"));
                }
                self.with(name, |container| container.kill(signal))
            }
            ("POST", ["containers", name, "restart"]) => self.with(name, Container::restart),
            _ => refused(404, "page not found"),
        }
    }

    fn list(&self, request: &Request) -> Response {
        let filters = request.param("filters").unwrap_or_else(|| "{}".to_owned());
        let Ok(filters) = serde_json::from_str::<Value>(&filters) else {
            return refused(400, "invalid filter");
        };
        let labels = filters["label"].as_array().cloned().unwrap_or_default();
        let has_all = |container: &Container| {
            labels.iter().filter_map(Value::as_str).all(|label| {
                let (name, value) = label.split_once('=').unwrap_or((label, ""));
                let known = container.labels.get(name);
                known.is_some_and(|known| !label.contains('=') || known == value)
            })
        };
        let is_asked_for_all = request
            .param("all")
            .is_some_and(|all| matches!(all.as_str(), "1" | "true"));
        let containers = self.lock();
        let listed: Vec<_> = containers
            .iter()
            .rev()
            .filter(|container| (is_asked_for_all || container.has_process()) && has_all(container))
            .map(Container::listed)
            .collect();
        Response::json(200, &listed)
    }

    fn change(&self, name: &str, change: impl FnOnce(&mut Container)) {
        let mut containers = self.lock();
        let found = containers.iter_mut().find(|container| container.name == name);
        change(found.expect("a container of this name was added"));
    }

    fn with(&self, name: &str, answer: impl FnOnce(&mut Container) -> Response) -> Response {
        let mut containers = self.lock();
        let found = containers
            .iter_mut()
            .find(|container| container.name == name || container.id() == name);
        match found {
            Some(container) => answer(container),
            None => refused(404, &format!("No such container: {name}")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Container>> {
        self.containers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Container {
    /// As long as a real one, and as hard to guess as its name.
    fn id(&self) -> String {
        let hex: String = self.name.bytes().map(|byte| format!("{byte:02x}")).collect();
        format!("{hex:0>64}")
    }

    fn kill(&mut self, signal: String) -> Response {
        if !self.has_process() {
            return refused(
                409,
                &format!("cannot kill container: {}: it is not running", self.name),
            );
        }
        if self.is_broken {
            return refused(500, &format!("cannot kill container: {}", self.name));
        }
        if signal == "SIGKILL" {
            self.state = State::Exited;
        }
        self.told.push(signal);
        Response::status(204)
    }

    fn restart(&mut self) -> Response {
        if self.is_broken {
            return refused(500, &format!("cannot restart container: {}", self.name));
        }
        self.state = State::Running;
        self.told.push("restart".to_owned());
        Response::status(204)
    }

    /// Also a paused one.
    fn has_process(&self) -> bool {
        self.state != State::Exited
    }

    fn inspected(&self) -> Value {
        json!({
            "Id": self.id(),
            "Name": format!("/{}", self.name),
            "State": {
                "Status": self.state(),
                "Running": self.has_process(),
                "Paused": self.state == State::Paused,
            },
            "Config": { "Image": self.image, "Labels": self.labels },
        })
    }

    fn listed(&self) -> Value {
        json!({
            "Id": self.id(),
            "Names": [format!("/{}", self.name)],
            "Image": self.image,
            "State": self.state(),
            "Labels": self.labels,
        })
    }

    fn state(&self) -> &'static str {
        match self.state {
            State::Running => "running",
            State::Paused => "paused",
            State::Exited => "exited",
        }
    }
}

fn refused(status: u16, message: &str) -> Response {
    Response::json(status, &json!({ "message": message }))
}
