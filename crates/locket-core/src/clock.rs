//! Time as an argument.

use std::time::{Duration, SystemTime};

/// The two clocks that locket reads. Tests pass a fake one.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// Wall-clock time, for what is compared with the world outside: TOTP periods, ages, log lines.
    fn wall(&self) -> SystemTime;

    /// Time since a fixed point in this process; never goes back. For deadlines and schedules.
    fn monotonic(&self) -> Duration;
}
