//! Which leases are held and what is to be done about each next. Pure: time and chance come in as arguments.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use locket_core::{ErrorKind, Lease, LeaseHandle, Provider, ProviderError, Renewal};

use crate::resolve::{Backoff, ItemKey};

/// Renewals in flight at once, of all providers: a thousand leases of one start would otherwise come at once.
const RENEWALS: usize = 8;

/// Leases shorter than this are read anew with growing pauses, whatever they say: no server is to be asked for
/// credentials in a loop.
const SHORT: Duration = Duration::from_secs(2);

/// How long a lease that was replaced goes on after its consumers were told, so that they can turn to the new one.
const GRACE: Duration = Duration::from_secs(10);

/// Every lease that this process holds.
#[derive(Debug)]
pub(crate) struct Ledger {
    held: HashMap<ItemKey, Held>,
    /// Replaced, or no longer wanted.
    retired: Vec<Retired>,
    renewing: usize,
    backoff: Backoff,
}

/// Something to be done now.
#[derive(Debug)]
pub(crate) enum Due {
    /// Ask for more time.
    Renew {
        key: ItemKey,
        handle: LeaseHandle,
        provider: Arc<dyn Provider>,
    },
    /// Read the item anew.
    Reread(Reread),
}

/// An item to be read anew, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Reread {
    pub(crate) key: ItemKey,
    pub(crate) why: String,
}

/// A lease to be ended.
#[derive(Clone, Debug)]
pub(crate) struct Revocation {
    pub(crate) handle: LeaseHandle,
    pub(crate) provider: Arc<dyn Provider>,
    /// When it ends by itself, on the monotonic clock.
    pub(crate) ends: Duration,
}

#[derive(Debug)]
struct Held {
    provider: Arc<dyn Provider>,
    handle: Option<LeaseHandle>,
    /// On the monotonic clock.
    ends: Duration,
    /// The longest time that was ever granted at once.
    life: Duration,
    step: Step,
    /// Renewals in a row that failed and may yet succeed.
    failures: u32,
    /// Leases in a row that were too short to be followed.
    short: u32,
    /// Whether the server replaces the value at the end by itself.
    rotates: bool,
}

/// What comes next, and when, on the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Renew(Duration),
    Renewing,
    Reread(Duration),
    /// The board asks, and goes on asking.
    Rereading,
}

#[derive(Debug)]
struct Retired {
    lease: Revocation,
    stage: Leaving,
    failures: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    /// Until what replaces it is in place and consumers were told.
    InUse,
    /// Until then, on the monotonic clock.
    Until(Duration),
    Revoking,
}

impl Ledger {
    pub(crate) fn new(backoff: Backoff) -> Self {
        Self {
            held: HashMap::new(),
            retired: Vec::new(),
            renewing: 0,
            backoff,
        }
    }

    /// Takes over what reading an item brought: the lease of its values, if they have one. `asked` is when the call
    /// was made.
    pub(crate) fn take(
        &mut self,
        key: &ItemKey,
        lease: Option<Lease>,
        provider: &Arc<dyn Provider>,
        asked: Duration,
        draw: impl FnOnce() -> f64,
    ) {
        let before = self.held.remove(key);
        let short = before.as_ref().map_or(0, |held| held.short);
        if let Some(before) = before {
            self.retire(before);
        }
        let Some(lease) = lease else { return };
        let short = if lease.lasts < SHORT { short + 1 } else { 0 };
        let pause = if short == 0 {
            Duration::ZERO
        } else {
            self.backoff.limit(short).max(SHORT)
        };
        let act = match lease.rotates {
            // Until its end there is nothing new to be had.
            true => lease.lasts,
            false => point(lease.lasts, draw()),
        };
        let at = asked + act.max(pause);
        let step = match lease.handle {
            Some(_) if lease.renewable => Step::Renew(at),
            _ => Step::Reread(at),
        };
        let held = Held {
            provider: provider.clone(),
            handle: lease.handle,
            ends: asked + lease.lasts,
            life: lease.lasts,
            step,
            failures: 0,
            short,
            rotates: lease.rotates,
        };
        self.held.insert(key.clone(), held);
    }

