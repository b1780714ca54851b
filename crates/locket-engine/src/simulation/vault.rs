//! The model of secret managers: what they hold, how they fail, and what they were asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Leases, Locator, Provider, ProviderError, Scheme,
    Schemes, SecretBytes,
};

use super::dice::Dice;
use super::invariant::Invariant;
use super::leases::Grant;
use super::text::{ItemName, Shown, value};
use super::world::{Shared, lock};
use crate::instances::{Instance, Instances};

pub(super) const INSTANCES: [&str; 3] = ["alpha", "beta", "gamma"];
pub(super) const PARTS: [&str; 2] = ["user", "pass"];

/// Items that one instance can hold.
pub(super) const ITEMS: usize = 5;

/// So many calls in a second are a loop without pauses, whatever the reason.
const HURRY: usize = 100;

/// Every provider and everything they hold.
#[derive(Debug)]
pub(super) struct Vault {
    pub(super) sources: Vec<Source>,
    pub(super) items: BTreeMap<ItemName, Item>,
    dice: Dice,
}

/// One provider.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) name: &'static str,
    pub(super) batch: usize,
    pub(super) concurrency: usize,
    pub(super) mode: Mode,
    /// Since when it is in this mode.
    pub(super) since: Duration,
    /// The calls since the agent started.
    pub(super) calls: Vec<Duration>,
    in_flight: usize,
    busy: BTreeSet<String>,
    leave_alone_until: Option<Duration>,
}

/// How a provider is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Up,
    /// It answers after seconds.
    Slow,
    /// It refuses connections.
    Down,
    /// It answers 429, with a wish or without.
    Throttled(Option<Duration>),
    /// It never answers.
    Hanging,
    /// It does not accept the credential.
    Locked,
    /// It answers for the first item of a call only.
    Short,
}

/// One secret.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) version: u64,
    pub(super) exists: bool,
    pub(super) changed_at: Duration,
    pub(super) denied: bool,
    /// A field that cannot be had for the moment.
    pub(super) broken: Option<&'static str>,
    /// Since when it is denied or broken, or is not.
    pub(super) since: Duration,
    /// The reads since the agent started.
    pub(super) reads: Vec<Duration>,
    /// The leases of the agent that runs, of an item that is leased.
    pub(super) grants: Vec<Grant>,
    /// The renewals that it asked for.
    pub(super) renewals: Vec<Duration>,
    /// The fields that templates ask for.
    wanted: BTreeSet<String>,
    /// Since when they are these.
    pub(super) wanted_since: Duration,
}

impl Mode {
    pub(super) fn is_healthy(self) -> bool {
        matches!(self, Self::Up | Self::Slow)
    }
}

impl Item {
    pub(super) fn is_sound(&self) -> bool {
        !self.denied && self.broken.is_none()
    }
}

