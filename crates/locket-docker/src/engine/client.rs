//! A client of one engine, over its socket or TCP, through the one HTTP seam of the project.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::path::Path;
use std::time::Duration;

use locket_core::{Environment, Signal};
use locket_providers::outbound::{self, Identity};
use reqwest::{Method, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::endpoint::Endpoint;
use super::error::EngineError;
use super::wire::{Container, Listed, Service, Using};

/// Time limit of a question or a signal.
pub(super) const LIMIT: Duration = Duration::from_secs(20);

/// What the engine gives a container to end that says nothing of it.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Time limit of the rest of a restart: the drivers of volumes alone have two minutes to mount them.
const START_LIMIT: Duration = Duration::from_secs(140);

/// Time limit where the engine waits for as long as a container takes: whoever asks gives up long before.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// A client of one engine. Copies share their connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    endpoint: Endpoint,
}

impl Client {
    /// Where the engine is.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// A client of the engine at `endpoint`; connects when it is first asked.
    ///
    /// # Errors
    /// A file for TLS cannot be used; with what to do.
    pub fn new(endpoint: Endpoint, environment: &Environment) -> Result<Self, EngineError> {
        let (builder, base) = match &endpoint {
            Endpoint::Socket(path) => {
                let builder =
                    outbound::client(None, environment).map(|builder| builder.unix_socket(path.as_path()));
                (builder, "http://engine".to_owned())
            }
            Endpoint::Tcp { address, tls: None } => {
                (outbound::client(None, environment), format!("http://{address}"))
            }
            Endpoint::Tcp {
                address,
                tls: Some(tls),
            } => {
                let identity = Identity {
                    ca: tls.ca.clone(),
                    client: Some((tls.certificate.clone(), tls.key.clone())),
                };
                (
                    outbound::client(Some(&identity), environment),
                    format!("https://{address}"),
                )
            }
            Endpoint::Podman => return Err(EngineError::Unavailable("podman is no server".to_owned())),
        };
        let http = builder.and_then(|builder| builder.no_proxy().build().map_err(|error| error.to_string()));
        Ok(Self {
            http: http.map_err(EngineError::Unavailable)?,
            base,
            endpoint,
        })
    }

    /// Sends a signal to a running container.
    ///
    /// # Errors
    /// The container is missing or stopped, or the engine does not answer.
    pub async fn kill(&self, container: &str, signal: Signal) -> Result<(), EngineError> {
        let path = format!("/containers/{container}/kill?signal={signal}");
        self.ask(Method::POST, &path, None, LIMIT).await.map(|_| ())
    }

    /// Restarts a container; also one that does not run. Waits for as long as the container itself may take to end, and
    /// for its start.
    ///
    /// # Errors
    /// The container is missing, or the engine does not answer.
    pub async fn restart(&self, container: &Container) -> Result<(), EngineError> {
        let path = format!("/containers/{}/restart", container.id);
        let limit = restart_limit(container.config.stop_timeout);
        self.ask(Method::POST, &path, None, limit).await.map(|_| ())
    }

    /// What the engine knows of a container.
    ///
    /// # Errors
    /// The container is missing, or the engine does not answer.
    pub async fn inspect(&self, container: &str) -> Result<Container, EngineError> {
        self.read(&format!("/containers/{container}/json")).await
    }

