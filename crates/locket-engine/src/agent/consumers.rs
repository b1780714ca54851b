//! Telling consumers: once for each change, after everything is in place.

use std::collections::BTreeMap;
use std::sync::{MutexGuard, PoisonError};

use locket_core::Action;

use super::dispatch::Agent;
use super::rounds::Round;
use crate::notify::{Delivery, Journal, Word};

/// A consumer that is being told.
pub(super) struct Telling {
    /// What it is told of.
    word: Word,
    /// What changed for it since.
    later: Word,
}

impl Agent {
    /// Tells what an earlier process still owed.
    pub(super) fn repay(&mut self) {
        let overdue = self.journal().overdue(|target| std::fs::read(target).ok());
        for (action, targets) in overdue {
            tracing::info!("{action} is told of a change that an earlier run could not tell it");
            self.start_telling(action, targets);
        }
    }

    pub(super) fn tell(&mut self, round: &Round) {
        let mut consumers: BTreeMap<Action, Word> = BTreeMap::new();
        for (target, promised) in &round.changed {
            let own = self
                .outputs
                .get(target)
                .map(|output| output.found.settings.notify.clone());
            for action in self.setup.actions.iter().cloned().chain(own.unwrap_or_default()) {
                let word = consumers.entry(action).or_default();
                word.insert(target.path(), promised.clone());
            }
        }
        for (action, word) in consumers {
            match self.telling.get_mut(&action) {
                // It is being told now and will be told of these afterwards.
                Some(telling) => telling.later.extend(word),
                None => self.start_telling(action, word),
            }
        }
    }

    fn start_telling(&mut self, action: Action, word: Word) {
        let paths = word.keys().cloned().collect();
        let telling = Telling {
            word,
            later: Word::new(),
        };
        self.telling.insert(action.clone(), telling);
        let notifier = self.setup.notifier.clone();
        self.deliveries.push(Box::pin(notifier.tell(action, paths)));
    }

    pub(super) fn on_told(&mut self, action: Action, delivery: Delivery) {
        self.note_told(&action, &delivery);
        match delivery {
            Delivery::Told => tracing::info!("told {action}"),
            Delivery::Nobody(reason) => tracing::warn!("{action} is not told: {reason}"),
            Delivery::Failed(reason) => tracing::error!("{action} was not told: {reason}"),
        }
        let Some(Telling { word, later }) = self.telling.remove(&action) else {
            return;
        };
        self.journal().keep(&action, &word);
        if !later.is_empty() {
            self.start_telling(action, later);
        }
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
