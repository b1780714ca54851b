//! Why a program does not run.

use std::io::{self, ErrorKind};

/// Why a program does not run; its statuses are those of shells.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no such program: status 127.
    #[error("{program} cannot be found")]
    NotFound {
        /// Its name.
        program: String,
    },
    /// It cannot be run: status 126.
    #[error("{program} cannot be run: {reason}")]
    NotExecutable {
        /// Its name.
        program: String,
        /// What the system said.
        reason: String,
    },
    /// Something else of ours: status 125.
    #[error("{0}")]
    Own(String),
}

impl RunError {
    /// What came of starting `program`.
    pub(super) fn starting(program: &str, error: &io::Error) -> Self {
        let program = program.to_owned();
        match error.kind() {
            ErrorKind::NotFound => Self::NotFound { program },
            _ => Self::NotExecutable {
                program,
                reason: error.to_string(),
            },
        }
    }

    /// What the system refused while something was done.
    pub(super) fn own(what: &str, error: &dyn std::fmt::Display) -> Self {
        Self::Own(format!("{what}: {error}"))
    }

    /// What to do, as a sentence.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } => Some("Check the name behind `--`, and PATH."),
            Self::NotExecutable { .. } => Some("Check that it is a program or script, and its mode."),
            Self::Own(_) => None,
        }
    }

    /// The exit status that tells it.
    pub fn status(&self) -> u8 {
        match self {
            Self::NotFound { .. } => 127,
            Self::NotExecutable { .. } => 126,
            Self::Own(_) => 125,
        }
    }
}
