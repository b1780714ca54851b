//! Secrets, services and tasks of a swarm. Changes say what they are based on, so that two who change something at once
//! do not undo each other's work. Source: Docker Engine API v1.44.

use std::collections::BTreeMap;
use std::fmt;

use data_encoding::BASE64;
use locket_core::SecretBytes;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::client::{Client, LIMIT, encoded};
use super::error::EngineError;
use super::wire::ObjectVersion;

/// A secret of a swarm. Nobody can read its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretObject {
    /// Its number.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Who is asked for its value at each start of a task; `None` where the swarm keeps it.
    pub driver: Option<String>,
}

/// A service of a swarm.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmService {
    /// Its number.
    pub id: String,
    /// What a change of it is based on.
    pub version: u64,
    /// What it is to be, everything of it.
    pub spec: Value,
    /// What it was to be before its last change. The engine forgets it when it rolls back by itself.
    pub previous: Option<Value>,
    /// How its last update goes: `updating`, `completed`, `paused`, `rollback_completed` and others.
    pub update: Option<String>,
    /// What is said about that.
    pub message: String,
}

/// A task of a service.
#[derive(Clone, Debug, PartialEq)]
pub struct SwarmTask {
    /// What it runs.
    pub spec: Value,
    /// `running`, `failed` and others.
    pub state: String,
}