    /// Every container, running or not, the newest first.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn containers(&self) -> Result<Vec<Listed>, EngineError> {
        self.read("/containers/json?all=true").await
    }

    /// What happens to containers from now on: those that are made, renamed and removed.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn changes(&self) -> Result<Changes, EngineError> {
        let filters = json!({ "type": ["container"], "event": ["create", "rename", "destroy"] }).to_string();
        let filters = percent_encoding::utf8_percent_encode(&filters, percent_encoding::NON_ALPHANUMERIC);
        let request = self.http.get(format!("{}/events?filters={filters}", self.base));
        // The engine answers at once, and goes on with its answer for ever.
        let answer = tokio::time::timeout(LIMIT, request.send()).await;
        let answer = answer
            .map_err(|_| EngineError::Unavailable(format!("{} gave no answer in time", self.endpoint)))?;
        let answer = answer.map_err(|error| self.unreached(&error))?;
        match answer.status().is_success() {
            true => Ok(Changes(answer)),
            false => Err(EngineError::Unavailable(format!(
                "{} answered {}",
                self.endpoint,
                answer.status().as_u16()
            ))),
        }
    }

    /// Every container with these labels, running or not.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn labelled(&self, labels: &[String]) -> Result<Vec<Listed>, EngineError> {
        let filters = encoded(&json!({ "label": labels }));
        self.read(&format!("/containers/json?all=true&filters={filters}"))
            .await
    }

    /// The volumes that containers use which run, are paused or are just being restarted.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn volumes_in_use(&self) -> Result<BTreeSet<String>, EngineError> {
        let filters = encoded(&json!({ "status": ["running", "paused", "restarting"] }));
        let running: Vec<Using> = self.read(&format!("/containers/json?filters={filters}")).await?;
        let mounts = running.into_iter().flat_map(|container| container.mounts);
        let volumes = mounts.filter(|mount| mount.kind == "volume");
        Ok(volumes.filter_map(|mount| mount.name).collect())
    }

    /// Lets a swarm replace every task of a service, as its update settings say.
    ///
    /// # Errors
    /// The service is missing, this node is no manager, or the engine does not answer.
    pub async fn update_service(&self, service: &str) -> Result<(), EngineError> {
        let Service {
            id,
            version,
            mut spec,
        } = self.read(&format!("/services/{service}")).await?;
        let task = &mut spec["TaskTemplate"];
        let forced = task["ForceUpdate"].as_u64().unwrap_or_default();
        task["ForceUpdate"] = json!(forced + 1);
        let path = format!("/services/{id}/update?version={}", version.index);
        self.ask(Method::POST, &path, Some(spec), LIMIT).await.map(|_| ())
    }

    pub(super) async fn read<T: DeserializeOwned>(&self, path: &str) -> Result<T, EngineError> {
        let body = self.ask(Method::GET, path, None, LIMIT).await?;
        serde_json::from_slice(&body).map_err(|_| {
            EngineError::Unavailable(format!(
                "{} answered with something that is not its protocol",
                self.endpoint
            ))
        })
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
        limit: Duration,
    ) -> Result<Vec<u8>, EngineError> {
        let (status, body) = self.send(method, path, body, limit).await?;
        match status {
            _ if status.is_success() || status == StatusCode::NOT_MODIFIED => Ok(body),
            StatusCode::NOT_FOUND => Err(EngineError::Missing),
            StatusCode::CONFLICT => Err(EngineError::Stopped),
            _ => Err(self.refused(status)),
        }
    }

    /// What is not explained by the status alone.
    pub(super) fn refused(&self, status: StatusCode) -> EngineError {
        let endpoint = &self.endpoint;
        EngineError::Unavailable(match status {
            StatusCode::SERVICE_UNAVAILABLE => format!("{endpoint} is not a manager of a swarm (503)"),
            _ => format!("{endpoint} answered {}", status.as_u16()),
        })
    }

    /// The status and body of an answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        body: Option<serde_json::Value>,
        limit: Duration,
    ) -> Result<(StatusCode, Vec<u8>), EngineError> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.base))
            .timeout(limit);
        if let Some(body) = body {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let unreached = |error: reqwest::Error| self.unreached(&error);
        let answer = request.send().await.map_err(unreached)?;
        let status = answer.status();
        Ok((status, answer.bytes().await.map_err(unreached)?.to_vec()))
    }

    fn unreached(&self, error: &reqwest::Error) -> EngineError {
        let mut cause: Option<&dyn std::error::Error> = Some(error);
        let mut kind = None;
        let mut words = String::new();
        while let Some(at) = cause {
            kind = kind.or_else(|| at.downcast_ref::<io::Error>().map(io::Error::kind));
            words = at.to_string();
            cause = at.source();
        }
        let endpoint = &self.endpoint;
        EngineError::Unavailable(match (kind, endpoint) {
            (Some(io::ErrorKind::PermissionDenied), Endpoint::Socket(path)) => {
                format!("{endpoint} may not be spoken to by this user: {}", let_in(path))
            }
            (Some(io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused), _) => {
                format!("{endpoint} does not listen: start it, or set DOCKER_HOST")
            }
            _ if error.is_timeout() => format!("{endpoint} gave no answer in time"),
            _ => format!("{endpoint} cannot be reached: {words}"),
        })
    }
}

/// Time limit of a restart of a container with this `StopTimeout`, in seconds.
fn restart_limit(stop_timeout: Option<i64>) -> Duration {
    match stop_timeout.map(u64::try_from) {
        None => STOP_TIMEOUT + START_LIMIT,
        Some(Ok(seconds)) => Duration::from_secs(seconds).saturating_add(START_LIMIT),
        Some(Err(_)) => FOR_EVER,
    }
}

/// A filter as a part of an address.
pub(super) fn encoded(filters: &serde_json::Value) -> String {
    let text = filters.to_string();
    percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Who may open a socket.
fn let_in(path: &Path) -> String {
    use std::os::unix::fs::MetadataExt;
    match std::fs::metadata(path) {
        Ok(metadata) => format!(
            "run locket as root or with the socket's group {} (`--group-add {0}`, `SupplementaryGroups=`)",
            metadata.gid()
        ),
        Err(_) => "run locket as a user that may open it".to_owned(),
    }
}

/// Word of containers that come and go, as long as the engine keeps the connection.
#[derive(Debug)]
pub struct Changes(reqwest::Response);

impl Changes {
    /// Waits until something happened; `None` when the connection ended.
    pub async fn next(&mut self) -> Option<()> {
        // What happened is found by looking: word of it may come in pieces.
        self.0.chunk().await.ok().flatten().map(drop)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The limit of a container that is described so.
    fn limit(config: &serde_json::Value) -> u64 {
        let described = json!({ "Id": "c", "State": { "Running": true }, "Config": config });
        let container: Container = serde_json::from_value(described).unwrap();
        restart_limit(container.config.stop_timeout).as_secs()
    }

    #[test]
    fn a_restart_may_take_as_long_as_the_container_has_to_end_and_then_to_start() {
        let default = limit(&json!({}));
        assert_eq!(default, 150);
        assert_eq!(limit(&json!({ "StopTimeout": null })), default);
        assert_eq!(limit(&json!({ "StopTimeout": 10 })), default);
        assert_eq!(limit(&json!({ "StopTimeout": 0 })), default - 10);
        assert_eq!(limit(&json!({ "StopTimeout": 600 })), default + 590);
        assert!(
            limit(&json!({ "StopTimeout": -1 })) > limit(&json!({ "StopTimeout": 3600 })),
            "it has for ever"
        );
        assert!(
            limit(&json!({ "StopTimeout": i64::MAX })) > default,
            "no overflow"
        );
    }
}
