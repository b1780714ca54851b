//! What must be true, by name, so that a failing seed says which promise was broken.

use std::fmt;

/// A promise of the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Invariant {
    /// An output is a whole rendering of a text that was its template, and of values that were its secrets'.
    Whole,
    /// The fields of one item in one output are of one version.
    Coherent,
    /// An output never goes back to an older value of a secret.
    Forward,
    /// A template's own text stands only where nothing is and `passthrough` allows it.
    Placeholder,
    /// Nothing but destinations and state is written.
    Outside,
    /// No temporary file outlives the first round after a kill.
    Leftovers,
    /// No value is in the log, the status file or the journal.
    Canary,
    /// What can be had arrives in time, whatever else fails.
    Arrival,
    /// Nothing is deleted but the output of a template that is gone for good.
    Deletion,
    /// The output of a template that is gone for good is deleted.
    Removal,
    /// A file that others put there is left alone.
    Foreign,
    /// Equal content is not written again.
    Rewrite,
    /// No item is asked for twice at once, and no call carries more than the provider takes.
    Batch,
    /// Calls in flight at once stay within the provider's number.
    Concurrency,
    /// Without trouble an item is read once a refresh, in as few calls as the provider's batches allow.
    Reads,
    /// A failing provider or secret is asked with growing pauses.
    BackOff,
    /// A provider that asks to be left alone is left alone.
    RetryAfter,
    /// What is leased is in force as long as it is wanted, is not asked for anew without need, and is given back when
    /// nobody uses it, and not before.
    Lease,
    /// A consumer is told of the last change of its outputs.
    Told,
    /// A consumer is told once for each change, after it has taken place.
    Once,
    /// The status file tells the truth.
    Status,
    /// The agent runs until it is told to stop.
    Alive,
}

/// A promise that was broken.
#[derive(Clone, Debug)]
pub(super) struct Broken {
    pub(super) invariant: Invariant,
    pub(super) detail: String,
}

impl Broken {
    pub(super) fn new(invariant: Invariant, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { invariant, detail }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.invariant, self.detail)
    }
}
