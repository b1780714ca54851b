//! What the engine asks a plugin, and what it reads of the answers. Field names are those of
//! <https://docs.docker.com/engine/extend/plugins_volume/> and of swarmkit's `api/secret` and `manager/drivers`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use data_encoding::BASE64;
use locket_core::SecretBytes;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// The options of a volume, as `docker volume create --opt NAME=TEXT` gives them.
pub type Options = BTreeMap<String, String>;

/// What the engine accepts for a body of its own protocol.
pub(super) const CONTENT_TYPE: &str = "application/vnd.docker.plugins.v1.2+json";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Create {
    pub(super) name: String,
    /// Left out and `null` mean none.
    #[serde(default)]
    pub(super) opts: Option<Options>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Named {
    pub(super) name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Mounting {
    pub(super) name: String,
    #[serde(rename = "ID", default)]
    pub(super) id: String,
}

/// What a swarm tells of the task that is to get a secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct SecretRequest {
    /// The secret's name.
    pub secret_name: String,
    /// Its labels.
    pub secret_labels: Option<BTreeMap<String, String>>,
    /// The service of the task.
    pub service_name: String,
    /// The service's number.
    #[serde(rename = "ServiceID")]
    pub service_id: String,
    /// The task, as `SERVICE.SLOT.NUMBER`.
    pub task_name: String,
    /// The task's number.
    #[serde(rename = "TaskID")]
    pub task_id: String,
    /// The node that it is to run on.
    #[serde(rename = "NodeID")]
    pub node_id: String,
}

/// A secret for one task.
pub struct SecretValue {
    /// The value.
    pub value: SecretBytes,
    /// Whether the node may use it for other tasks of the secret.
    pub may_be_reused: bool,
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretValue")
            .field("may_be_reused", &self.may_be_reused)
            .finish_non_exhaustive()
    }
}

/// What `docker volume inspect` shows of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeDetails {
    /// Its name.
    pub name: String,
    /// Where its files are; only while it is mounted.
    pub mountpoint: Option<PathBuf>,
    /// When it was made, as RFC 3339 has it.
    pub created: String,
    /// How its secrets are.
    pub health: Health,
    /// For how many mounts of containers it is mounted.
    pub mounts: usize,
}

/// How the secrets of a volume are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// `idle`, `starting`, `ready`, `stale` or `failed`.
    pub state: String,
    /// What is wrong, a line for each file: references and reasons, never a value.
    pub failing: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Details<'a> {
    name: &'a str,
    mountpoint: String,
    created_at: &'a str,
    status: Status<'a>,
}

#[derive(Serialize)]
struct Status<'a> {
    state: &'a str,
    mounts: usize,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    failing: &'a [String],
}

impl VolumeDetails {
    fn shown(&self) -> Details<'_> {
        let mountpoint = self.mountpoint.as_ref();
        Details {
            name: &self.name,
            mountpoint: mountpoint.map_or_else(String::new, |path| path.display().to_string()),
            created_at: &self.created,
            status: Status {
                state: &self.health.state,
                mounts: self.mounts,
                failing: &self.health.failing,
            },
        }
    }
}

/// An answer's body.
pub(super) fn nothing() -> Vec<u8> {
    b"{}".to_vec()
}

pub(super) fn failed(reason: &str) -> Vec<u8> {
    body(&serde_json::json!({ "Err": reason }))
}

pub(super) fn activation() -> Vec<u8> {
    body(&serde_json::json!({ "Implements": ["VolumeDriver", "secretprovider"] }))
}

pub(super) fn capabilities() -> Vec<u8> {
    body(&serde_json::json!({ "Capabilities": { "Scope": "local" } }))
}

pub(super) fn mountpoint(path: Option<PathBuf>) -> Vec<u8> {
    let path = path.map_or_else(String::new, |path| path.display().to_string());
    body(&serde_json::json!({ "Mountpoint": path }))
}

pub(super) fn volume(details: &VolumeDetails) -> Vec<u8> {
    body(&serde_json::json!({ "Volume": details.shown() }))
}

pub(super) fn volumes(all: &[VolumeDetails]) -> Vec<u8> {
    let all: Vec<_> = all.iter().map(VolumeDetails::shown).collect();
    body(&serde_json::json!({ "Volumes": all }))
}

pub(super) fn secret(secret: &SecretValue) -> Vec<u8> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the value goes to the engine that asks for it"
    )]
    let encoded = Zeroizing::new(BASE64.encode(secret.value.expose()));
    // Base64 needs no escapes: the value is written into one buffer, once.
    let mut body = Vec::with_capacity(encoded.len() + 48);
    body.extend_from_slice(b"{\"Value\":\"");
    body.extend_from_slice(encoded.as_bytes());
    body.extend_from_slice(b"\",\"DoNotReuse\":");
    body.extend_from_slice(if secret.may_be_reused { b"false}" } else { b"true}" });
    body
}

fn body(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_as_the_engine_writes_them() {
        let create: Create = serde_json::from_str(r#"{"Name":"v","Opts":null}"#).unwrap();
        assert_eq!((create.name.as_str(), create.opts), ("v", None));
        let create: Create = serde_json::from_str(r#"{"Name":"v","Opts":{"size":"512k"}}"#).unwrap();
        assert_eq!(create.opts.unwrap()["size"], "512k");
        let mounting: Mounting = serde_json::from_str(r#"{"Name":"v","ID":"abc"}"#).unwrap();
        assert_eq!((mounting.name.as_str(), mounting.id.as_str()), ("v", "abc"));
        let asked = r#"{"SecretName":"s","SecretLabels":{"locket.ref":"file:///a"},"ServiceHostname":"{{.Node.Hostname}}",
            "ServiceName":"web","ServiceID":"1","ServiceLabels":null,"TaskID":"t","TaskName":"web.1.t","NodeID":"n","New":1}"#;
        let request: SecretRequest = serde_json::from_str(asked).unwrap();
        assert_eq!(request.secret_labels.unwrap()["locket.ref"], "file:///a");
        assert_eq!(
            (request.service_name.as_str(), request.node_id.as_str()),
            ("web", "n")
        );
        let bare: SecretRequest = serde_json::from_str(r#"{"SecretName":"s"}"#).unwrap();
        assert!(bare.secret_labels.is_none());
    }

    #[test]
    fn answers_have_the_names_that_the_engine_reads() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        assert_eq!(
            text(activation()),
            r#"{"Implements":["VolumeDriver","secretprovider"]}"#
        );
        assert_eq!(text(capabilities()), r#"{"Capabilities":{"Scope":"local"}}"#);
        assert_eq!(text(mountpoint(Some("/a".into()))), r#"{"Mountpoint":"/a"}"#);
        assert_eq!(text(failed("a \"b\"")), r#"{"Err":"a \"b\""}"#);
        let value = SecretValue {
            value: SecretBytes::copy_from(b"hello"),
            may_be_reused: false,
        };
        assert_eq!(text(secret(&value)), r#"{"Value":"aGVsbG8=","DoNotReuse":true}"#);
        let details = VolumeDetails {
            name: "v".into(),
            mountpoint: None,
            created: "2020-01-01T00:00:00Z".into(),
            health: Health {
                state: "idle".into(),
                failing: vec![],
            },
            mounts: 0,
        };
        assert_eq!(
            text(volumes(std::slice::from_ref(&details))),
            r#"{"Volumes":[{"CreatedAt":"2020-01-01T00:00:00Z","Mountpoint":"","Name":"v","Status":{"mounts":0,"state":"idle"}}]}"#
        );
        assert!(text(volume(&details)).starts_with(r#"{"Volume":{"#));
    }
}
