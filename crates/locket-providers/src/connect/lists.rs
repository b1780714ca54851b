//! Whole vaults by their titles, for rounds that look many up: one list costs less than a look-up for each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

use super::client::Session;
use crate::onepassword::ItemSummary;

/// Titles of one vault that are looked up one by one. Whoever wants a few does not fetch a list of thousands.
const ONE_BY_ONE: usize = 4;
/// How long look-ups count as those of one round, and how long its list is of use.
const ROUND: Duration = Duration::from_secs(10);

/// The vaults that titles were looked up in lately.
#[derive(Debug, Default)]
pub(super) struct Lists(Mutex<HashMap<String, Arc<Recent>>>);

#[derive(Debug)]
struct Recent {
    since: Duration,
    looked_up: AtomicUsize,
    /// `None` where the server gave none, so that nobody asks for it again.
    list: OnceCell<Option<Arc<[ItemSummary]>>>,
}

impl Lists {
    /// Counts a look-up in `vault`, and gives its items once there were more than a few. An item that is missing there
    /// may be newer than the list.
    pub(super) async fn of(&self, vault: &str, session: &Session<'_>) -> Option<Arc<[ItemSummary]>> {
        let recent = self.recent(vault, session.cx.clock.monotonic());
        if recent.looked_up.fetch_add(1, Ordering::Relaxed) < ONE_BY_ONE {
            return None;
        }
        // Whatever is wrong is told by the look-up that is made then.
        let list = async || session.items(vault, None).await.ok().map(Arc::from);
        recent.list.get_or_init(list).await.clone()
    }

    /// Forgets the list of `vault`, in which an item may be that it has no longer. Whether there was one.
    pub(super) fn forget(&self, vault: &str) -> bool {
        let recent = self.lock().remove(vault);
        recent.is_some_and(|recent| recent.list.initialized())
    }

    /// Forgets all of them.
    pub(super) fn clear(&self) {
        self.lock().clear();
    }

    fn recent(&self, vault: &str, now: Duration) -> Arc<Recent> {
        let mut vaults = self.lock();
        if let Some(recent) = vaults.get(vault)
            && now.saturating_sub(recent.since) < ROUND
        {
            return Arc::clone(recent);
        }
        let recent = Arc::new(Recent {
            since: now,
            looked_up: AtomicUsize::new(0),
            list: OnceCell::new(),
        });
        vaults.insert(vault.to_owned(), Arc::clone(&recent));
        recent
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Recent>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
