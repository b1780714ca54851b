//! The programs that are told of changes: what they are owed, and what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::{Action, BoxFuture};

use super::drill::{Drill, NOTIFY_TIMEOUT};
use super::invariant::{Broken, Invariant};
use super::world::{Shared, lock};
use crate::notify::{Courier, Delivery};

/// A program that is told has this long, as in the real courier.
const LIMIT: Duration = Duration::from_secs(60);

/// Every consumer, by its action.
#[derive(Debug)]
pub(super) struct Consumers {
    pub(super) table: BTreeMap<Action, Consumer>,
    /// Numbers changes and tries, so that two things at one instant have an order.
    count: u64,
}

/// One consumer.
#[derive(Debug)]
pub(super) struct Consumer {
    pub(super) mood: Mood,
    /// Since when it is so.
    pub(super) since: Duration,
    pub(super) owed: BTreeMap<PathBuf, Owed>,
    /// The changes of a path that it was not told of: so often may it be.
    untold: BTreeMap<PathBuf, Vec<u64>>,
    told: BTreeMap<PathBuf, Duration>,
    is_being_told: bool,
    failing_since: Option<Duration>,
    /// Told in the last instant of a life, so that the next may not know of it.
    may_repeat: BTreeSet<PathBuf>,
}

/// What a consumer does when it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Fine,
    Slow,
    Failing,
    Hanging,
}

impl Mood {
    pub(super) fn is_fine(self) -> bool {
        matches!(self, Self::Fine | Self::Slow)
    }
}

/// A change that a consumer does not know of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owed {
    number: u64,
    pub(super) at: Duration,
    /// Why it may be told and need not be.
    pub(super) excuse: Option<Excuse>,
}

/// Why a change need not be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Excuse {
    /// It is no longer what is in place.
    Gone,
    /// This process tried for long enough. The next one owes it.
    GivenUp,
}

impl Default for Consumers {
    fn default() -> Self {
        let consumer = || Consumer {
            mood: Mood::Fine,
            since: Duration::ZERO,
            owed: BTreeMap::new(),
            untold: BTreeMap::new(),
            told: BTreeMap::new(),
            is_being_told: false,
            failing_since: None,
            may_repeat: BTreeSet::new(),
        };
        Self {
            table: Drill::all_consumers()
                .into_iter()
                .map(|action| (action, consumer()))
                .collect(),
            count: 0,
        }
    }
}

