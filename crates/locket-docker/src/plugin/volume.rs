//! One volume: whom it is mounted for, how far its values are, and when what keeps them fresh is begun anew.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

use super::registry::Run;
use super::state::StoredVolume;
use super::wire::Health;

/// Somebody who waits for a volume's values.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) id: String,
    pub(super) reply: oneshot::Sender<Result<PathBuf, String>>,
}

/// Where somebody waits for the end of something.
pub(super) type Reply = oneshot::Sender<Result<(), String>>;

/// A volume, and what becomes of it.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) stored: StoredVolume,
    pub(super) phase: Phase,
    pub(super) health: Health,
    /// When a container last began to use it.
    pub(super) mounted: Duration,
    /// In how many looks nobody was seen to use it.
    pub(super) unseen: u32,
    /// What containers may have of it that the plugin cannot reach.
    pub(super) left: Left,
    /// Where the run has ended by itself while containers use it.
    pub(super) stopped: Option<Stopped>,
}

/// A run that has ended by itself, and another that is to take its place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopped {
    /// When that begins.
    pub(super) again: Duration,
    /// How often one was begun in vain.
    tries: u32,
}

/// Pauses before a run that has ended by itself is begun anew: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(10 * 60));

/// What became of containers whose mount went away below them. They keep the files that they have, and nobody can give
/// them new ones: that happens to a managed plugin that is disabled by force, and can only be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// There are none.
    Nothing,
    /// There were some when the plugin before this one ended; the engine is asked whether they run.
    Perhaps,
    /// They run.
    Running,
}

/// What is said of such a volume.
pub(super) const LEFT: &str =
    "containers that run have the files of an earlier mount and get no new ones: start them again";

/// How far it is.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing is mounted.
    Idle,
    /// Values are on their way.
    Starting {
        run: Run,
        since: Duration,
        waiters: Vec<Waiter>,
    },
    /// They are in place. Nothing keeps them fresh when a run ended by itself.
    Mounted { run: Option<Run> },
    /// Nobody uses it any more; what keeps its values fresh comes to its end.
    Ending {
        run: Run,
        /// Whoever wants it again.
        waiters: Vec<Waiter>,
        /// Whoever wants to know that it is over.
        told: Vec<Reply>,
        then: Then,
    },
}

/// What follows the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    Stay,
    Remove,
}

impl Volume {
    pub(super) fn new(stored: StoredVolume, now: Duration) -> Self {
        Self {
            stored,
            phase: Phase::Idle,
            health: Health::default(),
            mounted: now,
            unseen: 0,
            left: Left::Nothing,
            stopped: None,
        }
    }

    /// Has a run take the place of one that has ended by itself, in a while. Gives the pause.
    pub(super) fn postpone(&mut self, now: Duration) -> Duration {
        let tries = self.stopped.map_or(0, |stopped| stopped.tries);
        let pause = (PAUSES.0 * 2_u32.saturating_pow(tries)).min(PAUSES.1);
        self.stopped = Some(Stopped {
            again: now + pause,
            tries: tries.saturating_add(1),
        });
        pause
    }

    /// Whether containers use it and nobody keeps it fresh.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self.phase, Phase::Mounted { run: None }) && !self.stored.mounts.is_empty()
    }

    pub(super) fn run(&self) -> Option<Run> {
        match &self.phase {
            Phase::Idle => None,
            Phase::Starting { run, .. } | Phase::Ending { run, .. } => Some(*run),
            Phase::Mounted { run } => *run,
        }
    }
}
