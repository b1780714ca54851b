//! The board with providers behind it: starts calls, awaits answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use futures_util::future::FutureExt;
use futures_util::stream::{FuturesUnordered, StreamExt};
use locket_core::{BoxFuture, Clock, ErrorKind, FetchCx, Fetched, Lease, Login, Provider, ProviderError};

use super::board::{Batch, Board, Capacity};
use super::silence::Silence;
use super::{Backoff, ItemKey, SecretKey};
use crate::chance;
use crate::instances::Instances;
use crate::lease::{self, Called, Due, Ledger, Reread};

/// One call may log in, look a name up and read: three requests.
pub(super) const REQUESTS_PER_CALL: u32 = 3;

/// A day, over which `daily-budget` counts.
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is known about a secret.
#[derive(Clone, Debug)]
pub enum Answer {
    /// Nothing yet.
    Pending,
    /// The provider's last answer.
    Value(Arc<Fetched>),
    /// The last good value; asking for it again failed.
    Stale(Arc<Fetched>, Arc<ProviderError>),
    /// No value.
    Failed(Arc<ProviderError>),
}

/// Time limits and pauses of a resolver.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// Time limit of one request.
    pub request: Duration,
    /// Pauses of failing secrets and instances.
    pub backoff: Backoff,
}

/// A read that came back.
pub(super) struct Answered {
    pub(super) batch: Batch,
    /// One for each locator of the batch.
    pub(super) results: Vec<Result<Fetched, ProviderError>>,
    /// Who was asked, unless there is no such provider.
    pub(super) provider: Option<Arc<dyn Provider>>,
    /// When, on the monotonic clock.
    pub(super) asked: Duration,
}

/// A call that came back.
enum Returned {
    Answered(Answered),
    Lease(Called),
    /// The login of this instance was given more time, or not.
    Login(Arc<str>),
}

/// Asks providers, each distinct item once, and remembers the answers.
pub struct Resolver {
    instances: Arc<Instances>,
    clock: Arc<dyn Clock>,
    timing: Timing,
    board: Board,
    leases: Ledger,
    in_flight: FuturesUnordered<BoxFuture<'static, Returned>>,
    calls: u64,
    /// Whether what settled last was read anew because of its lease.
    by_lease: bool,
    /// Finished calls by instance and outcome.
    tally: BTreeMap<(Arc<str>, &'static str), u64>,
    hits: u64,
    /// Requests of each instance that its budget does not know of yet.
    requests: BTreeMap<Arc<str>, Arc<AtomicU64>>,
    silence: Silence,
    /// Instances whose logins are being given more time.
    keeping: BTreeSet<Arc<str>>,
}

impl Resolver {
    /// A resolver that knows nothing yet.
    pub fn new(instances: Arc<Instances>, clock: Arc<dyn Clock>, timing: Timing) -> Self {
        let board = Board::new(timing.backoff);
        Self {
            instances,
            clock,
            timing,
            board,
            leases: Ledger::new(timing.backoff),
            in_flight: FuturesUnordered::new(),
            calls: 0,
            by_lease: false,
            tally: BTreeMap::new(),
            hits: 0,
            requests: BTreeMap::new(),
            silence: Silence::default(),
            keeping: BTreeSet::new(),
        }
    }

    /// The providers it asks.
    pub fn instances(&self) -> &Arc<Instances> {
        &self.instances
    }

    /// Takes over other providers, as after a reload. What is known stays known; it is asked again at the next
    /// refresh.
    pub fn replace_instances(&mut self, instances: Arc<Instances>) {
        self.instances = instances;
    }

    /// Gives requests this long from now on; those under way keep their limit.
    pub fn set_request_limit(&mut self, limit: Duration) {
        self.timing.request = limit;
    }

    /// Makes these secrets wanted. Each is asked for once, unless an answer is there or under way.
    pub fn want<'a>(&mut self, keys: impl IntoIterator<Item = &'a SecretKey>) {
        for key in keys {
            self.hits += u64::from(self.board.want(key));
        }
    }

    /// Forgets every secret that is not wanted any more, values included. Leases that only those had are revoked.
    pub fn retain(&mut self, is_wanted: impl Fn(&SecretKey) -> bool) {
        self.board.retain(is_wanted);
        self.leases.retain(|item| self.board.is_wanted(item));
    }

