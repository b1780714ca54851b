//! Everything there is in a simulation beside the agent, and what the model knows of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use locket_core::Clock;
use tokio::time::Instant;

use super::consumers::Consumers;
use super::destinations::Destinations;
use super::drill::Drill;
use super::invariant::{Broken, Invariant};
use super::snapshot::Snapshot;
use super::sources::Sources;
use super::vault::Vault;

/// The world as the agent's providers, consumers and log reach it.
pub(super) type Shared = Arc<Mutex<World>>;

/// Where the wall clock of a simulation begins, in seconds since 1970.
const EPOCH: u64 = 1_900_000_000;

/// Lines of the log that a failure shows.
const SHOWN: usize = 100;

/// Everything but the agent.
#[derive(Debug)]
pub(super) struct World {
    pub(super) root: PathBuf,
    pub(super) drill: Drill,
    pub(super) vault: Vault,
    pub(super) consumers: Consumers,
    pub(super) sources: Sources,
    pub(super) destinations: Destinations,
    /// The first promise that was broken.
    pub(super) broken: Option<Broken>,
    /// When the running agent was started; `None` while none runs.
    pub(super) up_since: Option<Duration>,
    /// When somebody last gave the agent something to do beside its refreshes.
    pub(super) disturbed_at: Duration,
    pub(super) reloaded_at: Duration,
    /// Set: the agent dies when it burns down.
    pub(super) fuse: Option<Fuse>,
    /// What a kill left on disk; set from the kill until it is put there.
    pub(super) remains: Option<Snapshot>,
    /// Whether the agent was killed and only its remains are being cleared away.
    pub(super) is_dead: bool,
    /// Everything that was ever logged.
    pub(super) log: String,
    story: Vec<String>,
    time: Time,
}

/// What ends an agent's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fuse {
    /// So many more words in its log, the traces of its writing among them.
    Words(usize),
    /// So many more events of the story and answers of providers; then before the next turn of its loop.
    Events(usize),
}

/// Time since the beginning of the simulation, over all lives of the agent.
#[derive(Clone, Copy, Debug, Default)]
struct Time {
    before: Duration,
    started: Option<Instant>,
}

/// The clocks of one process.
#[derive(Debug)]
pub(super) struct LifeClock {
    before: Duration,
    started: Instant,
}

pub(super) fn lock(world: &Shared) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Clock for LifeClock {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(EPOCH) + self.before + self.started.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

impl World {
    pub(super) fn new(root: PathBuf, seed: u64) -> Self {
        let drill = Drill::new(&root, seed);
        let mut world = Self {
            vault: Vault::new(seed),
            consumers: Consumers::default(),
            sources: Sources::new(&root, &drill),
            destinations: Destinations::new(&root),
            drill,
            root,
            broken: None,
            up_since: None,
            disturbed_at: Duration::ZERO,
            reloaded_at: Duration::ZERO,
            fuse: None,
            remains: None,
            is_dead: false,
            log: String::new(),
            story: Vec::new(),
            time: Time::default(),
        };
        world.look();
        world
    }

    pub(super) fn now(&self) -> Duration {
        self.time.before
            + self
                .time
                .started
                .map_or(Duration::ZERO, |started| started.elapsed())
    }

    /// A process starts, inside a new runtime.
    pub(super) fn begin_life(&mut self) -> LifeClock {
        let started = Instant::now();
        self.time.started = Some(started);
        self.up_since = Some(self.now());
        self.disturbed_at = self.now();
        self.reloaded_at = self.now();
        self.vault.forget_calls();
        self.consumers.begin_life();
        self.destinations.begin_life();
        LifeClock {
            before: self.time.before,
            started,
        }
    }

    /// It is gone, still inside its runtime.
    pub(super) fn end_life(&mut self) {
        let now = self.now();
        self.consumers.end_life(now);
        self.time = Time {
            before: now,
            started: None,
        };
        self.up_since = None;
        self.fuse = None;
    }

    /// Time passes without an agent.
    pub(super) fn pass(&mut self, time: Duration) {
        self.time.before += time;
    }

    /// Looks at the templates after somebody was at them.
    pub(super) fn look(&mut self) {
        let now = self.now();
        self.sources.look(now);
        let mut wanted: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
        let asked = self.sources.asked().map(|(_, asked)| asked.text());
        for mention in asked
            .filter(|text| !text.is_wrong)
            .flat_map(|text| text.mentions())
        {
            let parts = wanted.entry(mention.item.clone()).or_default();
            parts.insert(mention.part.clone());
        }
        self.vault.want(wanted, now);
    }

    /// Somebody did something that gives the agent work.
    pub(super) fn disturb(&mut self) {
        self.disturbed_at = self.now();
        self.look();
    }

    /// Something happened.
    pub(super) fn tick(&mut self) {
        if let Some(Fuse::Events(left)) = &mut self.fuse {
            *left = left.saturating_sub(1);
        }
    }

    /// Takes down what happened, for the one who reads of a failure.
    pub(super) fn trace(&mut self, what: &str) {
        self.tick();
        // Where the sandbox is differs between two runs of a seed.
        let what = what.replace(&format!("{}/", self.root.display()), "");
        let line = format!("{:>12.3}  {what}", self.now().as_secs_f64());
        self.story.push(line);
    }

    pub(super) fn fail(&mut self, invariant: Invariant, detail: impl Into<String>) {
        if self.broken.is_none() && !self.is_dead {
            let broken = Broken::new(invariant, detail);
            self.trace(&format!("BROKEN {broken}"));
            self.broken = Some(broken);
        }
    }

    /// Everything that happened, as two runs of one seed must have it in common.
    pub(super) fn story(&self) -> &[String] {
        &self.story
    }

    /// The end of the story.
    pub(super) fn last_words(&self) -> String {
        self.story[self.story.len().saturating_sub(SHOWN)..].join("\n")
    }

    pub(super) fn status_file(&self) -> PathBuf {
        self.root.join("status")
    }
}
