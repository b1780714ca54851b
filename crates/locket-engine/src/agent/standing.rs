//! What others see of the agent: its state file and the end of its run.

use std::time::SystemTime;

use locket_core::plan::OnError;

use super::dispatch::Agent;
use super::outputs::Standing;
use super::report::{Ending, Observer, Trouble, TroubleKind};
use super::setup::Mode;
use crate::state::{Failing, State, Status};

impl Agent {
    pub(super) fn ending(&self) -> Ending {
        let mut ending = Ending {
            unseen: self.setup.surroundings.unseen.clone(),
            ..Ending::default()
        };
        for (target, output) in self.outputs.iter() {
            if output.found.settings.on_error == OnError::Ignore {
                continue;
            }
            if output.is_unwritten() {
                ending.unwritten.push(target.path());
            } else if is_unresolved(output.standing, &output.troubles) {
                ending.unresolved.push(target.path());
            } else {
                continue;
            }
            let troubles = output.troubles.iter();
            ending
                .why
                .extend(troubles.map(|trouble| trouble.told_of(&target.shown())));
        }
        ending.unresolved.sort();
        ending.unwritten.sort();
        ending.why.sort();
        ending
    }

    /// Shows to others where the agent stands and how it is.
    pub(super) fn show(&mut self, observer: &dyn Observer) {
        let status = self.status();
        if let Some(file) = &mut self.status {
            file.write(&status);
        }
        observer.phase(self.phase, &status);
    }

    pub(super) fn status(&self) -> Status {
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs())
        };
        let mut failing: Vec<Failing> = Vec::new();
        let mut missing = false;
        for (target, output) in self.outputs.iter() {
            if output.found.settings.on_error == OnError::Ignore {
                continue;
            }
            let in_place = matches!(output.standing, Standing::Good | Standing::Earlier);
            missing |= !in_place && output.gone_since.is_none();
            for trouble in &output.troubles {
                failing.push(Failing {
                    target: target.path(),
                    reference: trouble.reference.clone(),
                    reason: trouble.reason.clone(),
                    last_success: output.last_success.filter(|_| in_place).map(seconds),
                });
            }
        }
        failing.extend(
            self.ledger
                .failing(seconds(self.last_success.unwrap_or(self.started))),
        );
        let unseen = self.setup.surroundings.unseen.as_ref();
        missing |= unseen.is_some();
        failing.extend(unseen.map(|unseen| Failing {
            target: unseen.place.clone(),
            reference: None,
            reason: unseen.reason.clone(),
            last_success: None,
        }));
        failing.sort();
        let state = match (
            self.rounds <= 1 && self.round.is_some() || self.rounds == 0,
            missing,
        ) {
            (true, _) => State::Starting,
            (false, true) => State::Failed,
            (false, false) if !failing.is_empty() => State::Stale,
            (false, false) if self.setup.schedule.mode == Mode::OneShot => State::Done,
            (false, false) => State::Ready,
        };
        Status {
            state,
            pid: std::process::id(),
            started: seconds(self.started),
            last_success: self.last_success.map(seconds),
            outputs: self.outputs.len(),
            failing,
        }
    }
}

/// Whether an output that matters has no good value in place.
pub(super) fn is_unresolved(standing: Standing, troubles: &[Trouble]) -> bool {
    match standing {
        Standing::Passthrough => true,
        _ => troubles.iter().any(|trouble| trouble.kind != TroubleKind::Stale),
    }
}
