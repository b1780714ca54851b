//! Who wants what, what was answered, and what is to be asked when. Pure: time and chance come in as arguments.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use locket_core::{ErrorKind, Fetched, Locator, ProviderError};
use rustc_hash::{FxHashMap, FxHashSet};

use super::key::ItemKey;
use super::{Answer, Backoff, SecretKey};

/// Failures in a row, with no success between, after which an instance is left alone as a whole. They must be those of
/// as many secrets: one that fails again and again shuts out no other.
const TRIP: usize = 3;

/// The longest pause that a server is granted at once: whoever asks for more means it, or has a broken clock, and one call
/// in an hour finds out which.
const LONGEST_WISH: Duration = Duration::from_secs(60 * 60);

/// The state of every wanted secret.
#[derive(Debug)]
pub(super) struct Board {
    items: FxHashMap<ItemKey, Item>,
    instances: BTreeMap<Arc<str>, InstanceState>,
    /// The items that have a `retry_at`, so that looking for the next retry does not walk them all.
    retrying: FxHashSet<ItemKey>,
    backoff: Backoff,
    /// Calls so far.
    calls: u64,
    /// Answered calls so far.
    reads: u64,
}

/// One call to a provider: distinct locators, all wanted fields of each item together.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) instance: Arc<str>,
    pub(super) locators: Vec<Locator>,
}

/// How much an instance takes at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Capacity {
    pub(super) items_per_call: usize,
    pub(super) max_concurrent: usize,
}

#[derive(Debug, Default)]
struct Item {
    parts: BTreeMap<Arc<str>, Part>,
    stage: Stage,
    failures: u32,
    /// When a failing item is asked again, on the monotonic clock.
    retry_at: Option<Duration>,
    /// A part was added while the item was in flight: it is asked once more.
    again: bool,
    /// Numbers the last call that asked for it.
    asked: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Stage {
    #[default]
    Idle,
    Queued,
    InFlight,
}

#[derive(Debug)]
struct Part {
    locator: Locator,
    value: Option<Arc<Fetched>>,
    /// Numbers the call that gave the value.
    read: u64,
    error: Option<Arc<ProviderError>>,
}

#[derive(Debug, Default)]
struct InstanceState {
    queue: VecDeque<Arc<str>>,
    in_flight: usize,
    failures_in_row: usize,
    /// Whose failures these were.
    failing: FxHashSet<Arc<str>>,
    gate: Option<Gate>,
    /// How often it was shut, which its pauses grow with. An answer opens the gate and leaves this as it is: a server
    /// that answers for some secrets and fails for others would be asked without a pause.
    setbacks: u32,
    /// Secrets that were answered since it was last shut, less those that failed with it.
    credit: usize,
    last_refresh: Option<Duration>,
}

/// What a call brought for one item.
#[derive(Debug, Default)]
struct Outcome {
    has_value: bool,
    error: Option<Arc<ProviderError>>,
}

/// An instance that is left alone until a time, then tried with a single call.
#[derive(Clone, Debug)]
struct Gate {
    until: Duration,
    /// Whether somebody asked for just this pause, rather than failures that an answer makes up for.
    is_wish: bool,
    error: Arc<ProviderError>,
}

impl Batch {
    /// The number of distinct items in it.
    pub(super) fn items(&self) -> usize {
        let items: FxHashSet<_> = self.locators.iter().map(Locator::item_key).collect();
        items.len()
    }
}

impl Item {
    /// Whether it cannot be had for a reason that concerns its whole instance.
    fn fails_with_instance(&self) -> bool {
        let mut errors = self.parts.values().filter_map(|part| part.error.as_ref());
        errors.any(|error| concerns_instance(error.kind))
    }
}

impl Outcome {
    /// The error, if it says something about the whole instance.
    fn concerning_instance(&self) -> Option<&Arc<ProviderError>> {
        self.error.as_ref().filter(|error| concerns_instance(error.kind))
    }
}

impl Board {
    pub(super) fn new(backoff: Backoff) -> Self {
        Self {
            items: FxHashMap::default(),
            instances: BTreeMap::new(),
            retrying: FxHashSet::default(),
            backoff,
            calls: 0,
            reads: 0,
        }
    }

    /// Makes a secret wanted; it is asked for unless an answer is there or under way. Whether a good answer is there.
    pub(super) fn want(&mut self, key: &SecretKey) -> bool {
        let item_key = key.item();
        if let Some(part) = self.part_of(&item_key, key) {
            return part.value.is_some() && part.error.is_none();
        }
        let item = self.items.entry(item_key.clone()).or_default();
        let part = Part {
            locator: key.locator.clone(),
            value: None,
            read: 0,
            error: None,
        };
        item.parts.insert(key.locator.part().into(), part);
        match item.stage {
            Stage::Idle => self.enqueue(&item_key),
            Stage::Queued => {}
            Stage::InFlight => item.again = true,
        }
        false
    }

