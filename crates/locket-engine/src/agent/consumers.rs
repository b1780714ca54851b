//! Telling consumers: once for each change, after everything is in place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{MutexGuard, PoisonError};

use locket_core::Action;

use super::dispatch::{Agent, journal_of, notifies};
use super::report::Observer;
use super::rounds::Round;
use super::setup::{Audience, Setup};
use crate::notify::{Batch, Delivery, Journal, Word};

/// A consumer that is being told.
pub(super) struct Telling {
    /// What it is told of.
    word: Word,
    /// What changed for it since.
    later: Word,
}

impl Agent {
    /// Tells what an earlier process still owed, to those that are still to be told anything.
    pub(super) fn repay(&mut self) {
        let overdue = self.journal().overdue(present);
        self.owe(overdue);
    }

    /// Keeps what is owed where the configuration wants it, which was read again.
    pub(super) fn reopen_journal(&mut self) {
        let setup = &self.setup;
        if !notifies(setup) || self.journal().directory() == setup.state_dir.as_deref() {
            return;
        }
        let mut journal = journal_of(setup);
        if journal.directory().is_none() {
            // What was kept until now is kept where it was.
            return;
        }
        let overdue = journal.overdue(present);
        let mut place = self.journal();
        let earlier = std::mem::replace(&mut *place, journal);
        place.take_over(earlier, present);
        drop(place);
        self.owe(overdue);
    }

    fn owe(&mut self, overdue: BTreeMap<Action, Word>) {
        for (action, mut word) in overdue {
            self.overdue.entry(action).or_default().append(&mut word);
        }
        self.repay_the_named();
        if !self.setup.surroundings.later.consumers.is_empty() {
            // Labels that name them may come later; until then they stay owed.
            return;
        }
        for (action, word) in std::mem::take(&mut self.overdue) {
            tracing::info!(
                "{action} is not told of a change that an earlier run could not tell it: the configuration does not name it any more"
            );
            self.journal().keep(&action, &word);
        }
    }

    /// Tells what an earlier process owed to those that the configuration names now.
    pub(super) fn repay_the_named(&mut self) {
        if self.overdue.is_empty() {
            return;
        }
        let named = consumers_of(&self.setup);
        let overdue = std::mem::take(&mut self.overdue).into_iter();
        let (mut overdue, later): (BTreeMap<_, _>, BTreeMap<_, _>) =
            overdue.partition(|(action, _)| named.contains(action));
        self.overdue = later;
        for action in overdue.keys() {
            tracing::info!("{action} is told of a change that an earlier run could not tell it");
        }
        self.put_off(&mut overdue);
        self.start_telling(overdue);
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
        if self.rounds == 1 && self.setup.surroundings.audience == Audience::ToCome {
            for (action, word) in &consumers {
                self.journal().keep(action, word);
            }
            return;
        }
        self.put_off(&mut consumers);
        self.start_telling(consumers);
    }

    /// Takes out of `consumers` those that are being told now: they will be told of these afterwards.
    fn put_off(&mut self, consumers: &mut BTreeMap<Action, Word>) {
        consumers.retain(|action, word| match self.telling.get_mut(action) {
            Some(telling) => {
                telling.later.append(word);
                false
            }
            None => true,
        });
    }

    fn start_telling(&mut self, consumers: BTreeMap<Action, Word>) {
        let mut told = Vec::with_capacity(consumers.len());
        for (action, word) in consumers {
            told.push((action.clone(), word.keys().cloned().collect()));
            let telling = Telling {
                word,
                later: Word::new(),
            };
            self.telling.insert(action, telling);
        }
        self.deliveries
            .extend(Batch::deliveries(&self.setup.notifier, told));
    }

    pub(super) fn on_told(&mut self, action: Action, delivery: Delivery, observer: &dyn Observer) {
        self.note_told(&action, &delivery);
        // What could not be told stays owed: whoever runs next tries again.
        let is_settled = !matches!(delivery, Delivery::Failed(_));
        match is_settled {
            true => self.untold.remove(&action),
            false => self.untold.insert(action.clone()),
        };
        match delivery {
            Delivery::Told => tracing::info!("told {action}"),
            Delivery::Idle(reason) => tracing::info!("{action} has nothing to be told: {reason}"),
            Delivery::Nobody(reason) => tracing::warn!("{action} is not told: {reason}"),
            Delivery::Failed(reason) => observer.untold(&action, &reason),
        }
        let Some(Telling { word, later }) = self.telling.remove(&action) else {
            return;
        };
        if is_settled {
            self.journal().keep(&action, &word);
        }
        if !later.is_empty() {
            self.start_telling(BTreeMap::from([(action, later)]));
        }
    }

    pub(super) fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an output holds now.
fn present(target: &Path) -> Option<Vec<u8>> {
    std::fs::read(target).ok()
}

/// Everybody that `setup` names as somebody to be told.
pub(super) fn consumers_of(setup: &Setup) -> BTreeSet<&Action> {
    let plan = &setup.plan;
    let maps = plan.maps.iter().map(|map| &map.settings);
    let outputs = maps.chain(plan.secrets.iter().map(|secret| &secret.settings));
    let own = outputs.flat_map(|settings| &settings.notify);
    setup.actions.iter().chain(own).collect()
}