    /// Whether a refresh can leave the item alone: its lease is good, `provider` is the one that gave it, and nobody can
    /// have replaced the value meanwhile.
    pub(crate) fn is_good(&self, key: &ItemKey, provider: &Arc<dyn Provider>, now: Duration) -> bool {
        self.held.get(key).is_some_and(|held| {
            now < held.ends
                && held.step != Step::Rereading
                && !held.rotates
                && Arc::ptr_eq(&held.provider, provider)
        })
    }

    /// When the first lease of each instance ends, on the monotonic clock.
    pub(crate) fn first_ends(&self) -> BTreeMap<Arc<str>, Duration> {
        let mut ends: BTreeMap<Arc<str>, Duration> = BTreeMap::new();
        for (key, held) in &self.held {
            let first = ends.entry(key.instance.clone()).or_insert(held.ends);
            *first = held.ends.min(*first);
        }
        ends
    }

    /// Whether the item is being read anew because of its lease.
    pub(crate) fn is_rereading(&self, key: &ItemKey) -> bool {
        self.held
            .get(key)
            .is_some_and(|held| held.step == Step::Rereading)
    }

    /// Retires the leases of items that are not `wanted`.
    pub(crate) fn retain(&mut self, wanted: impl Fn(&ItemKey) -> bool) {
        let gone: Vec<_> = self.held.keys().filter(|key| !wanted(key)).cloned().collect();
        for key in gone {
            if let Some(held) = self.held.remove(&key) {
                self.retire(held);
            }
        }
    }

    /// What replaces the retired leases is in place, and consumers were told.
    pub(crate) fn consumers_moved(&mut self, now: Duration) {
        for retired in &mut self.retired {
            if retired.stage == Leaving::InUse {
                retired.stage = Leaving::Until(now + GRACE);
            }
        }
    }

    /// The next time at which something is due, on the monotonic clock.
    pub(crate) fn next_due(&self) -> Option<Duration> {
        let renewals = self.renewing < RENEWALS;
        let held = self.held.values().filter_map(|held| match held.step {
            Step::Renew(at) if renewals => Some(at),
            Step::Reread(at) => Some(at),
            _ => None,
        });
        let retired = self.retired.iter().filter_map(|retired| match retired.stage {
            Leaving::Until(at) => Some(at.min(retired.lease.ends)),
            _ => None,
        });
        held.chain(retired).min()
    }

    /// Takes what is to be done about the leases that are held.
    pub(crate) fn due(&mut self, now: Duration) -> Vec<Due> {
        let mut due = Vec::new();
        for (key, held) in &mut self.held {
            match (held.step, &held.handle) {
                (Step::Renew(at), Some(handle)) if at <= now && self.renewing < RENEWALS => {
                    held.step = Step::Renewing;
                    self.renewing += 1;
                    due.push(Due::Renew {
                        key: key.clone(),
                        handle: handle.clone(),
                        provider: held.provider.clone(),
                    });
                }
                (Step::Reread(at), _) if at <= now => {
                    held.step = Step::Rereading;
                    let why = match held.rotates {
                        true => "the server was to replace it by now",
                        false => "it nears its end and cannot be renewed",
                    };
                    due.push(Due::Reread(Reread {
                        key: key.clone(),
                        why: why.to_owned(),
                    }));
                }
                _ => {}
            }
        }
        due
    }

    /// Takes the retired leases whose time has come, and forgets those that ended by themselves.
    pub(crate) fn revocations(&mut self, now: Duration) -> Vec<Revocation> {
        self.retired
            .retain(|retired| retired.stage == Leaving::Revoking || now < retired.lease.ends);
        let is_due = |retired: &&mut Retired| matches!(retired.stage, Leaving::Until(at) if at <= now);
        self.retired
            .iter_mut()
            .filter(is_due)
            .map(|retired| {
                retired.stage = Leaving::Revoking;
                retired.lease.clone()
            })
            .collect()
    }

