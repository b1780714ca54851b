//! Telling consumers: once for each change, after everything is in place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{MutexGuard, PoisonError};

use locket_core::Action;

use super::dispatch::Agent;
use super::rounds::Round;
use crate::notify::{Delivery, Journal};

impl Agent {
    /// Tells what an earlier process still owed.
    pub(super) fn repay(&mut self) {
        let overdue = self.journal().overdue(|target| std::fs::read(target).ok());
        for (action, targets) in overdue {
            tracing::info!("{action} is told of a change that an earlier run could not tell it");
            self.start_telling(action, targets.into_iter().collect());
        }
    }

    pub(super) fn tell(&mut self, round: &Round) {
        let mut consumers: BTreeMap<Action, BTreeSet<PathBuf>> = BTreeMap::new();
        for target in &round.changed {
            let own = self
                .outputs
                .get(target)
                .map(|output| output.found.settings.notify.clone());
            for action in self.setup.actions.iter().cloned().chain(own.unwrap_or_default()) {
                consumers.entry(action).or_default().insert(target.path());
            }
        }
        for (action, paths) in consumers {
            match self.telling.get_mut(&action) {
                // It is being told now and will be told of these afterwards.
                Some(later) => later.extend(paths),
                None => self.start_telling(action, paths),
            }
        }
    }

    fn start_telling(&mut self, action: Action, paths: BTreeSet<PathBuf>) {
        self.telling.insert(action.clone(), BTreeSet::new());
        let notifier = self.setup.notifier.clone();
        self.deliveries
            .push(Box::pin(notifier.tell(action, paths.into_iter().collect())));
    }

    pub(super) fn on_told(&mut self, action: Action, delivery: Delivery) {
        match delivery {
            Delivery::Told => tracing::info!("told {action}"),
            Delivery::Nobody(reason) => tracing::warn!("{action} is not told: {reason}"),
            Delivery::Failed(reason) => tracing::error!("{action} was not told: {reason}"),
        }
        let later = self.telling.remove(&action).unwrap_or_default();
        if later.is_empty() {
            self.journal().keep(&action);
        } else {
            self.start_telling(action, later);
        }
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
