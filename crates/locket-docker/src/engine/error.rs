//! Why an engine did not do what it was asked.

use std::fmt;

/// Why an engine did not do what it was asked. Holds no body of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EngineError {
    /// There is no such container, service or swarm.
    Missing,
    /// The container does not run.
    Stopped,
    /// Nobody answers, or not as an engine does; with what to do.
    Unavailable(String),
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("it does not exist"),
            Self::Stopped => f.write_str("it is not running"),
            Self::Unavailable(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for EngineError {}
