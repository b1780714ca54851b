//! What the sources say: new, changed and vanished templates, and the configuration read again.

use std::collections::BTreeSet;
use std::time::Duration;

use locket_core::Diagnostic;

use super::dispatch::Agent;
use super::outputs::{Difference, Standing};
use super::report::{Observer, Trouble};
use super::setup::{Mode, Setup};
use crate::sink::Removed;
use crate::sources::{Found, Role, Scan, Scanner, SourceError};
use crate::state::StatusFile;
use crate::watch::{Change, Watcher};

impl Agent {
    pub(super) fn reload(&mut self, setup: Setup) {
        tracing::info!("the configuration was read again");
        self.resolver.replace_instances(setup.instances.clone());
        self.resolver.set_request_limit(setup.schedule.request);
        self.scanner = Some(Scanner::new(setup.plan.clone(), setup.instances.clone()));
        // A scan under way belongs to the old configuration; its result is dropped with the handle.
        self.scanning = None;
        self.reopen_ledger(&setup);
        self.setup = setup;
        self.reopen_journal();
        self.reopen_status();
    }

    /// Shows the agent's state where the configuration wants it now. With the file before goes the lock on it: what that
    /// says is no longer taken for true.
    fn reopen_status(&mut self) {
        let wanted = self.setup.status_file.as_deref();
        if wanted == self.status.as_ref().map(StatusFile::path) {
            return;
        }
        match wanted.map(StatusFile::open).transpose() {
            Ok(status) => self.status = status,
            Err(error) => {
                tracing::error!(
                    "{error}; the agent's state is shown where it was. Restart the agent to have it elsewhere."
                );
                return;
            }
        }
        let status = self.status();
        if let Some(file) = &mut self.status {
            file.write(&status);
        }
    }

    pub(super) fn merge(&mut self, scan: Scan, observer: &dyn Observer) {
        for trouble in scan.trouble.iter().chain(&scan.unseen) {
            if self.told_trouble.insert(trouble.clone()) {
                tracing::warn!("{} is left out: {}", trouble.path.display(), trouble.reason);
            }
        }
        self.told_trouble
            .retain(|told| scan.trouble.contains(told) || scan.unseen.contains(told));
        for root in &scan.withheld {
            let had = self
                .outputs
                .iter()
                .filter(|(target, _)| target.root == *root)
                .count();
            if had > 0 {
                tracing::warn!(
                    "every template for {} is gone at once; nothing is deleted. Is a volume missing?",
                    root.display()
                );
            }
        }
        let now = self.clock.monotonic();
        let difference = self.outputs.merge(scan, now);
        self.has_gone |= difference.gone > 0;
        if self.confirming {
            if self.rescan.is_none() {
                self.confirming = false;
                self.delete_gone(now);
            } else {
                // It began before it was asked to decide, or does not know of what changed meanwhile.
                self.look_at(Change::All);
            }
        }
        self.take_in(difference, observer);
    }

    /// Takes over outputs that were looked at alone.
    pub(super) fn renew(&mut self, found: Vec<Found>, observer: &dyn Observer) {
        let difference = self.outputs.renew(found);
        self.take_in(difference, observer);
    }

    fn take_in(&mut self, difference: Difference, observer: &dyn Observer) {
        if difference.changed.is_empty() && difference.dropped == 0 && !difference.sight_changed {
            return;
        }
        self.open_round("edit", Duration::ZERO);
        if difference.wants_others {
            self.resolver.retain(|key| self.outputs.is_wanted(key));
        }
        // All references of all templates are wanted before the first is asked: fields of one item are one read.
        for target in &difference.changed {
            if let Some(output) = self.outputs.get_mut(target)
                && let Ok(parsed) = &output.found.template
            {
                self.resolver.want(&parsed.keys);
            }
        }
        for target in difference.changed {
            if let Some(output) = self.outputs.get_mut(&target) {
                match &output.found.template {
                    Ok(parsed) => {
                        let warnings: Vec<Diagnostic> = parsed.template.warnings().to_vec();
                        if !warnings.is_empty() {
                            let text = parsed.template.source();
                            observer.template(&output.found.source.shown(), text, &warnings);
                        }
                        output.troubles.clear();
                    }
                    Err(error) => {
                        if let SourceError::Template { name, text, found } = &**error {
                            observer.template(name, text, found);
                        }
                        output.troubles = vec![Trouble::of_source(error)];
                        output.fall_behind();
                    }
                }
            }
            self.touch(&target);
        }
    }

    fn delete_gone(&mut self, now: Duration) {
        let after = self.setup.plan.delete_after;
        let mut gone: Vec<_> = self
            .outputs
            .iter()
            .filter(|(_, output)| output.gone_since.is_some_and(|since| since + after <= now))
            .map(|(target, output)| {
                let found = &output.found;
                (
                    target.clone(),
                    output.standing,
                    found.role.clone(),
                    found.settings.atomic,
                )
            })
            .collect();
        if gone.is_empty() {
            self.has_gone = self.outputs.iter().any(|(_, output)| output.gone_since.is_some());
            return;
        }
        // What is being written now comes first; a look after that finds the rest still gone.
        let Some(mut applier) = self.applier.take() else {
            return;
        };
        self.open_round("removal", Duration::ZERO);
        gone.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        let mut switched = BTreeSet::new();
        for (target, standing, role, is_switched) in gone {
            if matches!(role, Role::Listing(_)) {
                self.listed.remove(&target);
            } else if is_switched {
                switched.insert(target.root.clone());
            } else if standing == Standing::Unknown {
                tracing::info!(
                    "the template of {} is gone; the file was not written by this agent and stays",
                    target.path().display()
                );
            } else {
                match applier.remove(&target) {
                    Ok(Removed::Absent) => {}
                    Ok(Removed::Foreign) => tracing::warn!(
                        "the template of {} is gone, but the file was changed by another; it stays",
                        target.path().display()
                    ),
                    Ok(Removed::Removed) => {
                        tracing::info!("removed {}: its template is gone", target.path().display());
                        self.note_removed(&target);
                        if let Some(round) = &mut self.round {
                            round.changed.push((target.clone(), None));
                        }
                    }
                    Err(error) => tracing::warn!("{error}. {}", error.hint()),
                }
            }
            self.dirty.remove(&target);
            self.waiting.remove(&target);
            self.outputs.remove(&target);
        }
        self.applier = Some(applier);
        self.outputs.index();
        self.resolver.retain(|key| self.outputs.is_wanted(key));
        for root in switched {
            self.switch_to_the_rest(&root);
        }
        self.settle_directories();
    }
}

/// Who tells of changes of the sources of `setup`, where it wants that.
pub(super) fn watcher_of(setup: &Setup) -> Option<Watcher> {
    if setup.schedule.mode != Mode::Watch {
        return None;
    }
    let plan = &setup.plan;
    let files = plan.secrets.iter().filter_map(|secret| match &secret.source {
        locket_core::plan::Source::File(path) | locket_core::plan::Source::EnvFile(path) => {
            Some(path.clone())
        }
        locket_core::plan::Source::Inline { .. } | locket_core::plan::Source::Every { .. } => None,
    });
    let roots: Vec<_> = plan
        .maps
        .iter()
        .map(|map| map.source.clone())
        .chain(files)
        .collect();
    Some(Watcher::new(roots, setup.schedule.debounce))
}
