//! Does one step after the other until secrets and services are as they should be. Before each it looks at what there
//! is: what an earlier run began is finished, and what another does at the same time is not undone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use locket_core::{Clock, SecretBytes};
use locket_engine::telemetry::Fingerprints;

use super::change::{Step, Wanted, family, is_ours, next, uses};
use crate::engine::{Client, EngineError, SecretObject, SwarmError, SwarmService};

/// The config of the swarm with the key of the digests, the same for every manager. Whoever may read it may read the
/// secrets, too: it keeps values from being guessed by those who see labels elsewhere.
const KEY: &str = "locket.sync.key";

/// Between two looks at an update.
const LOOK: Duration = Duration::from_millis(500);

/// Looks after which a service without tasks counts as updated.
const IDLE_LOOKS: u32 = 6;

/// Changes of others that a step gives way to.
const MOST_CONFLICTS: u32 = 20;

/// What a run is told.
pub struct Sync<'a> {
    /// The swarm.
    pub client: &'a Client,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// How long the update of one service may take.
    pub timeout: Duration,
    /// Hears of each step.
    pub tell: &'a dyn Fn(&str),
}

/// What digests are wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// For what is made.
    Bring,
    /// For what would be made: nothing in the swarm is changed.
    Rehearse,
}

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// How many things were changed, or would be.
    pub changed: usize,
    /// What could not be done, and why.
    pub failed: Vec<String>,
}

