//! The board with providers behind it: starts calls, awaits answers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use locket_core::{BoxFuture, Clock, ErrorKind, FetchCx, Fetched, ProviderError};

use super::board::{Batch, Board, Capacity};
use super::{Backoff, SecretKey};
use crate::instances::Instances;

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

/// A call that came back, with one result for each of its locators.
pub(super) type Answered = (Batch, Vec<Result<Fetched, ProviderError>>);

/// Asks providers, each distinct item once, and remembers the answers.
pub struct Resolver {
    instances: Arc<Instances>,
    clock: Arc<dyn Clock>,
    timing: Timing,
    board: Board,
    in_flight: FuturesUnordered<BoxFuture<'static, Answered>>,
    calls: u64,
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
            in_flight: FuturesUnordered::new(),
            calls: 0,
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

    /// Makes these secrets wanted. Each is asked for once, unless an answer is there or under way.
    pub fn want<'a>(&mut self, keys: impl IntoIterator<Item = &'a SecretKey>) {
        for key in keys {
            self.board.want(key);
        }
    }

    /// Forgets every secret that is not in `live`, values included.
    pub fn retain(&mut self, live: &HashSet<SecretKey>) {
        self.board.retain(live);
    }

    /// Asks for everything again.
    pub fn refresh(&mut self) {
        let instances = self.instances.clone();
        self.board.refresh(self.clock.monotonic(), |name, items| {
            spacing(&instances, name, items)
        });
    }

    /// What is known about a secret.
    pub fn answer(&self, key: &SecretKey) -> Answer {
        self.board.answer(key)
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

    /// Waits until answers came, and returns the secrets that they settle. Starts calls and retries on the way.
    /// Pending for ever when nothing is wanted that could still be answered. Cancelling it loses nothing.
    pub async fn progress(&mut self) -> Vec<SecretKey> {
        loop {
            let mut settled = Vec::new();
            self.start(&mut settled);
            if !settled.is_empty() {
                return settled;
            }
            let retry = self
                .board
                .next_retry(|_| true)
                .map(|at| at.saturating_sub(self.clock.monotonic()));
            let finished = match (self.in_flight.is_empty(), retry) {
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
            if let Some((batch, results)) = finished {
                return self.board.finish(&batch, results, self.clock.monotonic(), draw);
            }
        }
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

    fn start(&mut self, settled: &mut Vec<SecretKey>) {
        let now = self.clock.monotonic();
        let instances = self.instances.clone();
        self.board.queue_due(now);
        while let Some(batch) = self
            .board
            .next_batch(now, |name| capacity(&instances, name), settled)
        {
            let deadline = now + self.timing.request * REQUESTS_PER_CALL;
            let cx = FetchCx {
                clock: self.clock.clone(),
                deadline,
            };
            self.calls += 1;
            self.in_flight.push(Box::pin(call(instances.clone(), batch, cx)));
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

/// How far apart the refreshes of an instance must be to stay within its daily budget, given its number of items.
pub(super) fn spacing(instances: &Instances, name: &str, items: usize) -> Duration {
    match instances.limits(name).daily_budget {
        Some(budget) => DAY.mul_f64(items as f64 / budget.max(1) as f64),
        None => Duration::ZERO,
    }
}

pub(super) async fn call(instances: Arc<Instances>, batch: Batch, cx: FetchCx) -> Answered {
    let every = |error: ProviderError| batch.locators.iter().map(|_| Err(error.clone())).collect();
    let results = match instances.provider(&batch.instance) {
        Err(error) => every(error),
        Ok(provider) => {
            let limit = cx.remaining();
            match tokio::time::timeout(limit, provider.fetch(&batch.locators, &cx)).await {
                Ok(results) => results,
                Err(_) => every(
                    ProviderError::unavailable(format!(
                        "no answer within {}",
                        humantime::format_duration(limit)
                    ))
                    .hint("Check that the server is reachable, or raise `--request-timeout`."),
                ),
            }
        }
    };
    (batch, results)
}

/// Evenly distributed in `0.0..1.0`.
fn draw() -> f64 {
    // Without randomness from the system the middle is as good as any.
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}