impl Vault {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Dice::new(seed, 0xa1);
        let sources = INSTANCES
            .iter()
            .zip([(1, 4), (3, 2), (100, 1)])
            .map(|(name, (batch, concurrency))| Source {
                name,
                batch,
                concurrency,
                mode: Mode::Up,
                since: Duration::ZERO,
                calls: Vec::new(),
                in_flight: 0,
                busy: BTreeSet::new(),
                leave_alone_until: None,
            })
            .collect();
        let names = INSTANCES.iter().flat_map(|instance| {
            (0..ITEMS).map(move |number| ItemName {
                instance,
                item: format!("i{number}"),
            })
        });
        let items = names
            .map(|name| {
                let item = Item {
                    version: 1,
                    exists: !dice.chance(5) || name.is_leased(),
                    changed_at: Duration::ZERO,
                    denied: false,
                    broken: None,
                    since: Duration::ZERO,
                    reads: Vec::new(),
                    grants: Vec::new(),
                    renewals: Vec::new(),
                    wanted: BTreeSet::new(),
                    wanted_since: Duration::ZERO,
                };
                (name, item)
            })
            .collect();
        Self { sources, items, dice }
    }

    pub(super) fn shown(&self, name: &ItemName) -> Shown {
        let item = &self.items[name];
        if item.exists {
            Shown::Version(item.version)
        } else {
            Shown::Absent
        }
    }

    pub(super) fn source(&self, instance: &str) -> &Source {
        self.sources
            .iter()
            .find(|source| source.name == instance)
            .unwrap()
    }

    /// Takes in which fields templates ask for now.
    pub(super) fn want(&mut self, mut wanted: BTreeMap<ItemName, BTreeSet<String>>, now: Duration) {
        for (name, item) in &mut self.items {
            let wanted = wanted.remove(name).unwrap_or_default();
            if item.wanted != wanted {
                item.wanted = wanted;
                item.wanted_since = now;
            }
        }
    }

    /// A new process knows nothing of what the one before it was told.
    pub(super) fn forget_calls(&mut self) {
        for source in &mut self.sources {
            source.calls.clear();
            source.busy.clear();
            source.in_flight = 0;
            source.leave_alone_until = None;
        }
        for item in self.items.values_mut() {
            item.reads.clear();
            item.grants.clear();
            item.renewals.clear();
        }
    }

    /// Takes a call down, and says how long its answer takes; for ever where there will be none.
    fn begin(
        &mut self,
        index: usize,
        items: &BTreeSet<String>,
        now: Duration,
    ) -> Result<Option<Duration>, (Invariant, String)> {
        let delay = match self.sources[index].mode {
            Mode::Up | Mode::Throttled(_) | Mode::Locked | Mode::Short => Some(
                self.dice
                    .between(Duration::from_millis(1), Duration::from_millis(80)),
            ),
            Mode::Slow => Some(self.dice.between(Duration::from_secs(1), Duration::from_secs(4))),
            Mode::Down => Some(Duration::from_millis(1)),
            Mode::Hanging => None,
        };
        let source = &mut self.sources[index];
        let name = source.name;
        source.calls.push(now);
        source.in_flight += 1;
        let before = source.calls.len().checked_sub(HURRY).map(|at| source.calls[at]);
        if before.is_some_and(|before| now < before + Duration::from_secs(1)) {
            return Err((
                Invariant::BackOff,
                format!("{name} is called {HURRY} times in a second"),
            ));
        }
        for item in items {
            let name = ItemName {
                instance: name,
                item: item.clone(),
            };
            if let Some(item) = self.items.get_mut(&name) {
                item.reads.push(now);
            }
        }
        if items.len() > source.batch {
            return Err((
                Invariant::Batch,
                format!("{name} got {} items at once", items.len()),
            ));
        }
        if source.in_flight > source.concurrency {
            return Err((
                Invariant::Concurrency,
                format!("{name} has {} calls in flight", source.in_flight),
            ));
        }
        if let Some(twice) = items.iter().find(|item| source.busy.contains(*item)) {
            return Err((
                Invariant::Batch,
                format!("{name}://{twice} is asked for while it is being read"),
            ));
        }
        source.busy.extend(items.iter().cloned());
        if let Some(until) = source.leave_alone_until.filter(|until| now < *until) {
            return Err((
                Invariant::RetryAfter,
                format!("{name} is asked {:?} before it wanted to be", until - now),
            ));
        }
        Ok(delay)
    }

    fn end(&mut self, index: usize, items: &BTreeSet<String>) {
        let source = &mut self.sources[index];
        source.in_flight = source.in_flight.saturating_sub(1);
        source.busy.retain(|item| !items.contains(item));
    }

    fn answer(
        &mut self,
        index: usize,
        batch: &[Locator],
        now: Duration,
    ) -> Vec<Result<Fetched, ProviderError>> {
        let source = &mut self.sources[index];
        let refusal = match source.mode {
            Mode::Up | Mode::Slow | Mode::Short => None,
            Mode::Down | Mode::Hanging => Some(ProviderError::unavailable("connection refused")),
            Mode::Locked => Some(ProviderError::auth("the token has expired")),
            Mode::Throttled(retry_after) => {
                if let Some(wish) = retry_after {
                    source.leave_alone_until = source.leave_alone_until.max(Some(now + wish));
                }
                Some(ProviderError::new(
                    ErrorKind::RateLimited { retry_after },
                    "too many requests",
                ))
            }
        };
        if let Some(refusal) = refusal {
            return batch.iter().map(|_| Err(refusal.clone())).collect();
        }
        // It talks again, whatever it said before.
        source.leave_alone_until = None;
        let is_short = source.mode == Mode::Short;
        let instance = source.name;
        let first = batch[0].item();
        batch
            .iter()
            .take_while(|locator| !is_short || locator.item() == first)
            .map(|locator| {
                let name = ItemName {
                    instance,
                    item: locator.item().to_owned(),
                };
                match self.items.get(&name) {
                    Some(item) if item.denied => return Err(ProviderError::denied("permission denied")),
                    Some(item) if item.broken == Some(locator.part()) => {
                        return Err(ProviderError::unavailable("the field cannot be read"));
                    }
                    Some(item) if item.exists => {}
                    _ => return Err(ProviderError::not_found("there is no such secret")),
                }
                let lease = name.is_leased().then(|| self.issue(&name, now));
                let value = value(&name, locator.part(), self.items[&name].version);
                let fetched = Fetched::new(SecretBytes::copy_from(value.as_bytes()));
                Ok(match lease {
                    Some(lease) => fetched.lease(lease),
                    None => fetched,
                })
            })
            .collect()
    }
}

