//! Clocks for tests: one that follows tokio's time, which tests can pause, and one that moves by hand.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use locket_core::Clock;
use tokio::time::Instant;

/// Where the wall clock of a test starts: 2030-01-02 03:04:05 UTC, far from any real "now".
pub const EPOCH: Duration = Duration::from_secs(1_893_553_445);

/// Tokio's time, which stands still and jumps ahead under `tokio::time::pause`.
///
/// It follows the runtime that it is read in; outside of any it is real time.
#[derive(Debug)]
pub struct TokioClock {
    started: Instant,
}

/// A clock that moves only when told.
#[derive(Debug, Default)]
pub struct ManualClock {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    elapsed: Duration,
    /// What the wall clock was set ahead beside the time that passed.
    ahead: Duration,
    /// What it was set back.
    behind: Duration,
}

impl Default for TokioClock {
    fn default() -> Self {
        Self::new()
    }
}

impl TokioClock {
    /// A clock whose wall shows [`EPOCH`] now.
    pub fn new() -> Self {
        Self {
            started: Instant::now(),
        }
    }
}

impl Clock for TokioClock {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

impl ManualClock {
    /// A clock whose wall shows [`EPOCH`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.lock().elapsed += by;
    }

    /// Sets the wall clock ahead, as an administrator or NTP does. The monotonic clock does not notice.
    pub fn set_wall_ahead(&self, by: Duration) {
        self.lock().ahead += by;
    }

    /// Sets the wall clock back.
    pub fn set_wall_back(&self, by: Duration) {
        self.lock().behind += by;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> SystemTime {
        let state = self.lock();
        SystemTime::UNIX_EPOCH + EPOCH + state.elapsed + state.ahead - state.behind
    }

    fn monotonic(&self) -> Duration {
        self.lock().elapsed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_tokio_clock_follows_paused_time_on_both_faces() {
        let clock = TokioClock::new();
        let (wall, monotonic) = (clock.wall(), clock.monotonic());
        assert_eq!(wall, SystemTime::UNIX_EPOCH + EPOCH);
        tokio::time::sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.wall().duration_since(wall).unwrap().as_secs(), 3600);
        assert_eq!((clock.monotonic() - monotonic).as_secs(), 3600);
    }

    #[test]
    fn the_manual_clock_moves_only_when_told() {
        let clock = ManualClock::new();
        assert_eq!(clock.monotonic(), Duration::ZERO);
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + EPOCH);
        clock.advance(Duration::from_millis(1500));
        assert_eq!(clock.monotonic(), Duration::from_millis(1500));
        assert_eq!(
            clock.wall(),
            SystemTime::UNIX_EPOCH + EPOCH + Duration::from_millis(1500)
        );
    }

    #[test]
    fn setting_the_wall_clock_leaves_the_monotonic_one_alone() {
        let clock = ManualClock::new();
        clock.set_wall_back(Duration::from_secs(60));
        assert_eq!(
            clock.wall(),
            SystemTime::UNIX_EPOCH + EPOCH - Duration::from_secs(60)
        );
        clock.set_wall_ahead(Duration::from_secs(90));
        assert_eq!(
            clock.wall(),
            SystemTime::UNIX_EPOCH + EPOCH + Duration::from_secs(30)
        );
        assert_eq!(clock.monotonic(), Duration::ZERO);
    }
}
