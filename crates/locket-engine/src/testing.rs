//! A provider and a clock for this crate's own tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, Clock, FetchCx, Fetched, Lease, LeaseHandle, Leases, Locator, Login, Members,
    Provider, ProviderError, Renewal, Scheme, Schemes, SecretBytes,
};

use crate::instances::{Instance, InstanceLimits, Instances};

/// Tokio's clock, which tests pause.
#[derive(Debug)]
pub(crate) struct TestClock(tokio::time::Instant);

/// A provider whose secrets a test sets. `fake://item/part` reads `part` of `item`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(Arc<Mutex<FakeState>>);

#[derive(Debug, Default)]
struct FakeState {
    secrets: HashMap<String, String>,
    outage: Option<ProviderError>,
    broken: Option<String>,
    hanging: bool,
    delay: Duration,
    calls: Vec<Vec<String>>,
    leasing: HashMap<String, Terms>,
    issued: Vec<Issued>,
    renewal_refusal: Option<ProviderError>,
    revocation_refusal: Option<ProviderError>,
    renewals: Vec<Duration>,
    /// How long a login lasts each time, and when it is to be given more.
    login: Option<(Duration, Duration)>,
    kept: Vec<Duration>,
}

/// What a leased item is good for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Of one lease, and of each renewal.
    pub(crate) ttl: Duration,
    /// Of all renewals together.
    pub(crate) max: Duration,
    pub(crate) renewable: bool,
}

/// A lease that was issued.
#[derive(Clone, Debug)]
pub(crate) struct Issued {
    pub(crate) item: String,
    pub(crate) at: Duration,
    pub(crate) ends: Duration,
    pub(crate) revoked: Option<Duration>,
}

impl Clock for TestClock {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.0.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Does `work` on a thread of a user whom the modes of files bind. Threads that it starts are that user's, too.
pub(crate) fn as_nobody(work: impl FnOnce() + Send) {
    const NOBODY: u32 = 65534;
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            if rustix::process::geteuid().is_root() {
                rustix::thread::set_thread_groups(&[]).unwrap();
                let gid = rustix::process::Gid::from_raw(NOBODY);
                rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
                let uid = rustix::process::Uid::from_raw(NOBODY);
                rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            }
            work();
        });
        thread.join().unwrap();
    });
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(TestClock(tokio::time::Instant::now()))
}

impl Fake {
    pub(crate) fn set(&self, name: &str, value: &str) {
        self.0
            .lock()
            .unwrap()
            .secrets
            .insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn unset(&self, name: &str) {
        self.0.lock().unwrap().secrets.remove(name);
    }

    pub(crate) fn fail(&self, error: Option<ProviderError>) {
        self.0.lock().unwrap().outage = error;
    }

    /// Makes one secret unavailable while the others are not.
    pub(crate) fn break_item(&self, name: &str) {
        self.0.lock().unwrap().broken = Some(name.to_owned());
    }

    pub(crate) fn hang(&self, hanging: bool) {
        self.0.lock().unwrap().hanging = hanging;
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.0.lock().unwrap().delay = delay;
    }

    /// Makes `item` a leased one: the value of each part is the item's name and the number of the lease.
    pub(crate) fn lease(&self, item: &str, terms: Terms) {
        self.0.lock().unwrap().leasing.insert(item.to_owned(), terms);
    }

    /// Makes it one that logs in, wants more time at `due`, and each time after as long again.
    pub(crate) fn log_in(&self, due: Duration) {
        self.0.lock().unwrap().login = Some((due, due));
    }

    /// When its login was given more time.
    pub(crate) fn kept(&self) -> Vec<Duration> {
        self.0.lock().unwrap().kept.clone()
    }

    pub(crate) fn refuse_renewals(&self, error: Option<ProviderError>) {
        self.0.lock().unwrap().renewal_refusal = error;
    }

    pub(crate) fn refuse_revocations(&self, error: Option<ProviderError>) {
        self.0.lock().unwrap().revocation_refusal = error;
    }

    /// Every lease, in the order of issue.
    pub(crate) fn issued(&self) -> Vec<Issued> {
        self.0.lock().unwrap().issued.clone()
    }

    /// When renewals were asked for.
    pub(crate) fn renewals(&self) -> Vec<Duration> {
        self.0.lock().unwrap().renewals.clone()
    }

    /// The names asked for in each call since the last look.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    /// Instances that serve `fake://`, and `dead://` by a provider that never answers.
    pub(crate) fn instances(&self) -> Arc<Instances> {
        Arc::new(self.limited(InstanceLimits::default()))
    }

    /// The same within `limits`.
    pub(crate) fn limited(&self, limits: InstanceLimits) -> Instances {
        let names = ["fake", "dead"];
        let schemes = Schemes::new(names.map(|name| Scheme {
            name: name.into(),
            bare: true,
            fragment: Fragment::Json,
        }));
        let dead = Self::default();
        dead.hang(true);
        let instances = [self.clone(), dead].into_iter().zip(names).map(|(fake, name)| {
            let build = move || Ok(Arc::new(fake.clone()) as Arc<dyn Provider>);
            let parse = |reference: &locket_core::Reference| {
                let segments = reference.segments();
                let part = segments.get(1).map(ToString::to_string).unwrap_or_default();
                Ok(Locator::new(segments[0].as_ref(), part, ()))
            };
            (
                Arc::from(name),
                Instance {
                    parse,
                    parse_every: Some(|reference| Ok(Locator::every(reference.locator(), "", ()))),
                    build: Box::new(build),
                    limits,
                },
            )
        });
        Instances::new(schemes, instances)
    }
}

impl FakeState {
    /// The secrets whose names begin with `prefix`.
    fn every(&self, prefix: &str) -> Result<Fetched, ProviderError> {
        let of = |(name, value): (&String, &String)| {
            let value = Fetched::new(SecretBytes::copy_from(value.as_bytes()));
            Some((name.strip_prefix(prefix)?.to_owned(), value))
        };
        Ok(Fetched::every(Members::new(self.secrets.iter().filter_map(of))))
    }
}

impl Provider for Fake {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1,
            max_concurrent: 4,
            local: false,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            cx.count_request();
            let (hanging, delay) = {
                let mut state = self.0.lock().unwrap();
                let names = batch
                    .iter()
                    .map(|locator| format!("{}/{}", locator.item(), locator.part()));
                state.calls.push(names.collect());
                (state.hanging, state.delay)
            };
            if hanging {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(delay).await;
            let mut state = self.0.lock().unwrap();
            if state.outage.is_none()
                && let Some(terms) = batch
                    .first()
                    .and_then(|locator| state.leasing.get(locator.item()))
                    .copied()
            {
                return state.issue(batch, terms, cx.clock.monotonic());
            }
            batch
                .iter()
                .map(
                    |locator| match (&state.outage, state.secrets.get(&name(locator))) {
                        (Some(error), _) => Err(error.clone()),
                        _ if state.broken == Some(name(locator)) => {
                            Err(ProviderError::unavailable("it is broken"))
                        }
                        (None, _) if locator.is_every() => state.every(locator.item()),
                        (None, Some(value)) => Ok(Fetched::new(SecretBytes::copy_from(value.as_bytes()))),
                        (None, None) => Err(ProviderError::not_found("there is no such secret")),
                    },
                )
                .collect()
        })
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self)
    }

    fn leases(&self) -> Option<&dyn Leases> {
        Some(self)
    }
}