/// The way of one agent to one provider.
#[derive(Clone)]
pub(super) struct Door {
    pub(super) world: Shared,
    pub(super) index: usize,
}

/// A call that is under way; dropped when it is answered or given up.
struct Call {
    door: Door,
    items: BTreeSet<String>,
}

impl Drop for Call {
    fn drop(&mut self) {
        lock(&self.door.world).vault.end(self.door.index, &self.items);
    }
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Door").field(&self.index).finish()
    }
}

impl Provider for Door {
    fn capability(&self) -> Capability {
        let world = lock(&self.world);
        let source = &world.vault.sources[self.index];
        Capability {
            items_per_call: source.batch,
            max_concurrent: source.concurrency,
            local: false,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let items: BTreeSet<String> = batch.iter().map(|locator| locator.item().to_owned()).collect();
            let delay = {
                let mut world = lock(&self.world);
                let now = world.now();
                world.trace(&format!("{}: call for {items:?}", INSTANCES[self.index]));
                match world.vault.begin(self.index, &items, now) {
                    Ok(delay) => delay,
                    Err((invariant, detail)) => {
                        world.fail(invariant, detail);
                        None
                    }
                }
            };
            let _call = Call {
                door: self.clone(),
                items,
            };
            match delay {
                Some(delay) => tokio::time::sleep(delay).await,
                None => std::future::pending().await,
            }
            let mut world = lock(&self.world);
            let now = world.now();
            world.tick();
            let disturbed_at = world.disturbed_at;
            for locator in batch {
                let name = ItemName {
                    instance: INSTANCES[self.index],
                    item: locator.item().to_owned(),
                };
                if name.is_leased() && world.vault.is_needless(&name, now, disturbed_at) {
                    world.fail(Invariant::Lease, format!("{name:?} is leased again without need"));
                }
            }
            world.vault.answer(self.index, batch, now)
        })
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }
}

/// The instances of a new agent.
pub(super) fn instances(world: &Shared) -> Arc<Instances> {
    let schemes = Schemes::new(INSTANCES.map(|name| Scheme {
        name: name.into(),
        bare: true,
        fragment: Fragment::Json,
    }));
    let instances = INSTANCES.iter().enumerate().map(|(index, name)| {
        let door = Door {
            world: world.clone(),
            index,
        };
        let instance = Instance {
            parse: |reference| {
                let segments = reference.segments();
                let part = segments.get(1).map(ToString::to_string).unwrap_or_default();
                Ok(Locator::new(segments[0].as_ref(), part, ()))
            },
            parse_every: None,
            build: Box::new(move || Ok(Arc::new(door.clone()) as Arc<dyn Provider>)),
            limits: Default::default(),
        };
        (Arc::from(*name), instance)
    });
    Arc::new(Instances::new(schemes, instances))
}
