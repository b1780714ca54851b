//! What the providers of the model lease: credentials that end by themselves unless they are renewed, and that are
//! handed back when nobody uses them.

use std::time::Duration;

use locket_core::{BoxFuture, FetchCx, Lease, LeaseHandle, Leases, ProviderError, Renewal};

use super::destinations::read;
use super::drill::NOTIFY_TIMEOUT;
use super::invariant::{Broken, Invariant};
use super::text::{ItemName, value};
use super::vault::{Door, Item, Mode, PARTS, Vault};
use super::world::{World, lock};

/// The item of each instance that is leased: each read gives another value.
const LEASED: &str = "i4";

/// The instance whose leases cannot be renewed.
const FINAL: &str = "beta";

/// What one lease and each renewal grants.
const TTL: Duration = Duration::from_secs(300);

/// What all renewals of one lease grant together.
const MOST: Duration = Duration::from_secs(1800);

/// How long the agent may take to read all that an edit asks for.
const READING: Duration = Duration::from_secs(65);

/// How long a call about leases takes.
const TAKES: Duration = Duration::from_millis(20);

/// One lease, issued to the agent that runs.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) version: u64,
    pub(super) issued: Duration,
    pub(super) ends: Duration,
    is_revoked: bool,
}

/// What the agent holds in its hands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Handle {
    name: ItemName,
    version: u64,
}

impl ItemName {
    pub(super) fn is_leased(&self) -> bool {
        self.item == LEASED
    }

    fn is_renewable(&self) -> bool {
        self.instance != FINAL
    }

    /// How long after its issue a lease may be replaced, at the soonest, without anything being wrong.
    fn least_life(&self) -> Duration {
        if self.is_renewable() { MOST - TTL } else { TTL / 2 }
    }
}

impl Grant {
    fn is_good(&self, now: Duration) -> bool {
        !self.is_revoked && now < self.ends
    }
}

impl Vault {
    /// Hands out a lease; all fields that are asked for in one call are of it.
    pub(super) fn issue(&mut self, name: &ItemName, now: Duration) -> Lease {
        let item = self.items.get_mut(name).unwrap();
        if item.grants.last().is_none_or(|last| last.issued < now) {
            item.version += 1;
            item.grants.push(Grant {
                version: item.version,
                issued: now,
                ends: now + TTL,
                is_revoked: false,
            });
        }
        Lease {
            handle: Some(LeaseHandle::new(Handle {
                name: name.clone(),
                version: item.version,
            })),
            lasts: TTL,
            renewable: name.is_renewable(),
            rotates: false,
        }
    }

    /// Whether a lease that is issued now is one too many: the last is good, and nothing happened that would want
    /// another.
    pub(super) fn is_needless(&self, name: &ItemName, now: Duration, disturbed_at: Duration) -> bool {
        let (source, item) = (self.source(name.instance), &self.items[name]);
        item.grants.last().is_some_and(|last| {
            let calm_since = disturbed_at.max(source.since).max(item.since);
            calm_since + READING < last.issued
                && source.mode.is_healthy()
                && now < last.issued + name.least_life()
        })
    }

    fn grant(&mut self, handle: &LeaseHandle) -> (ItemName, &mut Grant) {
        let handle = handle.typed::<Handle>().unwrap();
        let grants = &mut self.items.get_mut(&handle.name).unwrap().grants;
        let grant = grants.iter_mut().find(|grant| grant.version == handle.version);
        // An agent knows of no lease of the one before it.
        (handle.name.clone(), grant.unwrap())
    }

    fn renew(&mut self, handle: &LeaseHandle, now: Duration) -> Result<Renewal, ProviderError> {
        let (name, _) = self.grant(handle);
        let item = self.items.get_mut(&name).unwrap();
        item.renewals.push(now);
        if item.denied {
            return Err(ProviderError::denied("permission denied"));
        }
        let (_, grant) = self.grant(handle);
        if !grant.is_good(now) {
            return Err(ProviderError::invalid("there is no such lease"));
        }
        grant.ends = (now + TTL).min(grant.issued + MOST);
        Ok(Renewal {
            lasts: grant.ends - now,
            renewable: name.is_renewable(),
        })
    }

    fn revoke(&mut self, handle: &LeaseHandle) -> (ItemName, u64) {
        let (name, grant) = self.grant(handle);
        grant.is_revoked = true;
        (name, grant.version)
    }
}

