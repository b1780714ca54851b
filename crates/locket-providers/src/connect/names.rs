//! Names that were looked up, kept apart from values: ids hardly ever change, secrets do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::OnceCell;

/// Ids by name. Whoever asks first looks a name up; the others wait for the answer.
#[derive(Debug)]
pub(super) struct Names {
    known: Mutex<HashMap<String, Arc<Cell>>>,
    /// How long an answer is believed; `None` where a wrong one is noticed by whoever uses it.
    lifetime: Option<Duration>,
}

#[derive(Debug)]
struct Answer {
    id: Arc<str>,
    at: Duration,
}

type Cell = OnceCell<Answer>;

impl Names {
    /// Names whose answers last until they are forgotten.
    pub(super) fn until_forgotten() -> Self {
        Self {
            known: Mutex::default(),
            lifetime: None,
        }
    }

    /// Names that are asked again after `lifetime`.
    pub(super) fn for_at_most(lifetime: Duration) -> Self {
        Self {
            lifetime: Some(lifetime),
            ..Self::until_forgotten()
        }
    }

    /// The id of `name` where it is known at monotonic time `now`.
    pub(super) fn known(&self, name: &str, now: Duration) -> Option<Arc<str>> {
        let known = self.lock();
        let cell = known.get(name).filter(|cell| !self.outlived(cell, now))?;
        Some(Arc::clone(&cell.get()?.id))
    }

    /// The id of `name`, from `look_up` unless it is known at monotonic time `now`. Failures are not kept.
    pub(super) async fn id<E>(
        &self,
        name: &str,
        now: Duration,
        look_up: impl AsyncFnOnce() -> Result<String, E>,
    ) -> Result<Arc<str>, E> {
        let cell = self.cell(name, now);
        let look_up = async || {
            let id = look_up().await?.into();
            Ok(Answer { id, at: now })
        };
        Ok(Arc::clone(&cell.get_or_try_init(look_up).await?.id))
    }

    /// Forgets that `name` stands for `id`, so that it is looked up again.
    pub(super) fn forget(&self, name: &str, id: &str) {
        let mut known = self.lock();
        let answer = known.get(name).and_then(|cell| cell.get());
        if answer.is_some_and(|answer| *answer.id == *id) {
            known.remove(name);
        }
    }

    fn cell(&self, name: &str, now: Duration) -> Arc<Cell> {
        let mut known = self.lock();
        if let Some(cell) = known.get(name)
            && !self.outlived(cell, now)
        {
            return Arc::clone(cell);
        }
        let cell = Arc::new(Cell::new());
        known.insert(name.to_owned(), Arc::clone(&cell));
        cell
    }

    fn outlived(&self, cell: &Cell, now: Duration) -> bool {
        match (self.lifetime, cell.get()) {
            (Some(lifetime), Some(answer)) => now.saturating_sub(answer.at) >= lifetime,
            _ => false,
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Cell>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
