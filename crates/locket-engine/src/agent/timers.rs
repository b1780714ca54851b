//! What time brings: refreshes, outputs that depend on the time, templates that are gone for long enough.

use std::time::Duration;

use super::dispatch::Agent;
use super::report::Observer;
use super::setup::Mode;
use crate::chance;
use crate::resolve::Backoff;
use crate::watch::Change;

/// How long after a round nothing must have happened until the agent rests.
pub(super) const REST_AFTER: Duration = Duration::from_secs(5);

impl Agent {
    pub(super) fn on_timer(&mut self) {
        let (now, wall) = (self.clock.monotonic(), self.clock.wall());
        if self.is_refresh_due() {
            self.refresh("refresh");
        }
        let due: Vec<_> = self
            .outputs
            .iter()
            // A clock that was set back makes them wrong as well.
            .filter(|(_, output)| output.valid.as_ref().is_some_and(|valid| !valid.contains(&wall)))
            .map(|(target, _)| target.clone())
            .collect();
        for target in due {
            if let Some(output) = self.outputs.get_mut(&target) {
                output.valid = None;
            }
            self.touch(&target);
        }
        if self.rewrite_at.is_some_and(|at| at <= now) {
            self.write_again();
        }
        if self.rest_at.is_some_and(|at| at <= now) {
            self.rest();
        }
        if self.next_deletion().is_some_and(|at| at <= now) {
            // The template may be back, or its volume gone: another look decides.
            self.confirming = true;
            self.look_at(Change::All);
        }
    }

    pub(super) fn is_refresh_due(&self) -> bool {
        let now = self.clock.monotonic();
        self.next_refresh.is_some_and(|at| at <= now)
    }

    /// The next time at which something is due, on the monotonic clock.
    pub(super) fn next_timer(&self) -> Option<Duration> {
        let (now, wall) = (self.clock.monotonic(), self.clock.wall());
        let volatile = self
            .has_volatile
            .then(|| self.outputs.iter())
            .into_iter()
            .flatten()
            .filter_map(|(_, output)| Some(output.valid.as_ref()?.end))
            .min()
            .map(|until| now + until.duration_since(wall).unwrap_or_default());
        let deadline = self
            .round
            .as_ref()
            .map(|round| round.deadline)
            .filter(|deadline| *deadline > now);
        [
            self.next_refresh,
            volatile,
            self.next_deletion(),
            self.rewrite_at,
            deadline,
            self.rest_at,
            self.next_pulse,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Has everything written again that could not be written, after a while: a disk has room again, a mount is back.
    pub(super) fn write_again_later(&mut self) {
        if self.rewrite_at.is_none() {
            self.failed_writes += 1;
            let pause = Backoff::default().delay(self.failed_writes, chance::fraction());
            self.rewrite_at = Some(self.clock.monotonic() + pause);
        }
    }

    fn write_again(&mut self) {
        self.rewrite_at = None;
        let outputs = self.outputs.iter();
        let unwritten = outputs.filter(|(_, output)| output.is_unwritten());
        let targets: Vec<_> = unwritten.map(|(target, _)| target.clone()).collect();
        if targets.is_empty() {
            self.failed_writes = 0;
            return;
        }
        self.open_round("retry", Duration::ZERO);
        for target in targets {
            self.touch(&target);
        }
    }

    /// Shows that the dispatcher turns, when it is time to.
    pub(super) fn beat(&mut self, observer: &dyn Observer) {
        let now = self.clock.monotonic();
        let interval = observer.pulse_interval();
        if interval.is_some() && self.next_pulse.is_none_or(|at| at <= now) {
            observer.pulse();
            self.next_pulse = interval.map(|interval| now + interval);
        } else if interval.is_none() {
            self.next_pulse = None;
        }
    }

    /// Gives back what only work needs: connections, and memory that nothing uses.
    fn rest(&mut self) {
        self.rest_at = None;
        if self.round.is_none() && self.resolver.is_idle() {
            self.resolver.instances().rest();
            locket_sys::memory::give_back();
        }
    }

    fn next_deletion(&self) -> Option<Duration> {
        // As long as somebody writes, nothing could come of it.
        if self.confirming || !self.has_gone || self.applier.is_none() {
            return None;
        }
        let gone = self
            .outputs
            .iter()
            .filter_map(|(_, output)| output.gone_since)
            .min()?;
        Some(gone + self.setup.plan.delete_after)
    }

    pub(super) fn schedule_refresh(&mut self) {
        let schedule = &self.setup.schedule;
        self.next_refresh = match (schedule.mode, schedule.refresh) {
            (Mode::OneShot, _) | (_, None) => None,
            (mode, Some(interval)) => {
                let most = match mode {
                    // Whoever named the interval named this, too.
                    Mode::Repeat => schedule.jitter,
                    // A short interval is asked for by somebody who waits.
                    _ => schedule.jitter.min(interval / 10),
                };
                Some(self.clock.monotonic() + interval + most.mul_f64(chance::fraction()))
            }
        };
    }
}