impl Login for Fake {
    fn due(&self) -> Option<Duration> {
        self.0.lock().unwrap().login.map(|(_, due)| due)
    }

    fn keep<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, ()> {
        Box::pin(async {
            cx.count_request();
            let (hanging, delay) = {
                let state = self.0.lock().unwrap();
                (state.hanging, state.delay)
            };
            if hanging {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(delay).await;
            let now = cx.clock.monotonic();
            let mut state = self.0.lock().unwrap();
            state.kept.push(now);
            if let Some((lasts, due)) = &mut state.login {
                *due = now + *lasts;
            }
        })
    }
}

impl FakeState {
    /// One lease for all parts of one item.
    fn issue(
        &mut self,
        batch: &[Locator],
        terms: Terms,
        now: Duration,
    ) -> Vec<Result<Fetched, ProviderError>> {
        let item = batch[0].item();
        let lease = Lease {
            handle: Some(LeaseHandle::new(self.issued.len())),
            lasts: terms.ttl,
            renewable: terms.renewable,
            rotates: false,
        };
        self.issued.push(Issued {
            item: item.to_owned(),
            at: now,
            ends: now + terms.ttl,
            revoked: None,
        });
        let number = self.issued.iter().filter(|issued| issued.item == item).count();
        let value = |locator: &Locator| format!("{item}-{number}{}", locator.part());
        batch
            .iter()
            .map(|locator| {
                let value = SecretBytes::copy_from(value(locator).as_bytes());
                Ok(Fetched::new(value).lease(lease.clone()))
            })
            .collect()
    }

    fn renew(&mut self, lease: &LeaseHandle, now: Duration) -> Result<Renewal, ProviderError> {
        self.renewals.push(now);
        if let Some(error) = self.outage.as_ref().or(self.renewal_refusal.as_ref()) {
            return Err(error.clone());
        }
        let index = *lease.typed::<usize>().unwrap();
        let terms = self.leasing[&self.issued[index].item];
        let issued = &mut self.issued[index];
        if issued.revoked.is_some() || issued.ends <= now {
            return Err(ProviderError::invalid("there is no such lease"));
        }
        issued.ends = (now + terms.ttl).min(issued.at + terms.max);
        Ok(Renewal {
            lasts: issued.ends - now,
            renewable: terms.renewable,
        })
    }

    fn revoke(&mut self, lease: &LeaseHandle, now: Duration) -> Result<(), ProviderError> {
        if let Some(error) = self.outage.as_ref().or(self.revocation_refusal.as_ref()) {
            return Err(error.clone());
        }
        self.issued[*lease.typed::<usize>().unwrap()].revoked = Some(now);
        Ok(())
    }
}

impl Leases for Fake {
    fn renew<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Renewal, ProviderError>> {
        Box::pin(async { self.0.lock().unwrap().renew(lease, cx.clock.monotonic()) })
    }

    fn revoke<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<(), ProviderError>> {
        Box::pin(async { self.0.lock().unwrap().revoke(lease, cx.clock.monotonic()) })
    }

    fn end<'a>(
        &'a self,
        held: &'a [LeaseHandle],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<(), ProviderError>>> {
        Box::pin(async {
            let (mut state, now) = (self.0.lock().unwrap(), cx.clock.monotonic());
            held.iter().map(|lease| state.revoke(lease, now)).collect()
        })
    }
}

fn name(locator: &Locator) -> String {
    match locator.part() {
        "" => locator.item().to_owned(),
        part => format!("{}/{part}", locator.item()),
    }
}
