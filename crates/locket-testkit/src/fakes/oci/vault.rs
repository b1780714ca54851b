//! Secrets with their versions, as a test writes them and as the service puts them into JSON.

use data_encoding::BASE64;
use serde_json::{Value, json};

/// One secret.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) id: String,
    pub(super) vault: String,
    pub(super) name: String,
    pub(super) state: State,
    versions: Vec<Version>,
}

/// What becomes of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Active,
    /// Its deletion is scheduled.
    Ending,
    Gone,
}

#[derive(Debug)]
struct Version {
    number: u64,
    name: Option<String>,
    content: Vec<u8>,
    stages: Vec<&'static str>,
    /// Its deletion is scheduled.
    is_ending: bool,
}

impl Secret {
    pub(super) fn new(id: String, vault: &str, name: &str, content: &[u8]) -> Self {
        let mut secret = Self {
            id,
            vault: vault.to_owned(),
            name: name.to_owned(),
            state: State::Active,
            versions: Vec::new(),
        };
        secret.add(content, None);
        secret
    }

    /// A new version, which becomes the current one.
    pub(super) fn add(&mut self, content: &[u8], name: Option<&str>) {
        for version in &mut self.versions {
            version.stages = match version.stages.contains(&"CURRENT") {
                true => vec!["PREVIOUS"],
                false => vec!["DEPRECATED"],
            };
        }
        self.push(content, name, vec!["CURRENT", "LATEST"]);
    }

    /// A new version that waits to become the current one.
    pub(super) fn add_pending(&mut self, content: &[u8]) {
        for version in &mut self.versions {
            version.stages.retain(|stage| *stage != "LATEST");
        }
        self.push(content, None, vec!["PENDING", "LATEST"]);
    }

    pub(super) fn end_version(&mut self, number: u64) {
        let found = self.versions.iter_mut().find(|version| version.number == number);
        found.expect("the test made the version").is_ending = true;
    }

    fn push(&mut self, content: &[u8], name: Option<&str>, stages: Vec<&'static str>) {
        self.versions.push(Version {
            number: self.versions.len() as u64 + 1,
            name: name.map(str::to_owned),
            content: content.to_vec(),
            stages,
            is_ending: false,
        });
    }

    /// The bundle of the version that fits all that is asked for; without anything, of the current one.
    pub(super) fn bundle(
        &self,
        stage: Option<&str>,
        number: Option<&str>,
        name: Option<&str>,
    ) -> Option<Value> {
        let stage = match (stage, number, name) {
            (None, None, None) => Some("CURRENT"),
            (stage, ..) => stage,
        };
        let found = self.versions.iter().find(|version| {
            !version.is_ending
                && stage.is_none_or(|stage| version.stages.contains(&stage))
                && number.is_none_or(|number| version.number.to_string() == number)
                && name.is_none_or(|name| version.name.as_deref() == Some(name))
        })?;
        Some(json!({
            "secretId": self.id,
            "timeCreated": "2024-05-02T18:33:00.123Z",
            "versionNumber": found.number,
            "versionName": found.name,
            "secretBundleContent": {"contentType": "BASE64", "content": BASE64.encode(&found.content)},
            "timeOfDeletion": null,
            "timeOfExpiry": null,
            "stages": found.stages,
            "metadata": null,
        }))
    }
}
