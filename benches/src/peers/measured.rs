//! What is known of a job when it was done.

use std::fmt;
use std::time::Duration;

/// One job, as ours and the other tool did it.
pub(crate) struct Line {
    pub(crate) job: String,
    pub(crate) ours: Measured,
    pub(crate) theirs: Measured,
}

/// What a tool needed for a job. Less is better.
#[derive(Clone, Copy)]
pub(crate) enum Measured {
    Time(Duration),
    Count(usize),
    Bytes(u64),
    /// It does not do that; with what was seen.
    Never(&'static str),
}

impl Line {
    pub(crate) fn new(job: impl Into<String>, [ours, theirs]: [Measured; 2]) -> Self {
        Self {
            job: job.into(),
            ours,
            theirs,
        }
    }

    /// How many times as much the other tool needs; `None` where one of the two does not do the job.
    pub(crate) fn ratio(&self) -> Option<f64> {
        Some(self.theirs.number()? / self.ours.number()?)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} | {}", self.job, self.ours.shown(), self.theirs.shown())
    }
}

impl Measured {
    pub(crate) fn shown(self) -> String {
        match self {
            Self::Time(time) => {
                let millis = time.as_secs_f64() * 1e3;
                match millis {
                    ..100.0 => format!("{millis:.1} ms"),
                    ..10_000.0 => format!("{millis:.0} ms"),
                    _ => format!("{:.1} s", millis / 1e3),
                }
            }
            Self::Count(count) => count.to_string(),
            Self::Bytes(bytes) => format!("{:.1} MB", bytes as f64 / 1e6),
            Self::Never(why) => why.to_owned(),
        }
    }

    pub(crate) fn number(self) -> Option<f64> {
        match self {
            Self::Time(time) => Some(time.as_secs_f64()),
            Self::Count(count) => Some(count as f64),
            Self::Bytes(bytes) => Some(bytes as f64),
            Self::Never(_) => None,
        }
    }
}
