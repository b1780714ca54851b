//! How long to leave a failing provider alone: exponential growth with full jitter.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Growing delays, drawn evenly from nothing up to a limit that doubles with each failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The limit after the first failure.
    pub first: Duration,
    /// The limit after many.
    pub most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(500),
            most: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The limit after `failures` failures in a row; the first failure is 1.
    pub fn limit(self, failures: u32) -> Duration {
        // Past this many doublings every limit is at its most.
        let steps = failures.clamp(1, 32) as usize;
        ExponentialBuilder::new()
            .with_min_delay(self.first)
            .with_max_delay(self.most)
            .without_max_times()
            .build()
            .nth(steps - 1)
            .unwrap_or(self.most)
    }

    /// A delay after `failures` failures, where `draw` is evenly distributed in `0.0..1.0`.
    pub(crate) fn delay(self, failures: u32, draw: f64) -> Duration {
        self.limit(failures).mul_f64(draw.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_double_up_to_the_most() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            most: Duration::from_secs(10),
        };
        let limits: Vec<_> = (1..7).map(|failures| backoff.limit(failures).as_secs()).collect();
        assert_eq!(limits, [1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.limit(u32::MAX), Duration::from_secs(10));
    }

    #[test]
    fn jitter_spreads_over_the_whole_of_the_limit() {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            most: Duration::from_secs(10),
        };
        assert_eq!(backoff.delay(2, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(2, 0.5), Duration::from_secs(1));
        assert_eq!(backoff.delay(2, 1.0), Duration::from_secs(2));
    }
}
