//! When a burst of events is over. It knows no files and no timers, only instants that it is told.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

/// The longest wait from the first event of a burst, in quiet times.
const MOST_QUIET_TIMES: u32 = 10;

/// More paths than this are no longer told one by one.
const MOST_PATHS: usize = 1000;

/// What may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Anything: events were lost, or there were too many to tell apart.
    All,
    /// These files, or what is in these directories. A path may also be gone.
    Paths(BTreeSet<PathBuf>),
}

/// Collects changes until none has come for the quiet time, but no longer than ten times that.
#[derive(Debug)]
pub(super) struct Debounce {
    quiet: Duration,
    burst: Option<Burst>,
}

#[derive(Debug)]
struct Burst {
    first: Instant,
    last: Instant,
    change: Change,
}

impl Debounce {
    pub(super) fn new(quiet: Duration) -> Self {
        Self { quiet, burst: None }
    }

    /// Adds a change seen at `now`.
    pub(super) fn add(&mut self, change: Change, now: Instant) {
        match &mut self.burst {
            Some(burst) => {
                burst.last = now;
                burst.change.merge(change);
            }
            None => {
                self.burst = Some(Burst {
                    first: now,
                    last: now,
                    change,
                });
            }
        }
    }

    /// When the burst is over, if there is one and nothing further comes.
    pub(super) fn due(&self) -> Option<Instant> {
        let burst = self.burst.as_ref()?;
        Some((burst.last + self.quiet).min(burst.first + self.quiet * MOST_QUIET_TIMES))
    }

    /// The burst, which is over then.
    pub(super) fn take(&mut self) -> Option<Change> {
        self.burst.take().map(|burst| burst.change)
    }
}

impl Change {
    /// Adds another change.
    pub fn merge(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Paths(mine), Self::Paths(theirs)) => {
                mine.extend(theirs);
                if mine.len() > MOST_PATHS {
                    *self = Self::All;
                }
            }
            _ => *self = Self::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_millis(500);

    fn one(name: &str) -> Change {
        Change::Paths(BTreeSet::from([PathBuf::from(name)]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_ends_a_quiet_time_after_its_last_event() {
        let start = Instant::now();
        let mut debounce = Debounce::new(QUIET);
        assert_eq!(debounce.due(), None, "nothing to wait for");
        debounce.add(one("a"), start);
        debounce.add(one("b"), start + Duration::from_millis(300));
        debounce.add(one("a"), start + Duration::from_millis(400));
        assert_eq!(debounce.due(), Some(start + Duration::from_millis(900)));
        assert_eq!(
            debounce.take(),
            Some(Change::Paths(BTreeSet::from(["a".into(), "b".into()])))
        );
        assert_eq!(debounce.due(), None);
    }

    #[tokio::test(start_paused = true)]
    async fn constant_writes_do_not_starve_a_burst() {
        let start = Instant::now();
        let mut debounce = Debounce::new(QUIET);
        for step in 0..100 {
            debounce.add(one("log"), start + Duration::from_millis(100 * step));
        }
        assert_eq!(debounce.due(), Some(start + 10 * QUIET));
        debounce.take();
        let next = start + Duration::from_secs(60);
        debounce.add(one("log"), next);
        assert_eq!(debounce.due(), Some(next + QUIET), "each burst is counted anew");
    }

    #[tokio::test(start_paused = true)]
    async fn too_many_paths_are_told_as_all() {
        let mut debounce = Debounce::new(QUIET);
        for n in 0..=MOST_PATHS {
            debounce.add(one(&n.to_string()), Instant::now());
        }
        debounce.add(one("after"), Instant::now());
        assert_eq!(debounce.take(), Some(Change::All));
    }
}
