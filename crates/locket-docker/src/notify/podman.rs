//! Podman without a service: its program does what its socket would.

use std::process::Stdio;
use std::time::Duration;

use locket_core::action::ContainerOrder;
use locket_core::{Action, Environment};
use locket_engine::notify::Delivery;
use tokio::process::Command;

use crate::engine::EngineError;

/// A restart waits for the container's own stop timeout first.
const LIMIT: Duration = Duration::from_secs(150);

/// Tells a container; nothing else has a form here.
pub(super) async fn tell(action: &Action, environment: &Environment) -> Result<Delivery, EngineError> {
    let Action::Container { name, order } = action else {
        return Ok(Delivery::Failed(format!(
            "{action} needs an engine that listens: run `systemctl enable --now podman.socket`"
        )));
    };
    // 0 it exists, 1 it does not, others podman failed: podman-container-exists(1).
    match run(&["container", "exists", name], environment).await?.0 {
        Some(0) => {}
        Some(1) => return Err(EngineError::Missing),
        _ => return Err(failed()),
    }
    let (status, state) = run(
        &["container", "inspect", "--format", "{{.State.Running}}", name],
        environment,
    )
    .await?;
    match (status, state.trim()) {
        (Some(0), "true") => {}
        (Some(0), _) => return Err(EngineError::Stopped),
        _ => return Err(failed()),
    }
    let status = match order {
        ContainerOrder::Signal(signal) => {
            run(&["kill", "--signal", &signal.to_string(), name], environment)
                .await?
                .0
        }
        ContainerOrder::Restart => run(&["restart", name], environment).await?.0,
    };
    match status {
        Some(0) => Ok(Delivery::Told),
        _ => Err(failed()),
    }
}

fn failed() -> EngineError {
    EngineError::Unavailable("podman failed; `podman ps` as the same user shows why".to_owned())
}

/// Runs podman; gives its exit status and what it printed.
async fn run(arguments: &[&str], environment: &Environment) -> Result<(Option<i32>, String), EngineError> {
    let output = Command::new("podman")
        .args(arguments)
        .env_clear()
        .envs(environment.iter())
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(LIMIT, output).await {
        Ok(Ok(output)) => Ok((
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )),
        Ok(Err(error)) => Err(EngineError::Unavailable(format!("podman cannot be run: {error}"))),
        Err(_) => Err(EngineError::Unavailable(format!(
            "podman took longer than {}",
            humantime::format_duration(LIMIT)
        ))),
    }
}