    /// Forgets every secret that is not wanted any more, values included.
    pub(super) fn retain(&mut self, is_wanted: impl Fn(&SecretKey) -> bool) {
        self.items.retain(|item_key, item| {
            item.parts.retain(|_, part| {
                let key = SecretKey {
                    instance: item_key.instance.clone(),
                    locator: part.locator.clone(),
                };
                is_wanted(&key)
            });
            // An item in flight is forgotten when its answer comes.
            !item.parts.is_empty() || item.stage == Stage::InFlight
        });
        self.retrying.retain(|key| self.items.contains_key(key));
        for (name, instance) in &mut self.instances {
            instance.queue.retain(|item| {
                self.items.contains_key(&ItemKey {
                    instance: name.clone(),
                    item: item.clone(),
                })
            });
        }
    }

    /// Asks for everything again that is not `good` as it is. `may` says whether an instance has room for it, given its
    /// number of items and the time of its last refresh.
    pub(super) fn refresh(
        &mut self,
        now: Duration,
        may: impl Fn(&Arc<str>, usize, Option<Duration>) -> bool,
        good: impl Fn(&ItemKey) -> bool,
    ) {
        let mut counts: BTreeMap<Arc<str>, usize> = BTreeMap::new();
        for key in self.items.keys() {
            *counts.entry(key.instance.clone()).or_default() += 1;
        }
        for (name, count) in counts {
            let instance = self.instances.entry(name.clone()).or_default();
            if !may(&name, count, instance.last_refresh) {
                continue;
            }
            instance.last_refresh = Some(now);
            let mut keys: Vec<_> = self
                .items
                .keys()
                .filter(|key| key.instance == name && !good(key))
                .cloned()
                .collect();
            // The same order each time: two rounds that differ say something then.
            keys.sort_unstable();
            for key in keys {
                if self.items.get(&key).is_some_and(|item| item.stage == Stage::Idle) {
                    self.enqueue(&key);
                }
            }
        }
    }

    /// Asks for one item again, whatever is known, unless it is being asked for.
    pub(super) fn reread(&mut self, key: &ItemKey) {
        if self.items.get(key).is_some_and(|item| item.stage == Stage::Idle) {
            self.enqueue(key);
        }
    }

    /// Asks for an item again at `at` whose failure would otherwise stand until the next refresh.
    pub(super) fn retry(&mut self, key: &ItemKey, at: Duration) {
        if let Some(item) = self.items.get_mut(key)
            && item.stage == Stage::Idle
            && item.retry_at.is_none()
            && item.parts.values().any(|part| part.error.is_some())
        {
            item.retry_at = Some(at);
            self.retrying.insert(key.clone());
        }
    }

    /// Whether any part of the item is wanted.
    pub(super) fn is_wanted(&self, key: &ItemKey) -> bool {
        self.items.get(key).is_some_and(|item| !item.parts.is_empty())
    }

    /// What is known about a secret.
    pub(super) fn answer(&self, key: &SecretKey) -> Answer {
        let Some(part) = self.part(key) else {
            return Answer::Pending;
        };
        match (&part.value, &part.error) {
            (Some(value), None) => Answer::Value(value.clone()),
            (Some(value), Some(error)) => Answer::Stale(value.clone(), error.clone()),
            (None, Some(error)) => Answer::Failed(error.clone()),
            (None, None) => Answer::Pending,
        }
    }

    /// What is known about secrets that are used together. Fields of one item that come from different reads are not:
    /// the user of before a rotation and the password of after it are worse than neither.
    pub(super) fn answers(&self, keys: &[SecretKey]) -> Vec<Answer> {
        let mut answers: Vec<_> = keys.iter().map(|key| self.answer(key)).collect();
        // Everything without an error is of the last read.
        if !answers.iter().any(|answer| matches!(answer, Answer::Stale(..))) {
            return answers;
        }
        let mut reads: FxHashMap<ItemKey, BTreeSet<u64>> = FxHashMap::default();
        let mut errors = FxHashMap::default();
        for (key, answer) in keys.iter().zip(&answers) {
            if let Answer::Stale(_, error) = answer {
                errors.insert(key.item(), error.clone());
            }
            if let (Answer::Stale(..) | Answer::Value(_), Some(part)) = (answer, self.part(key)) {
                reads.entry(key.item()).or_default().insert(part.read);
            }
        }
        for (key, answer) in keys.iter().zip(&mut answers) {
            let item = key.item();
            if reads.get(&item).is_some_and(|reads| reads.len() > 1)
                && let Some(error) = errors.get(&item)
            {
                *answer = Answer::Failed(error.clone());
            }
        }
        answers
    }

