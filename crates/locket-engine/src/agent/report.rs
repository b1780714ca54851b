//! What an agent tells the outside.

use std::path::{Path, PathBuf};
use std::sync::Once;
use std::time::Duration;

use locket_core::{Action, Diagnostic};

use super::setup::Unseen;
use crate::sources::{self, SourceError};
use crate::state::Status;

/// Shows people what has a place in a text they wrote, and, unless it does otherwise, writes the rest to the log.
pub trait Observer {
    /// A template has mistakes or warnings, `found`, in `text`, which is called `name`.
    fn template(&self, name: &str, text: &[u8], found: &[Diagnostic]);

    /// New content is in place at `target`; `how` is `created` or `updated`.
    fn changed(&self, target: &Path, how: &'static str) {
        tracing::info!("{how} {}", target.display());
    }

    /// Something stands in the way of an output since this round.
    fn failing(&self, failing: &Failing<'_>) {
        let about = failing
            .reference
            .map(|name| format!("{name}: "))
            .unwrap_or_default();
        let hint = failing.hint.map(|hint| format!(" {hint}")).unwrap_or_default();
        let (shown, outcome) = (failing.shown, failing.outcome);
        tracing::warn!("{shown} {outcome}: {about}{}.{hint}", failing.reason);
    }

    /// A consumer could not be told in time, and why.
    fn untold(&self, action: &Action, reason: &str) {
        tracing::error!("{action} was not told: {reason}");
    }

    /// The agent is in `phase`, and `status` is what its status file says.
    fn phase(&self, _phase: Phase, _status: &Status) {}

    /// How often the dispatcher is to show that it turns; asked before each pause.
    fn pulse_interval(&self) -> Option<Duration> {
        None
    }

    /// The dispatcher turns.
    fn pulse(&self) {}
}

/// Where an agent stands between its start and its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The first round is not over.
    Starting,
    /// A round is over and others may follow, or what the status says changed between rounds.
    Staying,
    /// It was told to read its configuration again. [`Phase::Staying`] follows when it has.
    Reloading,
    /// It was told to stop.
    Stopping,
}

/// What stands in the way of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failing<'a> {
    /// The output.
    pub target: &'a Path,
    /// How messages call it.
    pub shown: &'a str,
    /// The reference to blame.
    pub reference: Option<&'a str>,
    /// What happened, as a lower-case fragment.
    pub reason: &'a str,
    /// What to do, as a sentence.
    pub hint: Option<&'a str>,
    /// What becomes of the output, as the end of a sentence that begins with it.
    pub outcome: &'static str,
    /// Whether it is the writing that failed, and not what was to be written.
    pub is_unwritten: bool,
}

/// How a run ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// Outputs that are not in place because a reference has no value or a template is wrong.
    pub unresolved: Vec<PathBuf>,
    /// Outputs that could not be written.
    pub unwritten: Vec<PathBuf>,
    /// Why the outputs among these are not in place.
    pub why: Vec<Refusal>,
    /// Outputs that changed in the last round.
    pub changed: usize,
    /// Consumers that could not be told in time.
    pub untold: Vec<Action>,
    /// What could not be looked at until then, so that outputs may be missing that nobody knows of.
    pub unseen: Option<Unseen>,
    /// Whether a command ended it.
    pub was_stopped: bool,
    /// Why nothing was done at all.
    pub refused: Vec<Refusal>,
}

/// Why a run did not begin, which is a usage error, or why an output is not in place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// What to do, as a sentence.
    pub hint: Option<String>,
}

/// Why one output is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// The reference to blame, as it is written.
    pub(super) reference: Option<String>,
    /// What happened, as a lower-case fragment.
    pub(super) reason: String,
    /// What to do, as a sentence.
    pub(super) hint: Option<String>,
    pub(super) kind: TroubleKind,
}

/// What stands in the way of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TroubleKind {
    /// The last good value is used; it could not be confirmed.
    Stale,
    /// A reference has no value, or one that does not suit.
    Unresolved,
    /// The template is wrong.
    Template,
    /// The output cannot be written.
    Unwritten,
}

/// Warns once in the life of the process when secrets had to be kept in memory that is not locked.
pub(super) fn warn_about_unlocked_memory() {
    static TOLD: Once = Once::new();
    if locket_sys::arena::status().overflowed {
        TOLD.call_once(|| {
            tracing::warn!(
                "the limit of locked memory is reached: some secrets may be swapped out. Raise it (`ulimit -l`, \
                 `LimitMEMLOCK=`, `--ulimit memlock=`), or encrypt the swap."
            );
        });
    }
}

impl Trouble {
    /// What is wrong with the output that is called `shown`.
    pub(super) fn told_of(&self, shown: &str) -> Refusal {
        let reference = self.reference.as_deref();
        let about = reference.map(|name| format!("{name}: ")).unwrap_or_default();
        Refusal {
            message: format!("{shown}: {about}{}", self.reason),
            hint: self.hint.clone(),
        }
    }

    /// What is wrong with an output whose template cannot be looked at.
    pub(super) fn of_unseen(unseen: &sources::Trouble) -> Self {
        Self {
            reference: None,
            reason: format!(
                "its template is out of sight: {}: {}",
                unseen.path.display(),
                unseen.reason
            ),
            hint: Some(
                "Let the agent's user read it; until then nothing is deleted that is made there.".to_owned(),
            ),
            kind: TroubleKind::Stale,
        }
    }

    pub(super) fn of_source(error: &SourceError) -> Self {
        Self {
            reference: None,
            reason: error.to_string(),
            hint: Some(error.hint().to_owned()),
            kind: TroubleKind::Template,
        }
    }
}
