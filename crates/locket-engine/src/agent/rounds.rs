//! Rounds: from the first thing that happens until everything is in place, and what is said at their end.

use std::time::Duration;

use locket_core::plan::OnError;
use locket_core::words::counted;
use rustc_hash::FxHashMap;

use super::apply::{Job, Work};
use super::dispatch::Agent;
use super::outputs::{Stage, Standing, modified};
use super::report::{Ending, Failing, Observer, Phase, Trouble, TroubleKind, warn_about_unlocked_memory};
use super::setup::{Mode, Schedule};
use super::standing::is_unresolved;
use super::timers::REST_AFTER;
use crate::notify::Fingerprint;
use crate::sources::{Role, Target};

/// From the first thing that happens until everything is in place.
pub(super) struct Round {
    pub(super) why: &'static str,
    pub(super) started: Duration,
    pub(super) calls_before: u64,
    /// Until then transient failures are retried before the round is given up.
    pub(super) deadline: Duration,
    /// The outputs that were rendered, and whether any of their renderings was written: one is rendered again when an
    /// answer or a scan comes late.
    pub(super) rendered: FxHashMap<Target, Rendering>,
    /// What consumers are to hear of, with what the journal promises about it.
    pub(super) changed: Vec<(Target, Option<Fingerprint>)>,
}

/// What the renderings of one output in one round came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rendering {
    /// What was in place already.
    Equal,
    /// New content, at least once.
    Written,
}

impl Agent {
    pub(super) fn open_round(&mut self, why: &'static str, patience: Duration) {
        let now = self.clock.monotonic();
        if self.round.is_none() {
            self.rest_at = None;
            self.rounds += 1;
            self.round = Some(Round {
                why,
                started: now,
                calls_before: self.resolver.calls(),
                deadline: now + patience,
                rendered: FxHashMap::default(),
                changed: Vec::new(),
            });
        }
    }

    pub(super) fn refresh(&mut self, why: &'static str) {
        self.open_round(why, Duration::ZERO);
        self.resolver.refresh();
        self.wait_for_all();
        self.schedule_refresh();
    }

    /// Everything is looked at again when its answers are there: what is in place, its mode and owner too.
    fn wait_for_all(&mut self) {
        let present = self
            .outputs
            .iter()
            .filter(|(_, output)| output.gone_since.is_none());
        let targets: Vec<_> = present.map(|(target, _)| target.clone()).collect();
        for target in targets {
            self.touch(&target);
        }
    }

    /// Ends the round when nothing of it is left to do; gives the end of the run when that was all.
    pub(super) fn close_round(&mut self, observer: &dyn Observer) -> Option<Ending> {
        let now = self.clock.monotonic();
        let is_first = self.rounds == 1;
        let round = self.round.as_ref()?;
        // What is wanted at all is known soon, whatever time is left.
        if self.scanning.is_some() || self.rescan.is_some() {
            return None;
        }
        // What has its answers is put in place, whatever time it takes: a deadline gives up on answers alone.
        if !self.dirty.is_empty() || self.applying.is_some() {
            return None;
        }
        let is_asking = !self.resolver.is_idle();
        // A single round may yet see what it could not look at; one that stays sees it in a later one.
        let may_see_more =
            self.setup.schedule.mode == Mode::OneShot && self.setup.surroundings.unseen.is_some();
        let may_improve = may_see_more || self.resolver.may_improve_before(round.deadline);
        let patient = now < round.deadline && may_improve;
        if patient || (is_asking && (!is_first || now < round.deadline)) {
            return None;
        }
        self.give_up_waiting();
        if self.fall_back_to_templates() {
            return None;
        }
        let round = self.round.take()?;
        self.note_round(&round);
        self.watch_audit();
        self.report(&round, observer);
        self.tell(&round);
        self.hand_over(&round);
        self.publish();
        self.phase = Phase::Staying;
        self.show(observer);
        let ending = self.ending();
        if self.setup.schedule.mode == Mode::OneShot {
            return Some(Ending {
                changed: round.changed.len(),
                ..ending
            });
        }
        self.rest_at = Some(now + REST_AFTER);
        let must_succeed = self.outputs.iter().any(|(_, output)| {
            output.found.settings.on_error == OnError::Error
                && is_unresolved(output.standing, &output.troubles)
        });
        if is_first && must_succeed {
            return Some(ending);
        }
        if is_first {
            tracing::info!("{}", what_follows(&self.setup.schedule));
        }
        None
    }

    /// The round is over for outputs whose answers never came.
    fn give_up_waiting(&mut self) {
        for target in &self.waiting {
            let Some(output) = self.outputs.get_mut(target) else {
                continue;
            };
            let Ok(parsed) = &output.found.template else {
                continue;
            };
            let earlier = modified(target, output.found.settings.atomic);
            let awaited = parsed.template.references().iter().zip(&parsed.keys);
            let troubles = awaited
                .filter(|(_, key)| self.resolver.is_awaited(key))
                .map(|(reference, _)| Trouble {
                    reference: Some(reference.to_string()),
                    reason: "no answer came in time".to_owned(),
                    hint: Some("Check that the provider is reachable, or raise `--deadline`.".to_owned()),
                    kind: match output.standing {
                        Standing::Good => TroubleKind::Stale,
                        _ => TroubleKind::Unresolved,
                    },
                })
                .collect();
            output.trouble(troubles);
            output.notice(earlier);
            output.fall_behind();
        }
    }