    fn part(&self, key: &SecretKey) -> Option<&Part> {
        self.part_of(&key.item(), key)
    }

    fn part_of(&self, item: &ItemKey, key: &SecretKey) -> Option<&Part> {
        self.items.get(item)?.parts.get(key.locator.part())
    }

    /// Whether an answer for this secret is on its way.
    pub(super) fn is_awaited(&self, key: &SecretKey) -> bool {
        self.items
            .get(&key.item())
            .is_some_and(|item| item.stage != Stage::Idle)
    }

    /// Whether nothing is queued or in flight. Failing secrets that wait for their retry do not count.
    pub(super) fn is_idle(&self) -> bool {
        self.instances
            .values()
            .all(|instance| instance.queue.is_empty() && instance.in_flight == 0)
    }

    /// The first time at which a failing secret is asked again, of those failures that `counts`.
    pub(super) fn next_retry(&self, counts: impl Fn(ErrorKind) -> bool) -> Option<Duration> {
        self.retrying
            .iter()
            .filter_map(|key| self.items.get(key))
            .filter(|item| {
                item.parts
                    .values()
                    .any(|part| part.error.as_ref().is_some_and(|error| counts(error.kind)))
            })
            .filter_map(|item| item.retry_at)
            .min()
    }

    /// Queues the failing secrets whose pause is over at `now`.
    pub(super) fn queue_due(&mut self, now: Duration) {
        let is_due = |item: &Item| item.stage == Stage::Idle && item.retry_at.is_some_and(|at| at <= now);
        let mut due: Vec<_> = self
            .retrying
            .iter()
            .filter(|key| self.items.get(key).is_some_and(is_due))
            .cloned()
            .collect();
        due.sort_unstable();
        for key in due {
            self.enqueue(&key);
        }
    }

    /// Takes the next call of any instance that has room for one.
    ///
    /// `settled` receives the secrets that were answered without asking, because their instance is left alone.
    pub(super) fn next_batch(
        &mut self,
        now: Duration,
        capacity: impl Fn(&str) -> Capacity,
        settled: &mut Vec<SecretKey>,
    ) -> Option<Batch> {
        let names: Vec<_> = self
            .instances
            .iter()
            .filter(|(_, state)| !state.queue.is_empty())
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let Some(state) = self.instances.get_mut(&name) else {
                continue;
            };
            if let Some(gate) = state.gate.clone().filter(|gate| now < gate.until) {
                let queue = std::mem::take(&mut state.queue);
                for item in queue {
                    let key = ItemKey {
                        instance: name.clone(),
                        item,
                    };
                    self.fail_unasked(&key, &gate, settled);
                }
                continue;
            }
            let capacity = capacity(&name);
            let (calls, items) = match state.gate {
                // After a pause one call finds out whether the instance is back.
                Some(_) => (1, 1),
                None => (capacity.max_concurrent, capacity.items_per_call),
            };
            if state.in_flight >= calls {
                continue;
            }
            if state.gate.is_some() {
                // Each probe asks for another secret: some of them may be to blame and not the instance.
                let asked = |item: &Arc<str>| {
                    let key = ItemKey {
                        instance: name.clone(),
                        item: item.clone(),
                    };
                    self.items.get(&key).map_or(0, |item| item.asked)
                };
                let next = (0..state.queue.len()).min_by_key(|at| asked(&state.queue[*at]));
                state.queue.swap(0, next.unwrap_or_default());
            }
            self.calls += 1;
            let taken: Vec<_> = state.queue.drain(..items.min(state.queue.len())).collect();
            let mut locators = Vec::new();
            for item in taken {
                let key = ItemKey {
                    instance: name.clone(),
                    item,
                };
                if let Some(item) = self.items.get_mut(&key) {
                    item.stage = Stage::InFlight;
                    item.again = false;
                    item.asked = self.calls;
                    locators.extend(item.parts.values().map(|part| part.locator.clone()));
                }
            }
            if locators.is_empty() {
                continue;
            }
            state.in_flight += 1;
            return Some(Batch {
                instance: name,
                locators,
            });
        }
        None
    }