    /// Asks for everything again, but for what is leased: a lease that is good needs no successor.
    pub fn refresh(&mut self) {
        let now = self.clock.monotonic();
        let (instances, leases) = (self.instances.clone(), &self.leases);
        let is_good = |item: &ItemKey| {
            let provider = instances.provider(&item.instance);
            provider.is_ok_and(|provider| leases.is_good(item, &provider, now))
        };
        let wall = self.clock.wall();
        let may = |name: &Arc<str>, items: usize, last: Option<Duration>| {
            let since = last.map(|last| now.saturating_sub(last));
            has_room(&instances, name, items, since, wall)
        };
        self.board.refresh(now, may, is_good);
    }

    /// What is known about a secret.
    pub fn answer(&self, key: &SecretKey) -> Answer {
        self.board.answer(key)
    }

    /// What is known about secrets that are used together: where the fields of an item come from different reads, none
    /// of them is given.
    pub fn answers(&self, keys: &[SecretKey]) -> Vec<Answer> {
        self.board.answers(keys)
    }

    /// Whether an answer for this secret is on its way.
    pub fn is_awaited(&self, key: &SecretKey) -> bool {
        self.board.is_awaited(key)
    }

    /// Whether nothing is queued or in flight. Failing secrets that wait for their retry do not count.
    pub fn is_idle(&self) -> bool {
        self.board.is_idle()
    }

    /// Calls made to providers since the start.
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Finished calls by instance and outcome: `ok`, or the kind of the first error where nothing was answered.
    pub fn tally(&self) -> &BTreeMap<(Arc<str>, &'static str), u64> {
        &self.tally
    }

    /// When the first lease of each instance ends, on the monotonic clock.
    pub fn lease_ends(&self) -> BTreeMap<Arc<str>, Duration> {
        self.leases.first_ends()
    }

    /// Secrets that were wanted and already known.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Whether what settled last was read anew because its lease ended.
    pub fn settled_by_lease(&self) -> bool {
        self.by_lease
    }

    /// Everything that settled is in place and its consumers were told: leases that were replaced are soon revoked.
    pub fn consumers_moved(&mut self) {
        self.leases.consumers_moved(self.clock.monotonic());
    }

    /// Takes every lease out of this resolver's care, to be ended within `limit`.
    pub fn end_leases(&mut self, limit: Duration) -> impl Future<Output = ()> + use<> {
        self.in_flight.clear();
        let leases = self.leases.drain(self.clock.monotonic());
        lease::end(leases, self.clock.clone(), limit)
    }

    /// Takes the leases that were replaced out of this resolver's care, to be ended within `limit`. Those that were
    /// handed out go on.
    pub fn end_replaced_leases(&mut self, limit: Duration) -> impl Future<Output = ()> + use<> {
        self.in_flight.clear();
        let leases = self.leases.drain_retired(self.clock.monotonic());
        lease::end_each(leases, self.clock.clone(), limit)
    }

    /// Waits until answers came, and returns the secrets that they settle. Starts calls and retries on the way, and
    /// looks after leases. Pending for ever when nothing is wanted that could still be answered. Cancelling it loses
    /// nothing.
    pub async fn progress(&mut self) -> Vec<SecretKey> {
        self.by_lease = false;
        loop {
            let mut settled = Vec::new();
            self.start_lease_calls();
            self.keep_logins();
            self.start(&mut settled);
            if !settled.is_empty() {
                return settled;
            }
            let retry = self.board.next_retry(|_| true);
            let wake = [retry, self.leases.next_due(), self.next_login()]
                .into_iter()
                .flatten()
                .min()
                .map(|at| at.saturating_sub(self.clock.monotonic()));
            let returned = match (self.in_flight.is_empty(), wake) {
                (true, None) => std::future::pending().await,
                (true, Some(pause)) => {
                    tokio::time::sleep(pause).await;
                    None
                }
                (false, None) => self.in_flight.next().await,
                (false, Some(pause)) => tokio::time::timeout(pause, self.in_flight.next())
                    .await
                    .unwrap_or_default(),
            };
            match returned {
                Some(Returned::Answered(answered)) => {
                    let mut settled = self.on_answered(answered);
                    settled.extend(self.take_answered());
                    return settled;
                }
                Some(Returned::Lease(called)) => self.on_lease_call(called),
                Some(Returned::Login(name)) => self.on_login_kept(&name),
                None => {}
            }
        }
    }

