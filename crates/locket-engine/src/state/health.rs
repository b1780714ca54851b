//! Judging an agent by its status file, from another process.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::status::{State, Status};

/// A status file as a reader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observed {
    /// What the file says.
    pub status: Status,
    /// Whether the agent that wrote it still runs.
    pub alive: bool,
}

/// Reads the status file at `path`.
///
/// # Errors
/// There is none, it cannot be read, or no agent wrote it.
pub fn observe(path: &Path) -> io::Result<Observed> {
    /// A reader may meet a write half way; the next look finds it whole.
    const LOOKS: usize = 20;
    let file = File::open(path)?;
    // The agent holds the exclusive lock while it lives.
    let alive = flock(&file, FlockOperation::NonBlockingLockShared).is_err();
    let mut last = io::Error::from(io::ErrorKind::UnexpectedEof);
    for _ in 0..LOOKS {
        match serde_json::from_slice(&std::fs::read(path)?) {
            Ok(status) => return Ok(Observed { status, alive }),
            Err(error) => last = error.into(),
        }
        std::thread::yield_now();
    }
    Err(last)
}

/// What is wrong with an agent, a line each; nothing when it is healthy. `now` is in seconds since 1970.
pub fn judge(observed: &Observed, now: u64, max_stale: Option<Duration>) -> Vec<String> {
    let Observed { status, alive } = observed;
    let mut wrong = Vec::new();
    if !alive && status.state != State::Done {
        wrong.push(format!(
            "the agent (process {}) is not running any more",
            status.pid
        ));
    }
    if status.state == State::Starting {
        wrong.push("the first round is not over".to_owned());
    }
    for failing in &status.failing {
        let target = failing.target.display();
        let about = failing
            .reference
            .as_deref()
            .map(|name| format!(" ({name})"))
            .unwrap_or_default();
        let age = failing
            .last_success
            .map(|at| Duration::from_secs(now.saturating_sub(at)));
        match (age, max_stale) {
            (None, _) => wrong.push(format!("{target} is missing{about}: {}", failing.reason)),
            (Some(age), Some(limit)) if age > limit => wrong.push(format!(
                "{target} was last confirmed {} ago{about}: {}",
                humantime::format_duration(age),
                failing.reason
            )),
            _ => {}
        }
    }
    if status.state == State::Failed && wrong.is_empty() {
        wrong.push("the agent says that it failed".to_owned());
    }
    wrong
}