/// Why something was not changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwarmError {
    /// It was changed by another meanwhile, or another was faster.
    Conflict,
    /// It is not there any more.
    Gone,
    /// The swarm does not want it so; in its words.
    Refused(String),
    /// Nobody answers, or this node is no manager; with what to do.
    Unavailable(String),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Secret {
    #[serde(rename = "ID")]
    id: String,
    spec: SecretSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SecretSpec {
    name: String,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    driver: Option<Driver>,
    #[serde(default)]
    templating: Option<Driver>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Driver {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    #[serde(rename = "ID")]
    id: String,
    version: ObjectVersion,
    spec: Value,
    #[serde(default)]
    previous_spec: Option<Value>,
    #[serde(default)]
    update_status: Option<UpdateStatus>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UpdateStatus {
    #[serde(default)]
    state: String,
    #[serde(default)]
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    spec: Value,
    status: TaskStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct TaskStatus {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    spec: ConfigSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ConfigSpec {
    #[serde(default)]
    data: String,
}

impl Client {
    /// Every secret of the swarm.
    ///
    /// # Errors
    /// The engine does not answer, or this node is no manager.
    pub async fn secrets(&self) -> Result<Vec<SecretObject>, EngineError> {
        let all: Vec<Secret> = self.read("/secrets").await?;
        let object = |Secret { id, spec }| SecretObject {
            id,
            name: spec.name,
            labels: spec.labels.unwrap_or_default(),
            driver: spec.driver.map(|driver| driver.name),
        };
        Ok(all.into_iter().map(object).collect())
    }

    /// Whether the nodes of a swarm take the value of this secret for a Go template, and expand it for each task
    /// (`--template-driver golang`).
    ///
    /// # Errors
    /// There is none of this name, the engine does not answer, or this node is no manager.
    pub async fn is_secret_expanded(&self, name: &str) -> Result<bool, EngineError> {
        let name_in_path = percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC);
        let Secret { spec, .. } = self.read(&format!("/secrets/{name_in_path}")).await?;
        // The engine finds secrets by the beginning of their numbers, too.
        match spec.name == name {
            true => Ok(spec.templating.is_some_and(|driver| driver.name == "golang")),
            false => Err(EngineError::Missing),
        }
    }

    /// Makes a secret.
    ///
    /// # Errors
    /// There is one of this name, or the swarm does not take it.
    pub async fn create_secret(
        &self,
        name: &str,
        labels: &BTreeMap<String, String>,
        value: &SecretBytes,
    ) -> Result<(), SwarmError> {
        #[expect(
            clippy::disallowed_methods,
            reason = "the value goes to the swarm that is to keep it"
        )]
        let data = BASE64.encode(value.expose());
        let body = json!({ "Name": name, "Labels": labels, "Data": data });
        self.change(Method::POST, "/secrets/create", Some(body))
            .await
            .map(drop)
    }

    /// Removes a secret.
    ///
    /// # Errors
    /// A service still uses it.
    pub async fn remove_secret(&self, id: &str) -> Result<(), SwarmError> {
        self.change(Method::DELETE, &format!("/secrets/{id}"), None)
            .await
            .map(drop)
    }

    /// Every service of the swarm.
    ///
    /// # Errors
    /// The engine does not answer, or this node is no manager.
    pub async fn services(&self) -> Result<Vec<SwarmService>, EngineError> {
        let all: Vec<Service> = self.read("/services").await?;
        Ok(all.into_iter().map(SwarmService::from).collect())
    }

    /// One service.
    ///
    /// # Errors
    /// It is gone, or the engine does not answer.
    pub async fn service(&self, id: &str) -> Result<SwarmService, EngineError> {
        self.read::<Service>(&format!("/services/{id}"))
            .await
            .map(SwarmService::from)
    }

    /// The tasks of a service that are to run.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn tasks(&self, service: &str) -> Result<Vec<SwarmTask>, EngineError> {
        let filters = encoded(&json!({ "service": [service], "desired-state": ["running"] }));
        let all: Vec<Task> = self.read(&format!("/tasks?filters={filters}")).await?;
        let task = |Task { spec, status }| SwarmTask {
            spec,
            state: status.state,
        };
        Ok(all.into_iter().map(task).collect())
    }

    /// Makes a service what `spec` says, if it still is what it was at `version`.
    ///
    /// # Errors
    /// Another changed it meanwhile, or the swarm does not take it.
    pub async fn change_service(&self, id: &str, version: u64, spec: Value) -> Result<(), SwarmError> {
        let path = format!("/services/{id}/update?version={version}");
        self.change(Method::POST, &path, Some(spec)).await.map(drop)
    }

    /// Makes a service what it was before its last update.
    ///
    /// # Errors
    /// Another changed it meanwhile.
    pub async fn roll_back_service(&self, service: &SwarmService) -> Result<(), SwarmError> {
        let path = format!(
            "/services/{}/update?version={}&rollback=previous",
            service.id, service.version
        );
        self.change(Method::POST, &path, Some(service.spec.clone()))
            .await
            .map(drop)
    }

    /// What a config of the swarm holds; `None` where there is none of this name.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn config(&self, name: &str) -> Result<Option<Vec<u8>>, EngineError> {
        match self.read::<Config>(&format!("/configs/{name}")).await {
            Ok(config) => Ok(BASE64.decode(config.spec.data.as_bytes()).ok()),
            Err(EngineError::Missing) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a config.
    ///
    /// # Errors
    /// There is one of this name, or the swarm does not take it.
    pub async fn create_config(&self, name: &str, data: &[u8]) -> Result<(), SwarmError> {
        let body = json!({ "Name": name, "Labels": {}, "Data": BASE64.encode(data) });
        self.change(Method::POST, "/configs/create", Some(body))
            .await
            .map(drop)
    }

    async fn change(&self, method: Method, path: &str, body: Option<Value>) -> Result<Vec<u8>, SwarmError> {
        let sent = self.send(method, path, body, LIMIT).await;
        let (status, body) = sent.map_err(|error| SwarmError::Unavailable(error.to_string()))?;
        #[derive(Deserialize)]
        struct Complaint {
            message: String,
        }
        let words = || {
            let complaint = serde_json::from_slice::<Complaint>(&body);
            complaint.map(|complaint| complaint.message).unwrap_or_default()
        };
        match status {
            _ if status.is_success() => Ok(body),
            StatusCode::NOT_FOUND => Err(SwarmError::Gone),
            StatusCode::CONFLICT => Err(SwarmError::Conflict),
            // swarmkit says so of a change that is based on an older version, as an error of no kind.
            _ if words().contains("update out of sequence") => Err(SwarmError::Conflict),
            StatusCode::SERVICE_UNAVAILABLE => Err(SwarmError::Unavailable(self.refused(status).to_string())),
            _ => Err(SwarmError::Refused(words())),
        }
    }
}

impl SwarmService {
    /// Its name.
    pub fn name(&self) -> &str {
        self.spec["Name"].as_str().unwrap_or_default()
    }

    /// Whether it gives its tasks the secret of this number.
    pub fn uses(&self, secret: &str) -> bool {
        crate::swarm::uses(&self.spec, secret)
    }

    /// One of its labels.
    pub fn label(&self, name: &str) -> Option<&str> {
        self.spec["Labels"][name].as_str()
    }
}

impl From<Service> for SwarmService {
    fn from(service: Service) -> Self {
        let status = service.update_status;
        Self {
            id: service.id,
            version: service.version.index,
            spec: service.spec,
            previous: service.previous_spec,
            update: status
                .as_ref()
                .map(|status| status.state.clone())
                .filter(|state| !state.is_empty()),
            message: status.map(|status| status.message).unwrap_or_default(),
        }
    }
}

impl fmt::Display for SwarmError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("another changed it at the same time"),
            Self::Gone => f.write_str("it does not exist any more"),
            Self::Refused(reason) => write!(f, "the swarm refuses it: {reason}"),
            Self::Unavailable(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for SwarmError {}
