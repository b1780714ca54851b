//! The services of a project as `docker compose` shows and restarts them.

use std::time::Duration;

use locket_compose::rotate::{Dependent, Way};
use locket_core::{Clock, Environment, SecretBytes};
use serde::Deserialize;

use super::super::project::{Answer, Docker, WORK_LIMIT};
use super::recipe::Shell;
use crate::report::Failure;
use crate::runtime;

/// Between two looks at a service.
const PAUSE: Duration = Duration::from_millis(500);

/// How long a service without a health check has to stay up to count as well.
const SETTLED: Duration = Duration::from_secs(3);

/// The engine of one project.
#[derive(Debug)]
pub(super) struct Compose {
    docker: Docker,
    /// How long a question after a service may take.
    limit: Duration,
}

/// How a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No container runs.
    Absent,
    /// It runs, and nobody asks for its health.
    Running,
    /// Its health check succeeds.
    Healthy,
    /// Its health check has not succeeded yet.
    Starting,
    /// Its health check fails, or it starts again and again.
    Unhealthy,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Listed {
    state: String,
    health: String,
}

impl Compose {
    pub(super) fn new(docker: Docker, limit: Duration) -> Self {
        Self { docker, limit }
    }

    /// How a service is; the worst of its containers counts.
    ///
    /// # Errors
    /// The engine cannot be asked.
    pub(super) fn state(&self, service: &str) -> Result<State, Failure> {
        self.state_within(service, self.limit)
    }

    fn state_within(&self, service: &str, limit: Duration) -> Result<State, Failure> {
        let words = ["ps", "--all", "--format", "json", service];
        let answer = self.docker.compose(words, None, limit)?;
        if !answer.is_good {
            return Err(Failure::work(format!(
                "the state of {service} cannot be had: {}",
                answer.stderr.trim()
            ))
            .help("Check that the Docker Engine runs and that this user may ask it."));
        }
        let text = String::from_utf8_lossy(&answer.stdout);
        // An object a line, or one list, as the release has it.
        let listed: Vec<Listed> = match text.trim_start().starts_with('[') {
            true => serde_json::from_str(&text).unwrap_or_default(),
            false => text
                .lines()
                .filter_map(|line| serde_json::from_str(line).ok())
                .collect(),
        };
        let states =
            listed.iter().map(
                |container| match (container.state.as_str(), container.health.as_str()) {
                    ("running", "") => State::Running,
                    ("running", "healthy") => State::Healthy,
                    ("running", "starting") => State::Starting,
                    ("running" | "restarting", _) => State::Unhealthy,
                    _ => State::Absent,
                },
            );
        let rank = |state: &State| match state {
            State::Unhealthy => 0,
            State::Starting => 1,
            State::Absent => 2,
            State::Running | State::Healthy => 3,
        };
        Ok(states.min_by_key(rank).unwrap_or(State::Absent))
    }

    /// Gives a service the new value in its way, and waits until it is well. `variables` are those that a container is
    /// made with.
    ///
    /// # Errors
    /// It is not well within `limit`.
    pub(super) fn renew(
        &self,
        dependent: &Dependent,
        variables: Option<&Environment>,
        limit: Duration,
        clock: &dyn Clock,
    ) -> Result<(), Failure> {
        let service = dependent.service.as_str();
        let words: &[&str] = match dependent.way {
            Way::Restart => &["restart", "--no-deps"],
            Way::Recreate => &["up", "--detach", "--no-deps", "--force-recreate"],
            // The provider gives the value only when it is called, too.
            Way::Provide => &["up", "--detach", "--force-recreate"],
        };
        let docker = match variables {
            Some(variables) => self.docker.with(variables.clone()),
            None => self.docker.clone(),
        };
        let answer = docker.compose(words.iter().chain([&service]), None, WORK_LIMIT)?;
        if !answer.is_good {
            return Err(Failure::work(format!(
                "{service} cannot be restarted: {}",
                answer.stderr.trim()
            )));
        }
        self.settle(service, limit, clock)
    }

    fn settle(&self, service: &str, limit: Duration, clock: &dyn Clock) -> Result<(), Failure> {
        let start = clock.monotonic();
        let mut running_since = None;
        loop {
            let now = clock.monotonic();
            let left = limit.saturating_sub(now.saturating_sub(start)).as_secs();
            match self.state_within(service, Duration::from_secs(left.max(1)))? {
                State::Healthy => return Ok(()),
                State::Running => {
                    let since = *running_since.get_or_insert(now);
                    if now.saturating_sub(since) >= SETTLED {
                        return Ok(());
                    }
                }
                State::Unhealthy | State::Absent => {
                    // A check that fails at first may still come right; one that ended does not count as settled.
                    running_since = None;
                }
                State::Starting => {}
            }
            if now.saturating_sub(start) > limit {
                return Err(Failure::work(format!(
                    "{service} was not well within {} after its restart",
                    humantime::format_duration(limit)
                )));
            }
            runtime::block_on(async { tokio::time::sleep(PAUSE).await })?;
        }
    }
}

impl Shell for Compose {
    fn shell(
        &self,
        service: &str,
        script: &str,
        arguments: &[&str],
        input: &SecretBytes,
    ) -> Result<Answer, Failure> {
        let words = ["exec", "-T", service, "sh", "-c", script, "sh"];
        self.docker
            .compose(words.iter().chain(arguments), Some(input), WORK_LIMIT)
    }

    fn reach(&self, service: &str) -> Result<(), Failure> {
        match self.state(service)? {
            State::Absent | State::Unhealthy => Err(Failure::work(format!(
                "{service} does not run well, so its password cannot be changed"
            ))
            .help(format!(
                "Start it with `docker compose up --detach --wait {service}`."
            ))),
            State::Running | State::Healthy | State::Starting => Ok(()),
        }
    }
}