    /// What the answers settle that are there besides: whoever uses them looks at all of them at once.
    fn take_answered(&mut self) -> Vec<SecretKey> {
        let mut settled = Vec::new();
        while let Some(Some(returned)) = self.in_flight.next().now_or_never() {
            match returned {
                Returned::Answered(answered) => settled.extend(self.on_answered(answered)),
                Returned::Lease(called) => self.on_lease_call(called),
                Returned::Login(name) => self.on_login_kept(&name),
            }
        }
        settled
    }

    /// Works until every wanted secret has an answer that time will not better, or `deadline` has passed on the
    /// monotonic clock: transient failures are retried inside it.
    pub async fn settle(&mut self, deadline: Duration) {
        loop {
            let now = self.clock.monotonic();
            let more = !self.is_idle()
                || self
                    .board
                    .next_retry(ErrorKind::is_transient)
                    .is_some_and(|at| at < deadline);
            if !more || now >= deadline {
                return;
            }
            if tokio::time::timeout(deadline - now, self.progress())
                .await
                .is_err()
            {
                return;
            }
        }
    }

    /// Whether a secret that fails transiently will be asked again before `deadline`.
    pub fn may_improve_before(&self, deadline: Duration) -> bool {
        !self.is_idle()
            || self
                .board
                .next_retry(ErrorKind::is_transient)
                .is_some_and(|at| at < deadline)
    }

    fn on_answered(&mut self, answered: Answered) -> Vec<SecretKey> {
        let Answered {
            batch,
            results,
            provider,
            asked,
        } = answered;
        self.account(&batch.instance);
        *self
            .tally
            .entry((batch.instance.clone(), outcome(&results)))
            .or_default() += 1;
        let leases = leases_of(&batch, &results);
        self.by_lease |= leases.iter().any(|(item, _)| self.leases.is_rereading(item));
        let now = self.clock.monotonic();
        let error = only_error(&results);
        if let Some(error) = error.filter(|_| self.silence.note(&batch.instance, error, asked, now)) {
            let hint = error.hint.as_deref().map(|hint| format!(". {hint}"));
            tracing::warn!(
                "`{}` gives nothing yet and is asked again: {error}{}",
                batch.instance,
                hint.unwrap_or_default()
            );
        }
        let settled = self.board.finish(&batch, results, now, chance::fraction);
        // What is in use ends with its lease: no answer is the last word until there is a successor.
        for locator in &batch.locators {
            let item = ItemKey {
                instance: batch.instance.clone(),
                item: locator.item_key(),
            };
            if self.leases.is_rereading(&item) {
                self.board.retry(&item, now + self.timing.backoff.most);
            }
        }
        if let Some(provider) = provider {
            for (item, lease) in leases {
                self.leases.take(&item, lease, &provider, asked, chance::fraction);
            }
            // What was forgotten while it was asked for is not used.
            self.leases.retain(|item| self.board.is_wanted(item));
        }
        settled
    }

    fn start_lease_calls(&mut self) {
        let now = self.clock.monotonic();
        let cx = self.call_cx(now);
        for due in self.leases.due(now) {
            match due {
                Due::Renew {
                    key,
                    handle,
                    provider,
                } => {
                    let cx = cx.clone().counting(self.counter(&key.instance));
                    let call = lease::renew(key, handle, provider, cx);
                    self.in_flight.push(Box::pin(call.map(Returned::Lease)));
                }
                Due::Reread(reread) => self.reread(&reread),
            }
        }
        for revocation in self.leases.revocations(now) {
            let call = lease::revoke(revocation, cx.clone());
            self.in_flight.push(Box::pin(call.map(Returned::Lease)));
        }
    }

    /// When the next login is to be given more time.
    fn next_login(&self) -> Option<Duration> {
        let made = self.instances.made();
        let idle = made.filter(|(name, _)| !self.keeping.contains(*name));
        idle.filter_map(|(_, provider)| provider.login()?.due()).min()
    }

    /// Gives logins more time that want it: whoever asks for secrets every few hours would find them ended.
    fn keep_logins(&mut self) {
        let now = self.clock.monotonic();
        if self.next_login().is_none_or(|at| at > now) {
            return;
        }
        let instances = self.instances.clone();
        for (name, provider) in instances.made() {
            let is_due = provider.login().and_then(Login::due).is_some_and(|at| at <= now);
            if !is_due || !self.keeping.insert(name.clone()) {
                continue;
            }
            let (name, provider) = (name.clone(), provider.clone());
            let cx = self.call_cx(now).counting(self.counter(&name));
            self.in_flight.push(Box::pin(async move {
                if let Some(login) = provider.login() {
                    let limit = cx.remaining();
                    // What takes longer is tried again when it is due.
                    let _ = tokio::time::timeout(limit, login.keep(&cx)).await;
                }
                Returned::Login(name)
            }));
        }
    }

