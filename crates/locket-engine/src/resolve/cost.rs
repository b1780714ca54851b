//! What asking for secrets costs, found by the board that does the asking: nobody counts by rules of his own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::{Fetched, SecretBytes};

use super::board::Board;
use super::resolver::{DAY, capacity, spacing};
use super::{Backoff, SecretKey};
use crate::instances::Instances;

/// What one instance is asked in a round in which everything succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cost {
    /// The instance's name.
    pub instance: Arc<str>,
    /// Distinct items, each read once whatever of it is wanted.
    pub items: usize,
    /// Calls of the provider. One call may log in or look a name up before it reads.
    pub calls: usize,
    /// Whether the provider is on this machine, so that calls cost nothing.
    pub local: bool,
    /// Requests a day that the user allows.
    pub daily_budget: Option<usize>,
    /// Requests of the last day, counted by every process with this state directory; 0 without a budget.
    pub spent: u64,
    /// How far apart the refreshes are at least, for the sake of that budget.
    pub spacing: Duration,
}

/// Calls in a day of refreshes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Day {
    /// As many as the interval asks for.
    pub asked: u64,
    /// As many as are made, since the budget spreads the refreshes.
    pub made: u64,
}

impl Cost {
    /// The calls of a day with a refresh after each `interval`, at most.
    pub fn of_a_day(&self, interval: Duration) -> Day {
        let calls = |interval: Duration| {
            let rounds = DAY.as_secs_f64() / interval.as_secs_f64().max(f64::MIN_POSITIVE);
            (rounds * self.calls as f64).ceil() as u64
        };
        Day {
            asked: calls(interval),
            made: calls(interval.max(self.spacing)),
        }
    }

    /// Whether a refresh after each `interval` would pass the daily budget.
    pub fn is_past_budget(&self, interval: Duration) -> bool {
        self.daily_budget
            .is_some_and(|budget| self.of_a_day(interval).asked > budget as u64)
    }
}

/// What a round at `now` that wants `keys` asks of each instance, in the order of their names.
pub fn costs<'a>(
    instances: &Instances,
    keys: impl IntoIterator<Item = &'a SecretKey>,
    now: SystemTime,
) -> Vec<Cost> {
    let mut board = Board::new(Backoff::default());
    for key in keys {
        board.want(key);
    }
    let mut counted: BTreeMap<Arc<str>, (usize, usize)> = BTreeMap::new();
    let answer = || Ok(Fetched::new(SecretBytes::copy_from(b"")));
    while let Some(batch) =
        board.next_batch(Duration::ZERO, |name| capacity(instances, name), &mut Vec::new())
    {
        let (items, calls) = counted.entry(batch.instance.clone()).or_default();
        *items += batch.items();
        *calls += 1;
        let answers = batch.locators.iter().map(|_| answer()).collect();
        board.finish(&batch, answers, Duration::ZERO, || 0.0);
    }
    let cost = |(instance, (items, calls)): (Arc<str>, _)| Cost {
        items,
        calls,
        local: instances
            .capability(&instance)
            .is_ok_and(|capability| capability.local),
        daily_budget: instances.limits(&instance).daily_budget,
        spent: match instances.limits(&instance).daily_budget {
            Some(_) => instances.budgets().spent(&instance, now),
            None => 0,
        },
        spacing: spacing(instances, &instance, items),
        instance,
    };
    counted.into_iter().map(cost).collect()
}
