//! What a server saw, and how a test waits for it without sleeping.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::Request;

/// The record of one server.
#[derive(Debug)]
pub(crate) struct Journal(watch::Sender<Seen>);

/// Everything here counts since the start or [`Journal::forget`], except what says otherwise.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The requests, in the order of their arrival.
    pub(crate) requests: Vec<Request>,
    /// Connections since the start.
    pub(crate) connections: usize,
    /// Requests being answered now.
    pub(crate) in_flight: usize,
    /// The most of them at one moment.
    pub(crate) peak: usize,
    /// Responses that were sent as far as they go and now hang.
    pub(crate) hanging: usize,
    /// Bytes of bodies given to the network.
    pub(crate) body_bytes: u64,
}

/// One request that is being answered.
pub(crate) struct InFlight(Arc<Journal>);

impl Journal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::channel(Seen::default()).0))
    }

    /// Takes down a new connection and numbers it.
    pub(crate) fn connection(&self) -> usize {
        self.0.send_modify(|seen| seen.connections += 1);
        self.read(|seen| seen.connections - 1)
    }

    pub(crate) fn arrive(self: &Arc<Self>, request: &Request) -> InFlight {
        self.0.send_modify(|seen| {
            seen.requests.push(request.clone());
            seen.in_flight += 1;
            seen.peak = seen.peak.max(seen.in_flight);
        });
        InFlight(Arc::clone(self))
    }

    pub(crate) fn read<T>(&self, of: impl FnOnce(&Seen) -> T) -> T {
        of(&self.0.borrow())
    }

    pub(crate) fn forget(&self) {
        self.0.send_modify(|seen| {
            *seen = Seen {
                connections: seen.connections,
                in_flight: seen.in_flight,
                peak: seen.in_flight,
                ..Seen::default()
            };
        });
    }

    pub(crate) async fn until(&self, reached: impl FnMut(&Seen) -> bool) {
        let mut seen = self.0.subscribe();
        // The sender lives in `self`, so that the channel cannot close meanwhile.
        let _ = seen.wait_for(reached).await;
    }

    /// The same without a runtime; false when `limit` passes first.
    pub(crate) fn wait(&self, limit: Duration, reached: impl FnMut(&Seen) -> bool) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime can be made");
        runtime.block_on(async { tokio::time::timeout(limit, self.until(reached)).await.is_ok() })
    }
}

impl InFlight {
    pub(crate) fn sent(&self, bytes: usize) {
        self.0.0.send_modify(|seen| seen.body_bytes += bytes as u64);
    }

    pub(crate) fn hangs(&self) {
        self.0.0.send_modify(|seen| seen.hanging += 1);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.send_modify(|seen| seen.in_flight -= 1);
    }
}
