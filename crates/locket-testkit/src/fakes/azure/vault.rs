//! Secrets with their versions, as a test writes them and as a vault puts them into JSON.

use serde_json::{Value, json};

/// One secret of one vault.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) vault: String,
    pub(super) name: String,
    pub(super) is_deleted: bool,
    pub(super) is_denied: bool,
    versions: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    id: String,
    value: String,
    enabled: bool,
}

impl Secret {
    pub(super) fn new(vault: &str, name: &str) -> Self {
        Self {
            vault: vault.to_owned(),
            name: name.to_owned(),
            is_deleted: false,
            is_denied: false,
            versions: Vec::new(),
        }
    }

    /// Adds a version, which becomes the current one, and gives its id.
    pub(super) fn add(&mut self, value: &str) -> String {
        let id = format!("{:032x}", self.versions.len() + 0xa1);
        self.versions.push(Version {
            id: id.clone(),
            value: value.to_owned(),
            enabled: true,
        });
        id
    }

    pub(super) fn disable(&mut self) {
        if let Some(current) = self.versions.last_mut() {
            current.enabled = false;
        }
    }

    /// Whether the current version can be read.
    pub(super) fn is_enabled(&self) -> bool {
        self.versions.last().is_some_and(|current| current.enabled)
    }

    /// The bundle of a version, or of the current one; `Err` when that is disabled.
    pub(super) fn bundle(&self, host: &str, version: Option<&str>) -> Option<Result<Value, ()>> {
        let found = match version {
            Some(id) => self.versions.iter().find(|version| version.id == id)?,
            None => self.versions.last()?,
        };
        if !found.enabled {
            return Some(Err(()));
        }
        Some(Ok(json!({
            "value": found.value,
            "id": format!("https://{host}/secrets/{}/{}", self.name, found.id),
            "attributes": attributes(true),
            "tags": {},
        })))
    }

    /// What a list holds of it.
    pub(super) fn item(&self, host: &str) -> Value {
        json!({
            "id": format!("https://{host}/secrets/{}", self.name),
            "attributes": attributes(self.is_enabled()),
            "tags": {},
        })
    }

    /// What is told of it once it is deleted.
    pub(super) fn deleted(&self, host: &str) -> Value {
        json!({
            "recoveryId": format!("https://{host}/deletedsecrets/{}", self.name),
            "deletedDate": 1_714_674_780,
            "scheduledPurgeDate": 1_722_450_780,
            "id": format!("https://{host}/secrets/{}", self.name),
            "attributes": attributes(true),
        })
    }
}

fn attributes(enabled: bool) -> Value {
    json!({
        "enabled": enabled,
        "created": 1_714_674_780,
        "updated": 1_714_674_780,
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": 90,
    })
}
