//! What a server saw, and how a test waits for it without sleeping.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::Request;

/// The requests of one server, in the order of their arrival.
#[derive(Debug)]
pub(crate) struct Journal {
    state: Mutex<State>,
    changed: Condvar,
    arrived: watch::Sender<usize>,
}

#[derive(Debug, Default)]
struct State {
    requests: Vec<Request>,
    connections: usize,
    in_flight: usize,
    peak: usize,
}

/// One request that is being answered.
pub(crate) struct InFlight(Arc<Journal>);

impl Journal {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            changed: Condvar::new(),
            arrived: watch::channel(0).0,
        })
    }

    pub(crate) fn connection(&self) -> usize {
        let mut state = self.lock();
        state.connections += 1;
        state.connections - 1
    }

    pub(crate) fn arrive(self: &Arc<Self>, request: &Request) -> InFlight {
        let mut state = self.lock();
        state.requests.push(request.clone());
        state.in_flight += 1;
        state.peak = state.peak.max(state.in_flight);
        self.arrived.send_replace(state.requests.len());
        self.changed.notify_all();
        InFlight(Arc::clone(self))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.lock().requests.clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().requests.len()
    }

    pub(crate) fn connections(&self) -> usize {
        self.lock().connections
    }

    pub(crate) fn peak(&self) -> usize {
        self.lock().peak
    }

    pub(crate) fn forget(&self) {
        let mut state = self.lock();
        state.requests.clear();
        state.peak = state.in_flight;
        self.arrived.send_replace(0);
    }

    /// Waits until `count` requests have arrived since the last [`Journal::forget`].
    pub(crate) async fn arrived(&self, count: usize) {
        let mut arrived = self.arrived.subscribe();
        // The sender lives in `self`, so that the channel cannot close meanwhile.
        let _ = arrived.wait_for(|seen| *seen >= count).await;
    }

    /// The same without a runtime; false when `limit` passes first.
    pub(crate) fn wait(&self, count: usize, limit: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .changed
            .wait_timeout_while(state, limit, |state| state.requests.len() < count)
            .unwrap_or_else(PoisonError::into_inner);
        state.requests.len() >= count
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.lock().in_flight -= 1;
    }
}