    fn on_login_kept(&mut self, name: &Arc<str>) {
        self.keeping.remove(name);
        self.account(name);
        if self.in_flight.is_empty() && self.is_idle() {
            // The connection was for this alone.
            self.instances.rest();
        }
    }

    fn on_lease_call(&mut self, called: Called) {
        let now = self.clock.monotonic();
        match called {
            Called::Renewed {
                key,
                handle,
                result,
                asked,
            } => {
                let renewed = self
                    .leases
                    .renewed(&key, &handle, result, asked, now, chance::fraction());
                if let Some(reread) = renewed {
                    self.reread(&reread);
                }
            }
            Called::Revoked { handle, result } => {
                self.leases.revoked(&handle, result, now, chance::fraction());
            }
        }
    }

    fn reread(&mut self, Reread { key, why }: &Reread) {
        tracing::info!("{}://{} is read anew: {why}", key.instance, key.item);
        self.board.reread(key);
    }

    fn call_cx(&self, now: Duration) -> FetchCx {
        FetchCx::new(self.clock.clone(), now + self.timing.request * REQUESTS_PER_CALL)
    }

    fn start(&mut self, settled: &mut Vec<SecretKey>) {
        let now = self.clock.monotonic();
        let instances = self.instances.clone();
        self.board.queue_due(now);
        loop {
            self.keep_to_budgets(now);
            let next = self
                .board
                .next_batch(now, |name| capacity(&instances, name), settled);
            let Some(batch) = next else { return };
            let cx = self.call_cx(now).counting(self.counter(&batch.instance));
            let call = call(instances.clone(), batch, cx);
            self.calls += 1;
            self.in_flight.push(Box::pin(call.map(Returned::Answered)));
        }
    }

    /// Leaves alone whoever was asked as often as its budget allows in a day.
    fn keep_to_budgets(&mut self, now: Duration) {
        let (instances, wall) = (self.instances.clone(), self.clock.wall());
        let is_spent = |(name, in_flight): (&Arc<str>, usize)| {
            let budget = instances.limits(name).daily_budget? as u64;
            let under_way = in_flight as u64 + self.uncounted(name);
            let wait = instances.budgets().wait(name, budget, under_way + 1, wall);
            (!wait.is_zero()).then(|| (name.clone(), budget, wait))
        };
        let spent: Vec<_> = self.board.asking(now).filter_map(is_spent).collect();
        for (name, budget, wait) in spent {
            let wait = Duration::from_secs(wait.as_secs() + 1);
            let message = format!(
                "the daily budget of {budget} requests is spent; there is room again in {}",
                humantime::format_duration(wait)
            );
            let retry_after = Some(wait);
            let error = ProviderError::new(ErrorKind::RateLimited { retry_after }, message).hint(format!(
                "Ask less often (`--refresh`), or set `{name}.daily-budget` to what the account allows."
            ));
            self.board.shut(&name, now + wait, Arc::new(error));
        }
    }

    /// What counts the requests to an instance until [`Resolver::account`] takes them over.
    fn counter(&mut self, instance: &Arc<str>) -> Arc<AtomicU64> {
        self.requests.entry(instance.clone()).or_default().clone()
    }

    fn uncounted(&self, instance: &str) -> u64 {
        let counter = self.requests.get(instance);
        counter.map_or(0, |counter| counter.load(Ordering::Relaxed))
    }

    /// Puts the requests to an instance down to its budget.
    fn account(&self, instance: &Arc<str>) {
        if let Some(counter) = self.requests.get(instance)
            && self.instances.limits(instance).daily_budget.is_some()
        {
            let requests = counter.swap(0, Ordering::Relaxed);
            self.instances
                .budgets()
                .spend(instance, requests, self.clock.wall());
        }
    }
}

impl Drop for Resolver {
    /// What was sent is spent, even if nobody waits for the answer.
    fn drop(&mut self) {
        self.in_flight.clear();
        for instance in self.requests.keys() {
            self.account(instance);
        }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver")
            .field("calls", &self.calls)
            .finish_non_exhaustive()
    }
}

/// How much an instance takes at once.
pub(super) fn capacity(instances: &Instances, name: &str) -> Capacity {
    match instances.capability(name) {
        Ok(capability) => Capacity {
            items_per_call: capability.items_per_call,
            max_concurrent: capability.max_concurrent,
        },
        // The call itself reports why there is no provider.
        Err(_) => Capacity {
            items_per_call: usize::MAX,
            max_concurrent: 1,
        },
    }
}