    /// Instances that would be asked now if there is room, with the number of their calls in flight.
    pub(super) fn asking(&self, now: Duration) -> impl Iterator<Item = (&Arc<str>, usize)> {
        let instances = self.instances.iter();
        instances
            .filter(move |(_, state)| {
                let is_shut = state.gate.as_ref().is_some_and(|gate| now < gate.until);
                !state.queue.is_empty() && !is_shut
            })
            .map(|(name, state)| (name, state.in_flight))
    }

    /// Leaves an instance alone until a time, for a reason of ours.
    pub(super) fn shut(&mut self, name: &Arc<str>, until: Duration, error: Arc<ProviderError>) {
        let state = self.instances.entry(name.clone()).or_default();
        state.gate = Some(Gate {
            until,
            is_wish: true,
            error,
        });
        self.postpone(name, until);
    }

    /// Records the answers to a batch and returns the secrets that they settle.
    pub(super) fn finish(
        &mut self,
        batch: &Batch,
        results: Vec<Result<Fetched, ProviderError>>,
        now: Duration,
        mut draw: impl FnMut() -> f64,
    ) -> Vec<SecretKey> {
        let mut outcomes: BTreeMap<ItemKey, Outcome> = BTreeMap::new();
        let mut settled = Vec::with_capacity(batch.locators.len());
        let absent = || {
            Err(ProviderError::unavailable(
                "the provider gave no answer for this secret",
            ))
        };
        self.reads += 1;
        let results = results.into_iter().chain(std::iter::repeat_with(absent));
        for (locator, result) in batch.locators.iter().zip(results) {
            let key = SecretKey {
                instance: batch.instance.clone(),
                locator: locator.clone(),
            };
            let outcome = outcomes.entry(key.item()).or_default();
            let part = self
                .items
                .get_mut(&key.item())
                .and_then(|item| item.parts.get_mut(locator.part()));
            match result {
                Ok(fetched) => {
                    outcome.has_value = true;
                    if let Some(part) = part {
                        part.value = Some(Arc::new(fetched));
                        part.read = self.reads;
                        part.error = None;
                    }
                }
                Err(error) => {
                    let error = Arc::new(error);
                    if let Some(part) = part {
                        // A secret that is gone has no last good value; one that cannot be had now keeps it.
                        if error.kind == ErrorKind::NotFound {
                            part.value = None;
                        }
                        part.error = Some(error.clone());
                    }
                    if outcome.error.as_ref().is_none_or(|known| !retries(known.kind)) {
                        outcome.error = Some(error);
                    }
                }
            }
            settled.push(key);
        }
        let mut requeue = Vec::new();
        for (key, outcome) in &outcomes {
            let Some(item) = self.items.get_mut(key) else {
                continue;
            };
            item.stage = Stage::Idle;
            match outcome.error.as_ref().filter(|error| retries(error.kind)) {
                Some(error) => {
                    item.failures = item.failures.saturating_add(1);
                    let pause = self.backoff.delay(item.failures, draw());
                    item.retry_at = Some(now + pause.max(error.pause.unwrap_or_default()));
                    self.retrying.insert(key.clone());
                }
                None => {
                    item.failures = 0;
                    item.retry_at = None;
                    self.retrying.remove(key);
                }
            }
            if item.parts.is_empty() {
                self.items.remove(key);
                self.retrying.remove(key);
            } else if std::mem::take(&mut item.again) {
                requeue.push(key.clone());
            }
        }
        self.judge_instance(&batch.instance, &outcomes, now, draw);
        for key in requeue {
            self.enqueue(&key);
        }
        settled
    }

