//! What an agent is told to do.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use locket_core::plan::{Access, Plan};
use locket_core::{Action, Clock, Reach};
use tokio::sync::mpsc;

use super::report::Observer;
use super::variables::Handover;
use crate::instances::Instances;
use crate::notify::Notifier;
use crate::resolve::SecretKey;
use crate::telemetry::Outlets;

/// Everything that a configuration says about a run.
#[derive(Debug)]
pub struct Setup {
    /// What goes where.
    pub plan: Plan,
    /// The providers.
    pub instances: Arc<Instances>,
    /// When rounds take place.
    pub schedule: Schedule,
    /// Who is told about every change, beside those that single outputs name.
    pub actions: Vec<Action>,
    /// How consumers are told.
    pub notifier: Notifier,
    /// Where the agent's state is shown.
    pub status_file: Option<PathBuf>,
    /// What becomes of the outputs when the agent ends.
    pub at_end: AtEnd,
    /// The audit log and metrics.
    pub outlets: Outlets,
    /// Where to keep what must outlive the process; read only when somebody is to be told of changes.
    pub state_dir: Option<PathBuf>,
    /// What the agent needs beside, when it gives everything else up.
    pub surroundings: Surroundings,
    /// Who gets the variables of the plan.
    pub handover: Option<Handover>,
}

/// What an agent needs beside its plan.
#[derive(Debug, Default)]
pub struct Surroundings {
    /// Whether it gives up what it does not need.
    pub sandbox: Sandbox,
    /// Files that it reads again and again: its configuration.
    pub files: Vec<PathBuf>,
    /// What each provider touches.
    pub instances: BTreeMap<Arc<str>, Reach>,
    /// Secrets of one provider that are credentials of another.
    pub credentials: Vec<SecretKey>,
    /// Whether anybody can have read what the first round replaces.
    pub audience: Audience,
    /// What a plan may need that takes the place of this one while the agent runs.
    pub later: Later,
    /// What could not be looked at, so that the plan may lack outputs.
    pub unseen: Option<Unseen>,
}

/// Something that names outputs and could not be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// Where the outputs would be.
    pub place: PathBuf,
    /// Why it could not be, as a lower-case fragment.
    pub reason: String,
}

/// What may come to a plan while the agent runs.
#[derive(Debug, Default)]
pub struct Later {
    /// Directories below which outputs may appear, and how they are made.
    pub outputs: Vec<(PathBuf, Access)>,
    /// What telling consumers may need that nobody names yet; empty when none can come.
    pub consumers: Vec<Reach>,
}

/// Whether anybody can have read what the first round replaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Yes: consumers are told of what it changes.
    #[default]
    Present,
    /// No: whoever reads the outputs starts after it, and need not be told.
    ToCome,
}

/// Whether an agent gives up what it does not need.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sandbox {
    /// As far as the kernel knows how, unless something it runs may need anything.
    Auto,
    /// It keeps everything.
    #[default]
    Off,
}

/// What becomes of the outputs when the agent ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AtEnd {
    /// They stay.
    #[default]
    Keep,
    /// What this run wrote, and nobody changed since, is removed.
    CleanUp,
}

/// When rounds take place, and how long they may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// How long the agent stays and what it follows.
    pub mode: Mode,
    /// Time between two refreshes; `None` never refreshes.
    pub refresh: Option<Duration>,
    /// Up to this much is added to the time between two refreshes.
    pub jitter: Duration,
    /// Quiet time after a file event.
    pub debounce: Duration,
    /// How long the first round may retry what fails transiently.
    pub deadline: Duration,
    /// Time limit of one request.
    pub request: Duration,
}

/// How long the agent stays and what it follows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// One round, then the end.
    OneShot,
    /// Follows edits of templates and rotations of secrets.
    #[default]
    Watch,
    /// Follows rotations only.
    Park,
    /// As a timer that starts it again and again: each refresh reads the configuration, too.
    Repeat,
}

/// What reaches a running agent from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Reads the configuration again and refreshes.
    Reload,
    /// Reads the configuration again, since what goes where has changed; what is known is not asked for again.
    Replan,
    /// Ends after what is being written.
    Stop,
}

/// What surrounds an agent.
pub struct AgentCx<'a> {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who is shown mistakes in templates.
    pub observer: &'a dyn Observer,
    /// Commands from outside. A closed channel is silence.
    pub commands: mpsc::Receiver<Command>,
    /// Reads the configuration again; `None`, after reporting why, keeps the present one.
    pub reload: &'a mut dyn FnMut() -> Option<Setup>,
}