/// Whether its budget has room for a refresh of an instance now; told when a refresh is left out for the first time.
fn has_room(
    instances: &Instances,
    name: &Arc<str>,
    items: usize,
    since_last: Option<Duration>,
    wall: SystemTime,
) -> bool {
    let Some(budget) = instances.limits(name).daily_budget else {
        return true;
    };
    let spread = since_last.map(|since| spacing(instances, name, items).saturating_sub(since));
    let budgets = instances.budgets();
    let wait = budgets
        .wait(name, budget as u64, items as u64, wall)
        .max(spread.unwrap_or_default());
    if wait.is_zero() {
        budgets.in_time(name);
        return true;
    }
    let wait = humantime::format_duration(Duration::from_secs(wait.as_secs() + 1)).to_string();
    if budgets.is_news(name) {
        tracing::warn!(
            "`{name}` may be asked {budget} times a day (`{name}.daily-budget`), too few for this `--refresh`: its \
             {items} secrets are read again in {wait} at the earliest"
        );
    } else {
        tracing::debug!(provider = %name, wait, "the refresh is left out: the daily budget spreads refreshes");
    }
    false
}

/// How far apart the refreshes of an instance must be to stay within its daily budget, given its number of items.
pub(super) fn spacing(instances: &Instances, name: &str, items: usize) -> Duration {
    match instances.limits(name).daily_budget {
        Some(budget) => DAY.mul_f64(items as f64 / budget.max(1) as f64),
        None => Duration::ZERO,
    }
}

pub(super) async fn call(instances: Arc<Instances>, batch: Batch, cx: FetchCx) -> Answered {
    let asked = cx.clock.monotonic();
    tracing::debug!(provider = %batch.instance, secrets = batch.locators.len(), "asking");
    let every = |error: ProviderError| batch.locators.iter().map(|_| Err(error.clone())).collect();
    let (results, provider) = match instances.provider(&batch.instance) {
        Err(error) => (every(error), None),
        Ok(provider) => {
            let limit = cx.remaining();
            let results = match tokio::time::timeout(limit, provider.fetch(&batch.locators, &cx)).await {
                Ok(results) => results,
                Err(_) => every(
                    ProviderError::unavailable(format!(
                        "no answer within {}",
                        humantime::format_duration(limit)
                    ))
                    .hint("Check that the server is reachable, or raise `--request-timeout`."),
                ),
            };
            (results, Some(provider))
        }
    };
    let ms = u64::try_from((cx.clock.monotonic() - asked).as_millis()).unwrap_or(u64::MAX);
    log_answers(&batch, &results, ms);
    Answered {
        batch,
        results,
        provider,
        asked,
    }
}

/// Writes names and outcomes down, never a value.
fn log_answers(batch: &Batch, results: &[Result<Fetched, ProviderError>], ms: u64) {
    let failed = results.iter().filter(|result| result.is_err()).count();
    tracing::debug!(provider = %batch.instance, answered = results.len() - failed, failed, ms, "asked");
    for (locator, result) in batch.locators.iter().zip(results) {
        let outcome = match result {
            Ok(_) => "a value",
            Err(error) => error.kind.name(),
        };
        tracing::trace!(provider = %batch.instance, item = locator.item(), part = locator.part(), outcome, "answer");
    }
}

/// The lease of each item that was read. All fields of one item share it.
fn leases_of(batch: &Batch, results: &[Result<Fetched, ProviderError>]) -> BTreeMap<ItemKey, Option<Lease>> {
    let mut leases = BTreeMap::new();
    for (locator, result) in batch.locators.iter().zip(results) {
        if let Ok(fetched) = result {
            let item = ItemKey {
                instance: batch.instance.clone(),
                item: locator.item_key(),
            };
            leases.entry(item).or_insert_with(|| fetched.lease.clone());
        }
    }
    leases
}

/// One word for a call.
fn outcome(results: &[Result<Fetched, ProviderError>]) -> &'static str {
    only_error(results).map_or("ok", |error| error.kind.name())
}

/// The first error of a call that gave nothing else.
fn only_error(results: &[Result<Fetched, ProviderError>]) -> Option<&ProviderError> {
    let errors: Option<Vec<_>> = results.iter().map(|result| result.as_ref().err()).collect();
    errors?.first().copied()
}