    /// Records what came of asking for more time at `asked`; gives the item if it is to be read anew.
    pub(crate) fn renewed(
        &mut self,
        key: &ItemKey,
        handle: &LeaseHandle,
        result: Result<Renewal, ProviderError>,
        asked: Duration,
        now: Duration,
        draw: f64,
    ) -> Option<Reread> {
        self.renewing = self.renewing.saturating_sub(1);
        // It may have been replaced while it was being renewed.
        let held = self.held.get_mut(key).filter(|held| {
            held.step == Step::Renewing && held.handle.as_ref().is_some_and(|mine| mine == handle)
        })?;
        let name = format!("{}://{}", key.instance, key.item);
        let why = match result {
            Ok(renewal) => {
                held.ends = asked + renewal.lasts;
                held.failures = 0;
                // A server that grants much less than before nears the longest time that it grants at all.
                if renewal.lasts >= held.life / 2 {
                    held.life = held.life.max(renewal.lasts);
                    let at = asked + point(renewal.lasts, draw);
                    held.step = if renewal.renewable {
                        Step::Renew(at)
                    } else {
                        Step::Reread(at)
                    };
                    tracing::debug!(lease = name, seconds = renewal.lasts.as_secs(), "renewed");
                    return None;
                }
                "it nears the longest time that the server grants".to_owned()
            }
            Err(error) if error.kind.is_transient() => {
                held.failures = held.failures.saturating_add(1);
                let last_call = held.ends.saturating_sub(held.life / 10);
                if now < last_call {
                    if held.failures == 1 {
                        tracing::warn!("the lease of {name} is not renewed yet: {error}");
                    }
                    let pause = match error.kind {
                        ErrorKind::RateLimited {
                            retry_after: Some(wish),
                        } => wish,
                        _ => self.backoff.delay(held.failures, draw).max(self.backoff.first),
                    };
                    held.step = Step::Renew((now + pause).min(last_call));
                    return None;
                }
                format!("it could not be renewed in time: {error}")
            }
            Err(error) => match error.hint {
                Some(hint) => format!("it cannot be renewed: {}. {hint}", error.context),
                None => format!("it cannot be renewed: {}", error.context),
            },
        };
        held.step = Step::Rereading;
        Some(Reread {
            key: key.clone(),
            why,
        })
    }

    /// Records what came of ending a retired lease.
    pub(crate) fn revoked(
        &mut self,
        handle: &LeaseHandle,
        result: Result<(), ProviderError>,
        now: Duration,
        draw: f64,
    ) {
        let Some(index) = self
            .retired
            .iter()
            .position(|retired| retired.lease.handle == *handle)
        else {
            return;
        };
        let retired = &mut self.retired[index];
        match result {
            Err(error) if error.kind.is_transient() => {
                retired.failures = retired.failures.saturating_add(1);
                let pause = self.backoff.delay(retired.failures, draw).max(self.backoff.first);
                retired.stage = Leaving::Until(now + pause);
                return;
            }
            Err(error) => {
                let left = Duration::from_secs(retired.lease.ends.saturating_sub(now).as_secs());
                let hint = error.hint.as_deref().unwrap_or_default();
                tracing::warn!(
                    "a lease that is no longer used is not revoked, and ends by itself in {}: {error}. {hint}",
                    humantime::format_duration(left)
                );
            }
            Ok(()) => tracing::debug!("a lease that is no longer used is revoked"),
        }
        self.retired.swap_remove(index);
    }

    /// Takes every lease that is in force at `now`, replaced or not: the end of all.
    pub(crate) fn drain(&mut self, now: Duration) -> Vec<Revocation> {
        self.retain(|_| false);
        self.drain_retired(now)
    }

    /// Takes the leases that were replaced and are in force at `now`.
    pub(crate) fn drain_retired(&mut self, now: Duration) -> Vec<Revocation> {
        let retired = std::mem::take(&mut self.retired).into_iter();
        retired
            .map(|retired| retired.lease)
            .filter(|lease| now < lease.ends)
            .collect()
    }

    fn retire(&mut self, held: Held) {
        if let Some(handle) = held.handle {
            let lease = Revocation {
                handle,
                provider: held.provider,
                ends: held.ends,
            };
            self.retired.push(Retired {
                lease,
                stage: Leaving::InUse,
                failures: 0,
            });
        }
    }
}

/// When to act on a lease of this length: after two thirds of it or up to a tenth of it sooner, so that leases of one
/// start do not stay in step.
fn point(lasts: Duration, draw: f64) -> Duration {
    lasts.mul_f64(2.0 / 3.0 - 0.1 * draw.clamp(0.0, 1.0))
}
