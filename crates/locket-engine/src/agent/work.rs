//! Which outputs are rendered and written next, and what became of those that were.

use std::time::Duration;

use tokio::task::JoinHandle;

use super::apply::{Applier, Done, Job, Work};
use super::dispatch::{Agent, Look};
use super::outputs::{Stage, Standing};
use super::report::Observer;
use super::rounds::Rendering;
use crate::resolve::SecretKey;
use crate::sink::Applied;
use crate::sources::{self, Scan, Scanner, Target};
use crate::tasks;
use crate::watch::Change;

/// Outputs that one visit to the writing thread takes, so that results keep coming.
const JOBS_PER_VISIT: usize = 128;

impl Agent {
    /// Hands out whatever can be done now.
    pub(super) fn start_work(&mut self) {
        if let Some(scanner) = self.scanner.take_if(|_| self.rescan.is_some()) {
            let change = self.rescan.take().unwrap_or(Change::All);
            self.scanning = Some(self.look(scanner, change));
        }
        if self.dirty.is_empty() {
            return;
        }
        if let Some(applier) = self.applier.take() {
            let mut jobs = Vec::new();
            while jobs.len() < JOBS_PER_VISIT
                && let Some(target) = self.dirty.pop_first()
            {
                jobs.extend(self.jobs(&target));
            }
            if jobs.is_empty() {
                self.applier = Some(applier);
                return;
            }
            self.applying = Some(self.visit(applier, jobs));
        }
    }

    /// Has the sources looked at, as soon as nobody does.
    pub(super) fn look_at(&mut self, change: Change) {
        match &mut self.rescan {
            Some(present) => present.merge(change),
            None => self.rescan = Some(change),
        }
    }

    fn look(&self, mut scanner: Scanner, change: Change) -> JoinHandle<(Scanner, Look)> {
        scanner.know(self.listed.clone());
        let outputs = match &change {
            Change::Paths(paths) => self.outputs.of_sources(paths),
            Change::All => Vec::new(),
        };
        tasks::blocking(move || {
            let again = match &change {
                Change::Paths(paths) => scanner.look_again(paths, outputs),
                Change::All => None,
            };
            let look = again.map_or_else(|| Look::Whole(scan_allowed(&mut scanner)), Look::Again);
            (scanner, look)
        })
    }

    pub(super) fn visit(&self, mut applier: Applier, jobs: Vec<Job>) -> JoinHandle<(Applier, Vec<Done>)> {
        self.hide_secrets(&jobs);
        let instances = self.setup.instances.clone();
        let actions = self.setup.actions.clone();
        tasks::blocking(move || {
            let done = applier.apply(jobs, instances.schemes(), &actions);
            (applier, done)
        })
    }

    /// The work that an output that changed brings up.
    fn jobs(&mut self, target: &Target) -> Vec<Job> {
        let output = self.outputs.get(target);
        match output.is_some_and(|output| output.found.settings.atomic) {
            true => self.whole(target),
            false => self.job(target).into_iter().collect(),
        }
    }

    pub(super) fn job(&mut self, target: &Target) -> Option<Job> {
        if self.settle_listing(target) {
            return None;
        }
        let (wall, has_vanished) = (self.clock.wall(), self.has_vanished(target));
        let output = self.outputs.get_mut(target)?;
        if has_vanished {
            output.stage = Stage::Settled;
            return None;
        }
        let Ok(parsed) = output.found.template.clone() else {
            return None;
        };
        let (resolutions, stale) = output.resolutions(&self.resolver);
        output.stage = Stage::Applying;
        let work = Work::Render {
            parsed,
            resolutions,
            now: wall,
        };
        Some(Job {
            target: target.clone(),
            settings: output.found.settings.clone(),
            work,
            stale,
        })
    }

    pub(super) fn touch(&mut self, target: &Target) {
        let Some(output) = self.outputs.get_mut(target) else {
            return;
        };
        output.touch(&self.resolver);
        match output.stage {
            Stage::Dirty => {
                self.waiting.remove(target);
                self.dirty.insert(target.clone());
            }
            Stage::Waiting => {
                self.waiting.insert(target.clone());
            }
            _ => {}
        }
    }

    pub(super) fn on_settled(&mut self, keys: &[SecretKey]) {
        let why = if self.resolver.settled_by_lease() {
            "lease"
        } else {
            "retry"
        };
        self.open_round(why, Duration::ZERO);
        self.note_resolved(keys);
        let mut targets: Vec<Target> = keys
            .iter()
            .flat_map(|key| self.outputs.wanting(key))
            .cloned()
            .collect();
        targets.sort();
        targets.dedup();
        for target in &targets {
            self.relist(target);
        }
        for target in targets {
            self.touch(&target);
        }
    }

    pub(super) fn on_done(&mut self, done: Done, observer: &dyn Observer) {
        self.note_done(&done);
        let wall = self.clock.wall();
        if matches!(&done.result, Ok(applied) if applied.is_change) {
            // What only the time brought up may differ in more than the time.
            self.open_round("time", Duration::ZERO);
        }
        let Some(output) = self.outputs.get_mut(&done.target) else {
            return;
        };
        let again = output.stage == Stage::ApplyingDirty;
        output.stage = Stage::Settled;
        output.valid = done.valid_until.map(|until| wall..until);
        self.has_volatile |= output.valid.is_some();
        match done.result {
            Ok(applied) => {
                output.is_behind = false;
                if applied.is_passthrough {
                    output.standing = Standing::Passthrough;
                } else {
                    output.standing = Standing::Good;
                    // A mistake that was made meanwhile is not mended by what was rendered before.
                    if output.found.template.is_ok() {
                        output.trouble(done.stale);
                    }
                    if output.troubles.is_empty() {
                        output.last_success = Some(wall);
                    }
                }
                if let Some(round) = &mut self.round {
                    let rendering = round
                        .rendered
                        .entry(done.target.clone())
                        .or_insert(Rendering::Equal);
                    if applied.is_written() {
                        *rendering = Rendering::Written;
                    }
                    if applied.is_change {
                        round
                            .changed
                            .push((done.target.clone(), applied.promised.clone()));
                    }
                }
                if applied.is_change {
                    let verb = if applied.applied == Applied::Created {
                        "created"
                    } else {
                        "updated"
                    };
                    // Variables reach a program all together, which is told then.
                    if done.target.is_variable() {
                        tracing::debug!("{verb} {}", done.target.shown());
                    } else {
                        observer.changed(&done.target.path(), verb);
                    }
                }
            }
            Err(troubles) => {
                output.trouble(troubles);
                output.notice(done.earlier);
                output.fall_behind();
            }
        }
        let (is_news, is_unwritten) = (output.troubles != output.reported, output.is_unwritten());
        if is_news {
            self.open_round("time", Duration::ZERO);
        }
        if is_unwritten {
            self.write_again_later();
        }
        if again {
            self.touch(&done.target);
        }
    }
}

/// Looks at every source, and keeps apart what must not be written. A start refuses that altogether.
fn scan_allowed(scanner: &mut Scanner) -> Scan {
    let mut scan = scanner.scan();
    sources::refuse_conflicts(scanner.plan(), &mut scan);
    scan
}