impl Consumers {
    /// An output changed, and `actions` are to hear of it.
    pub(super) fn owe<'a>(
        &mut self,
        actions: impl Iterator<Item = &'a Action>,
        path: &Path,
        at: Duration,
        excuse: Option<Excuse>,
    ) {
        self.count += 1;
        let owed = Owed {
            number: self.count,
            at,
            excuse,
        };
        for action in actions {
            let consumer = self.table.get_mut(action).unwrap();
            consumer.owed.insert(path.to_owned(), owed);
            consumer
                .untold
                .entry(path.to_owned())
                .or_default()
                .push(self.count);
        }
    }

    /// What is at `path` is no longer what the agent put there.
    pub(super) fn excuse(&mut self, path: &Path) {
        for consumer in self.table.values_mut() {
            if let Some(owed) = consumer.owed.get_mut(path) {
                owed.excuse = Some(Excuse::Gone);
            }
        }
    }

    pub(super) fn begin_life(&mut self) {
        for consumer in self.table.values_mut() {
            consumer.is_being_told = false;
            consumer.failing_since = None;
            for owed in consumer.owed.values_mut() {
                owed.excuse = owed.excuse.filter(|excuse| *excuse == Excuse::Gone);
            }
            // A new process tells of what is in place, not of every change on the way there.
            for untold in consumer.untold.values_mut() {
                untold.drain(..untold.len().saturating_sub(1));
            }
        }
    }

    pub(super) fn end_life(&mut self, now: Duration) {
        for consumer in self.table.values_mut() {
            let last = consumer.told.iter().filter(|(_, at)| **at == now);
            consumer.may_repeat.extend(last.map(|(path, _)| path.clone()));
        }
    }

    fn begin(&mut self, action: &Action, changed: &[PathBuf]) -> Result<(u64, Mood), Broken> {
        self.count += 1;
        let consumer = self.table.get_mut(action).unwrap();
        let once = |detail: String| Err(Broken::new(Invariant::Once, format!("{action} {detail}")));
        if consumer.is_being_told {
            return once("is told while it is being told".into());
        }
        consumer.is_being_told = true;
        for path in changed {
            let is_removed = !path.exists();
            let is_repeat = consumer.may_repeat.contains(path);
            let is_due = consumer.untold.get(path).is_some_and(|untold| !untold.is_empty());
            if !is_due && !is_repeat && !is_removed {
                return once(format!("is told of {} without a change", path.display()));
            }
        }
        Ok((self.count, consumer.mood))
    }

    fn end(&mut self, action: &Action, changed: &[PathBuf], begun: u64, is_told: bool, now: Duration) {
        let consumer = self.table.get_mut(action).unwrap();
        if is_told {
            consumer.failing_since = None;
            consumer
                .owed
                .retain(|path, owed| owed.number > begun || !changed.contains(path));
            for path in changed {
                consumer.may_repeat.remove(path);
                let untold = consumer.untold.entry(path.clone()).or_default();
                if untold.first().is_some_and(|first| *first < begun) {
                    untold.remove(0);
                }
            }
            consumer
                .told
                .extend(changed.iter().map(|path| (path.clone(), now)));
            return;
        }
        let since = *consumer.failing_since.get_or_insert(now);
        // One more pause and the time is over.
        if now >= since + NOTIFY_TIMEOUT - LIMIT * 2 {
            for path in changed {
                if let Some(owed) = consumer.owed.get_mut(path) {
                    owed.excuse = owed.excuse.or(Some(Excuse::GivenUp));
                }
            }
        }
    }
}

/// Goes to the consumers of the model.
pub(super) struct ModelCourier(pub(super) Shared);

/// A try that is under way.
struct Try<'a> {
    world: &'a Shared,
    action: &'a Action,
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let mut world = lock(self.world);
        world.consumers.table.get_mut(self.action).unwrap().is_being_told = false;
    }
}

impl std::fmt::Debug for ModelCourier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ModelCourier")
    }
}

impl Courier for ModelCourier {
    fn deliver<'a>(
        &'a self,
        action: &'a Action,
        changed: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<Delivery, String>> {
        Box::pin(async move {
            let (begun, mood) = {
                let mut world = lock(&self.0);
                let names: Vec<_> = changed
                    .iter()
                    .filter_map(|path| path.strip_prefix(&world.root).ok())
                    .collect();
                let line = format!("{action} is told of {names:?}");
                world.trace(&line);
                match world.consumers.begin(action, changed) {
                    Ok(begun) => begun,
                    Err(broken) => {
                        world.fail(broken.invariant, broken.detail);
                        return Ok(Delivery::Told);
                    }
                }
            };
            let _try = Try {
                world: &self.0,
                action,
            };
            let (takes, is_told) = match mood {
                Mood::Fine => (Duration::ZERO, true),
                Mood::Slow => (Duration::from_secs(10), true),
                Mood::Failing => (Duration::from_secs(1), false),
                Mood::Hanging => (LIMIT, false),
            };
            if !takes.is_zero() {
                tokio::time::sleep(takes).await;
            }
            let mut world = lock(&self.0);
            let now = world.now();
            world.tick();
            world.consumers.end(action, changed, begun, is_told, now);
            drop(world);
            if is_told {
                Ok(Delivery::Told)
            } else {
                Err("it does not want to know".into())
            }
        })
    }
}