impl Sync<'_> {
    /// What digests of values are made with; made when there is none yet.
    ///
    /// # Errors
    /// The swarm does not answer, or this node is no manager.
    pub async fn fingerprints(&self, purpose: Purpose) -> Result<Fingerprints, String> {
        for _ in 0..2 {
            let found = self.client.config(KEY).await.map_err(|error| error.to_string())?;
            if let Some(key) = found {
                return Ok(Fingerprints::with(SecretBytes::new(key)));
            }
            let fresh =
                Fingerprints::fresh_key().map_err(|error| format!("there is no random key: {error}"))?;
            if purpose == Purpose::Rehearse {
                // Without a key nothing was ever made, so that any will do.
                return Ok(Fingerprints::with(SecretBytes::new(fresh)));
            }
            match self.client.create_config(KEY, &fresh).await {
                // Another was faster: its key counts.
                Ok(()) | Err(SwarmError::Conflict) => {}
                Err(error) => return Err(format!("the config {KEY} cannot be made: {error}")),
            }
        }
        Err(format!("the config {KEY} cannot be read"))
    }

    /// Brings one secret and its services to where they should be.
    pub async fn bring(&self, wanted: &Wanted, value: &SecretBytes) -> Outcome {
        let mut outcome = Outcome::default();
        let mut given_up = wanted.left_out.clone();
        let mut conflicts = 0;
        loop {
            let (secrets, services) = match self.look().await {
                Ok(present) => present,
                Err(error) => {
                    outcome.failed.push(format!("{}: {error}", wanted.name));
                    return outcome;
                }
            };
            let step = next(wanted, &secrets, &services, &given_up);
            let family = family(wanted, &secrets);
            // What was begun is brought to its end before anything is removed.
            if matches!(step, Step::Remove { .. } | Step::Done)
                && let Some(service) = unsettled(wanted, &family, &services, &given_up)
            {
                if let Err(reason) = self.settle(wanted, &family, &service.id).await {
                    outcome.failed.push(format!("{}: {reason}", service.name()));
                    given_up.push(service.id.clone());
                }
                continue;
            }
            let done = match step {
                Step::Done => return outcome,
                // Whoever could not be moved may yet be rolled back.
                Step::Remove { .. } if !outcome.failed.is_empty() => return outcome,
                Step::Create { name, labels } => {
                    self.begin("create", &name);
                    let made = self.client.create_secret(&name, &labels, value).await;
                    made.map(|()| format!("created {name}"))
                        .map_err(|error| (error, name, None))
                }
                Step::Move { service, spec, to } => {
                    let name = service.name().to_owned();
                    self.begin("move", &name);
                    match self
                        .client
                        .change_service(&service.id, service.version, spec)
                        .await
                    {
                        Ok(()) => match self.settle(wanted, &family, &service.id).await {
                            Ok(()) => Ok(format!("updated {name} with {to}")),
                            Err(reason) => {
                                outcome.failed.push(format!("{name}: {reason}"));
                                given_up.push(service.id);
                                continue;
                            }
                        },
                        Err(error) => Err((error, name, Some(service.id))),
                    }
                }
                Step::Remove { id, name } => {
                    self.begin("remove", &name);
                    match self.client.remove_secret(&id).await {
                        Ok(()) => Ok(format!("removed {name}")),
                        // A service began to use it, and the next run looks again.
                        Err(SwarmError::Refused(reason)) => {
                            tracing::info!("{name} stays: {reason}");
                            given_up.push(id);
                            continue;
                        }
                        Err(error) => Err((error, name, Some(id))),
                    }
                }
            };
            match done {
                Ok(line) => {
                    outcome.changed += 1;
                    (self.tell)(&line);
                }
                Err((SwarmError::Conflict | SwarmError::Gone, ..)) if conflicts < MOST_CONFLICTS => {
                    conflicts += 1;
                    tokio::time::sleep(LOOK / 5).await;
                }
                Err((error, name, id)) => {
                    outcome.failed.push(format!("{name}: {error}"));
                    match id {
                        Some(id) => given_up.push(id),
                        None => return outcome,
                    }
                }
            }
        }
    }

    /// What [`Sync::bring`] would do, without doing it.
    ///
    /// # Errors
    /// The swarm does not answer.
    pub async fn rehearse(&self, wanted: &Wanted) -> Result<Outcome, String> {
        let (mut secrets, mut services) = self.look().await.map_err(|error| error.to_string())?;
        let mut outcome = Outcome::default();
        loop {
            let line = match next(wanted, &secrets, &services, &wanted.left_out) {
                Step::Done => return Ok(outcome),
                Step::Create { name, labels } => {
                    let line = format!("would create {name}");
                    secrets.push(SecretObject {
                        id: name.clone(),
                        name,
                        labels,
                        driver: None,
                    });
                    line
                }
                Step::Move { service, spec, to } => {
                    let known = services.iter_mut().find(|known| known.id == service.id);
                    let line = format!("would update {} with {to}", service.name());
                    if let Some(known) = known {
                        known.spec = spec;
                    }
                    line
                }
                Step::Remove { id, name } => {
                    secrets.retain(|secret| secret.id != id);
                    format!("would remove {name}")
                }
            };
            outcome.changed += 1;
            (self.tell)(&line);
        }
    }

    async fn look(&self) -> Result<(Vec<SecretObject>, Vec<SwarmService>), EngineError> {
        Ok((self.client.secrets().await?, self.client.services().await?))
    }

    /// Says at debug level how far it has come, so that a test knows what a kill interrupted.
    fn begin(&self, step: &str, of: &str) {
        tracing::debug!(step, of, "swarm");
    }

    /// Waits until the update of a service is over. One that stopped half way is rolled back; one that another began
    /// meanwhile is left alone.
    async fn settle(&self, wanted: &Wanted, family: &BTreeSet<&str>, id: &str) -> Result<(), String> {
        let give_up = self.clock.monotonic() + self.timeout;
        let mut is_rolled_back = false;
        let mut why = String::new();
        let mut idle = 0;
        while self.clock.monotonic() < give_up {
            let service = match self.client.service(id).await {
                Ok(service) => service,
                Err(EngineError::Missing) => return Ok(()),
                Err(error) => return Err(error.to_string()),
            };
            match service.update.as_deref() {
                Some("completed") => return Ok(()),
                Some("updating" | "paused") if !is_rolled_back && !is_ours(wanted, family, &service) => {
                    leave(&service);
                    return Ok(());
                }
                Some("paused") if !is_rolled_back => {
                    why.clone_from(&service.message);
                    self.begin("roll back", service.name());
                    match self.client.roll_back_service(&service).await {
                        Ok(()) => is_rolled_back = true,
                        Err(SwarmError::Conflict) => {}
                        Err(error) => {
                            return Err(format!(
                                "its update failed ({why}) and could not be rolled back: {error}"
                            ));
                        }
                    }
                }
                Some("rollback_completed" | "rollback_paused") => {
                    let why = if why.is_empty() { service.message } else { why };
                    return Err(format!("its update failed and was rolled back: {why}"));
                }
                None if is_rolled_back => {
                    return Err(format!("its update failed and was rolled back: {why}"));
                }
                None => {
                    let tasks = self.client.tasks(id).await.map_err(|error| error.to_string())?;
                    let wanted = &service.spec["TaskTemplate"];
                    let is_current = |spec: &serde_json::Value| {
                        spec["ContainerSpec"]["Secrets"] == wanted["ContainerSpec"]["Secrets"]
                            && spec["ForceUpdate"].as_u64().unwrap_or(0)
                                == wanted["ForceUpdate"].as_u64().unwrap_or(0)
                    };
                    let is_done = tasks
                        .iter()
                        .all(|task| task.state == "running" && is_current(&task.spec));
                    idle += u32::from(is_done);
                    if idle >= IDLE_LOOKS {
                        return Ok(());
                    }
                }
                Some(_) => {}
            }
            tokio::time::sleep(LOOK).await;
        }
        let limit = humantime::format_duration(self.timeout);
        Err(format!("its update was not over after {limit}"))
    }
}

/// A service that uses the secret and whose update, begun for its sake, is not over.
fn unsettled<'a>(
    wanted: &Wanted,
    family: &BTreeSet<&str>,
    services: &'a [SwarmService],
    given_up: &[String],
) -> Option<&'a SwarmService> {
    let mut under_way = services.iter().filter(|service| {
        !given_up.contains(&service.id)
            && matches!(
                service.update.as_deref(),
                Some("updating" | "paused" | "rollback_started")
            )
            && family.iter().any(|id| uses(&service.spec, id))
    });
    under_way.find(|service| {
        let is_ours = is_ours(wanted, family, service);
        if !is_ours {
            leave(service);
        }
        is_ours
    })
}

/// Says at debug level why nothing is done about an update that is not over.
fn leave(service: &SwarmService) {
    tracing::debug!(
        "the update of {} was begun by another, who changed nothing of this secret, and is left alone",
        service.name()
    );
}
