//! What of the engine's answers is read. Source: Docker Engine API v1.44, <https://docs.docker.com/reference/api/engine/>.

use std::collections::HashMap;

use serde::Deserialize;

/// A container, as `GET /containers/{id}/json` describes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Whether it runs.
    pub state: ContainerState,
    /// What it was made of.
    pub config: ContainerConfig,
}

/// How a container is.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerState {
    /// Whether its process is there; also of a paused one.
    pub running: bool,
}

/// What a container was made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerConfig {
    /// The image, as it was named.
    #[serde(default)]
    pub image: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Option<HashMap<String, String>>,
    /// How many seconds it has to end before it is killed; for ever where it is negative, and the engine's default
    /// where it says nothing.
    #[serde(default)]
    pub stop_timeout: Option<i64>,
}

/// A container, as `GET /containers/json` lists it.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Listed {
    /// Its id.
    pub id: String,
    /// Its names, each behind a `/`.
    #[serde(default)]
    pub names: Vec<String>,
    /// `running`, `exited` and others.
    #[serde(default)]
    pub state: String,
    /// Its labels.
    #[serde(default)]
    pub labels: Option<HashMap<String, String>>,
}

/// What a container uses, as `GET /containers/json` lists it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Using {
    #[serde(default)]
    pub(super) mounts: Vec<Mounted>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mounted {
    #[serde(rename = "Type", default)]
    pub(super) kind: String,
    /// Of a volume.
    pub(super) name: Option<String>,
}

/// A service of a swarm, as `GET /services/{id}` describes it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Service {
    #[serde(rename = "ID")]
    pub(super) id: String,
    pub(super) version: ObjectVersion,
    pub(super) spec: serde_json::Value,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ObjectVersion {
    pub(super) index: u64,
}