impl Door {
    /// Waits for the answer to a call about leases; an error if it is a refusal.
    async fn ask(&self) -> Result<(), ProviderError> {
        let mode = lock(&self.world).vault.sources[self.index].mode;
        match mode {
            Mode::Hanging => std::future::pending().await,
            _ => tokio::time::sleep(TAKES).await,
        }
        let mut world = lock(&self.world);
        world.tick();
        match world.vault.sources[self.index].mode {
            Mode::Up | Mode::Slow | Mode::Short => Ok(()),
            Mode::Locked => Err(ProviderError::auth("the token has expired")),
            _ => Err(ProviderError::unavailable("connection refused")),
        }
    }
}

impl Leases for Door {
    fn renew<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Renewal, ProviderError>> {
        Box::pin(async move {
            let answer = self.ask().await;
            let mut world = lock(&self.world);
            let now = world.now();
            let (name, _) = world.vault.grant(lease);
            world.trace(&format!("renewal of {name:?}"));
            if let Err(error) = answer {
                world.vault.items.get_mut(&name).unwrap().renewals.push(now);
                return Err(error);
            }
            world.vault.renew(lease, now)
        })
    }

    fn revoke<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async move {
            self.ask().await?;
            let mut world = lock(&self.world);
            let (name, version) = world.vault.revoke(lease);
            world.trace(&format!("revoked version {version} of {name:?}"));
            if let Err(Broken { invariant, detail }) = world.has_moved_on(&name, version) {
                world.fail(invariant, detail);
            }
            Ok(())
        })
    }

    fn end<'a>(
        &'a self,
        held: &'a [LeaseHandle],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<(), ProviderError>>> {
        Box::pin(async move {
            let answer = self.ask().await;
            let mut world = lock(&self.world);
            held.iter()
                .map(|lease| {
                    answer.clone()?;
                    world.vault.revoke(lease);
                    Ok(())
                })
                .collect()
        })
    }
}

impl Item {
    /// When the lease in use was issued.
    pub(super) fn issued(&self) -> Duration {
        self.grants.last().map_or(Duration::ZERO, |grant| grant.issued)
    }

    /// When the lease in use ends, so that until then nothing may show that there will be no other.
    pub(super) fn leased_until(&self) -> Duration {
        self.grants.last().map_or(Duration::ZERO, |grant| grant.ends)
    }

    /// Whether there is a lease in force.
    pub(super) fn is_in_force(&self, now: Duration) -> bool {
        self.grants.last().is_some_and(|grant| grant.is_good(now))
    }
}

impl World {
    /// What was just revoked stands in no output that must be up to date, and whoever used it was told.
    fn has_moved_on(&self, name: &ItemName, version: u64) -> Result<(), Broken> {
        let now = self.now();
        let lease = |detail: String| {
            let detail = format!("version {version} of {name:?} is revoked, and {detail}");
            Err(Broken::new(Invariant::Lease, detail))
        };
        let values = PARTS.map(|part| value(name, part, version));
        let in_use = self.sources.asked().filter(|(path, asked)| {
            asked.text().mentions().any(|mention| mention.item == *name)
                && self.settled(path, asked).is_some_and(|settled| settled <= now)
        });
        for (path, _) in in_use {
            let found = read(path).unwrap_or_default();
            if values.iter().any(|value| found.contains(value.as_str())) {
                return lease(format!("stands in {}", path.display()));
            }
            let successor = self.vault.items[name].issued();
            for (action, consumer) in &self.consumers.table {
                let owed = consumer.owed.get(path).filter(|owed| owed.excuse.is_none());
                if consumer.mood.is_fine()
                    && consumer.since + NOTIFY_TIMEOUT < successor
                    && owed.is_some_and(|owed| owed.at < successor + Duration::from_secs(1))
                {
                    return lease(format!("{action} does not know"));
                }
            }
        }
        Ok(())
    }

    /// Every lease of the life that ends now is given back, where its provider can be reached.
    pub(super) fn check_given_back(&self) -> Result<(), Broken> {
        let now = self.now();
        for (name, item) in self.vault.items.iter().filter(|(name, _)| name.is_leased()) {
            let source = self.vault.source(name.instance);
            let kept = item.grants.iter().find(|grant| grant.is_good(now));
            if let Some(grant) = kept
                && source.mode == Mode::Up
                && source.since + MOST < now
            {
                let detail = format!(
                    "version {} of {name:?} is not given back at the end",
                    grant.version
                );
                return Err(Broken::new(Invariant::Lease, detail));
            }
        }
        Ok(())
    }
}