    /// Opens or shuts the instance's gate after what just happened.
    fn judge_instance(
        &mut self,
        name: &Arc<str>,
        outcomes: &BTreeMap<ItemKey, Outcome>,
        now: Duration,
        mut draw: impl FnMut() -> f64,
    ) {
        // What is missing or denied says nothing about the instance, one way or the other.
        let failed: Vec<_> = outcomes
            .iter()
            .filter_map(|(key, outcome)| Some((key, outcome.concerning_instance()?)))
            .collect();
        let answered = outcomes
            .values()
            .filter(|outcome| outcome.has_value && outcome.concerning_instance().is_none())
            .count();
        let had_setbacks = self.instances.get(name).is_some_and(|state| state.setbacks > 0);
        let is_recovered = had_setbacks && answered > 0 && !self.is_failing(name);
        let state = self.instances.entry(name.clone()).or_default();
        state.in_flight = state.in_flight.saturating_sub(1);
        state.credit = (state.credit + answered).saturating_sub(failed.len());
        if is_recovered || state.credit >= TRIP {
            state.setbacks = 0;
        }
        let errors = failed.iter().map(|(_, error)| *error);
        let slowest = errors.max_by_key(|error| pause_asked_for(error.kind));
        let wish = slowest.and_then(|error| pause_asked_for(error.kind));
        if answered > 0 {
            state.failures_in_row = 0;
            state.failing.clear();
            if wish.is_none() {
                // What was sent before the server asked for a pause does not end it.
                let opened = state.gate.take_if(|gate| !gate.is_wish || gate.until <= now);
                if opened.is_some() {
                    self.postpone(name, now);
                }
                return;
            }
        }
        let Some(error) = slowest.cloned() else {
            return;
        };
        if answered == 0 {
            state.failures_in_row = state.failures_in_row.saturating_add(1);
            if state.failing.len() < TRIP {
                state
                    .failing
                    .extend(failed.iter().map(|(key, _)| key.item.clone()));
            }
        }
        let shut = state.gate.as_ref().filter(|gate| now < gate.until);
        let (still_shut, by_wish) = (shut.is_some(), shut.is_some_and(|gate| gate.is_wish));
        if still_shut && wish.is_none() {
            // Calls that were under way when the gate shut tell nothing new.
            return;
        }
        let is_tripped = state.failures_in_row >= TRIP && state.failing.len() >= TRIP;
        if wish.is_some() || state.gate.is_some() || is_tripped {
            // Calls that were sent together fail together, which is one failure.
            state.setbacks = state.setbacks.saturating_add(u32::from(!still_shut)).max(1);
            state.credit = 0;
            // What a server asks for is the least: one that asks for little, again and again, is no reason to hurry.
            let pause = wish
                .flatten()
                .unwrap_or_default()
                .min(LONGEST_WISH)
                .max(error.pause.unwrap_or_default())
                .max(self.backoff.delay(state.setbacks, draw()));
            let until = state
                .gate
                .as_ref()
                .map_or(Duration::ZERO, |gate| gate.until)
                .max(now + pause);
            state.gate = Some(Gate {
                until,
                is_wish: by_wish || wish.flatten().is_some(),
                error,
            });
            self.postpone(name, until);
        }
    }

    /// Moves the retries of everything that failed with this instance: later when it is left alone, to this
    /// moment when it answers again. What failed by itself has a pause of its own, and keeps it.
    fn postpone(&mut self, name: &Arc<str>, until: Duration) {
        for key in self.retrying.iter().filter(|key| key.instance == *name) {
            if let Some(item) = self.items.get_mut(key) {
                item.retry_at = match item.fails_with_instance() {
                    true => Some(until),
                    false => item.retry_at.max(Some(until)),
                };
            }
        }
    }

    /// Whether any secret of an instance fails with it.
    fn is_failing(&self, name: &Arc<str>) -> bool {
        let mut items = self.items.iter().filter(|(key, _)| key.instance == *name);
        items.any(|(_, item)| item.fails_with_instance())
    }

    fn enqueue(&mut self, key: &ItemKey) {
        if let Some(item) = self.items.get_mut(key) {
            item.stage = Stage::Queued;
            item.retry_at = None;
            self.retrying.remove(key);
            self.instances
                .entry(key.instance.clone())
                .or_default()
                .queue
                .push_back(key.item.clone());
        }
    }

    fn fail_unasked(&mut self, key: &ItemKey, gate: &Gate, settled: &mut Vec<SecretKey>) {
        let Some(item) = self.items.get_mut(key) else {
            return;
        };
        item.stage = Stage::Idle;
        item.retry_at = Some(gate.until);
        self.retrying.insert(key.clone());
        for part in item.parts.values_mut() {
            part.error = Some(gate.error.clone());
            settled.push(SecretKey {
                instance: key.instance.clone(),
                locator: part.locator.clone(),
            });
        }
    }
}

/// Whether a failing secret is asked again before the next refresh.
fn retries(kind: ErrorKind) -> bool {
    !matches!(kind, ErrorKind::NotFound | ErrorKind::Invalid)
}

/// The pause that a failure asks for: none, one of no length that is told, or this one.
fn pause_asked_for(kind: ErrorKind) -> Option<Option<Duration>> {
    match kind {
        ErrorKind::RateLimited { retry_after } => Some(retry_after),
        _ => None,
    }
}

/// Whether a failure says something about the whole instance rather than about one secret.
fn concerns_instance(kind: ErrorKind) -> bool {
    kind.is_transient() || kind == ErrorKind::Auth
}