    /// `passthrough`: puts the template's own text where nothing good is. Whether there was something to do.
    fn fall_back_to_templates(&mut self) -> bool {
        let Some(applier) = self.applier.take() else {
            return false;
        };
        let mut jobs = Vec::new();
        for (target, output) in self.outputs.iter_mut() {
            let Ok(parsed) = &output.found.template else {
                continue;
            };
            if output.found.settings.on_error == OnError::Passthrough
                && !matches!(output.found.role, Role::Listing(_))
                && output.standing == Standing::Unknown
                && matches!(output.stage, Stage::Settled | Stage::Waiting)
                && is_unresolved(output.standing, &output.troubles)
            {
                output.stage = Stage::Applying;
                // One try a round, whatever comes of it.
                output.standing = Standing::Passthrough;
                jobs.push(Job {
                    target: target.clone(),
                    settings: output.found.settings.clone(),
                    work: Work::Passthrough {
                        parsed: parsed.clone(),
                    },
                    stale: Vec::new(),
                });
            }
        }
        if jobs.is_empty() {
            self.applier = Some(applier);
            return false;
        }
        jobs.sort_by(|one, other| one.target.cmp(&other.target));
        self.applying = Some(self.visit(applier, jobs));
        true
    }

    fn report(&mut self, round: &Round, observer: &dyn Observer) {
        warn_about_unlocked_memory();
        let mut news = false;
        let is_told_by_ending = self.setup.handover.is_some() && self.rounds == 1;
        let changed = self.outputs.iter_mut();
        let mut changed: Vec<_> = changed
            .filter(|(_, output)| output.troubles != output.reported)
            .collect();
        // In the same order each time.
        changed.sort_by_key(|(target, _)| *target);
        for (target, output) in changed {
            news = true;
            let (path, shown) = (target.path(), target.shown().to_string());
            if output.troubles.is_empty() {
                tracing::info!("{shown} is confirmed again");
            }
            for trouble in &output.troubles {
                let what = match (trouble.kind, output.standing, output.found.settings.on_error) {
                    (_, _, OnError::Ignore) => "is optional and left out",
                    (TroubleKind::Stale, ..) | (_, Standing::Good | Standing::Earlier, _) => {
                        "keeps its last good value"
                    }
                    (_, Standing::Passthrough, _) => "holds its template's own text",
                    (TroubleKind::Unwritten, ..) => "is not written",
                    _ => "is not in place",
                };
                let failing = Failing {
                    target: &path,
                    shown: &shown,
                    reference: trouble.reference.as_deref(),
                    reason: &trouble.reason,
                    hint: trouble.hint.as_deref(),
                    outcome: what,
                    is_unwritten: trouble.kind == TroubleKind::Unwritten,
                };
                // Whoever waits for variables is told by the end of the run.
                if is_told_by_ending {
                    tracing::debug!("{shown} {what}: {}", trouble.reason);
                } else {
                    observer.failing(&failing);
                }
            }
            output.reported.clone_from(&output.troubles);
        }
        let took = self.clock.monotonic().saturating_sub(round.started);
        let failing = self
            .outputs
            .iter()
            .filter(|(_, output)| !output.troubles.is_empty())
            .count();
        if failing == 0 {
            self.last_success = Some(self.clock.wall());
            self.failed_writes = 0;
        }
        let calls = self.resolver.calls() - round.calls_before;
        let of = |what: Rendering| {
            round
                .rendered
                .values()
                .filter(|rendering| **rendering == what)
                .count()
        };
        let (written, unchanged) = (of(Rendering::Written), of(Rendering::Equal));
        if round.why == "retry" && written == 0 && !news {
            return;
        }
        tracing::info!(
            "{}: {}, {written} written, {unchanged} unchanged, {failing} failing; {} in {}",
            round.why,
            counted(self.outputs.len(), "output"),
            counted(calls, "provider call"),
            humantime::format_duration(Duration::from_millis(took.as_millis() as u64)),
        );
    }
}

/// What an agent that stays does from now on.
fn what_follows(schedule: &Schedule) -> String {
    let again = match schedule.refresh {
        Some(interval) => format!(
            "the providers are asked again every {}",
            humantime::format_duration(interval)
        ),
        None => "the providers are not asked again".to_owned(),
    };
    match schedule.mode {
        Mode::Watch => {
            format!("from now on edits of templates are followed, and {again}; SIGHUP does it at once")
        }
        Mode::Repeat => {
            format!("from now on {again}, as the configuration then says; SIGHUP does it at once")
        }
        Mode::Park | Mode::OneShot => {
            format!("from now on {again}; SIGHUP does it at once, and reads the templates, too")
        }
    }
}
