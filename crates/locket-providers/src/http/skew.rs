//! Whether this machine's clock is right, by the time that a server tells with each answer.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::header::DATE;

use crate::http::Response;

/// By how much this machine's clock differs from a server's. Shown as `12m ahead of`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Skew {
    /// To the second.
    pub(crate) by: Duration,
    direction: &'static str,
}

impl Skew {
    /// What the answer says of a clock that shows `now`; `None` when it tells no time.
    pub(crate) fn of(response: &Response, now: SystemTime) -> Option<Self> {
        let theirs = httpdate::parse_http_date(response.header(&DATE)?).ok()?;
        let (by, direction) = match now.duration_since(theirs) {
            Ok(ahead) => (ahead, "ahead of"),
            Err(behind) => (behind.duration(), "behind"),
        };
        Some(Self {
            by: Duration::from_secs(by.as_secs()),
            direction,
        })
    }
}

impl fmt::Display for Skew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", humantime::format_duration(self.by), self.direction)
    }
}
