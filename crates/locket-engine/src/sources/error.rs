//! Why a template cannot be used.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::Diagnostic;
use locket_core::words::counted;
use locket_sys::landlock;

use super::check::PlanError;

/// Why one template cannot be used; the others are not concerned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The text has mistakes, all of them here.
    #[error("the template has {}", counted(found.len(), "mistake"))]
    Template {
        /// What the text is called in messages.
        name: String,
        /// The text, for showing the places.
        text: Arc<[u8]>,
        /// The mistakes.
        found: Vec<Diagnostic>,
    },
    /// The file cannot be read.
    #[error("the template {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
        /// The kind of that.
        kind: io::ErrorKind,
    },
    /// It is something else than a regular file.
    #[error("the template {} is {what}, not a regular file", path.display())]
    NotRegular {
        /// Where it is.
        path: PathBuf,
        /// What it is, with its article.
        what: &'static str,
    },
    /// It is a pipe, and its writer did not write and close it in time.
    #[error("the env file {} is a pipe, and was not written to its end in time", path.display())]
    Unwritten {
        /// Where it is.
        path: PathBuf,
    },
    /// The file is larger than allowed.
    #[error("the template {} has {size} bytes, more than the {limit} that are allowed", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// Its output would be written where the plan must not write.
    #[error("it is left alone: {0}")]
    Refused(PlanError),
    /// A variable that changes what programs do is to have a secret as its value.
    #[error("the variable {name} changes which code programs run, and its value would come from a secret")]
    Guarded {
        /// The variable.
        name: String,
    },
}

impl SourceError {
    pub(super) fn unreadable(path: &Path, error: &io::Error) -> Self {
        Self::Unreadable {
            path: path.into(),
            reason: error.to_string(),
            kind: error.kind(),
        }
    }

    /// Whether there is no file.
    pub(super) fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Unreadable {
                kind: io::ErrorKind::NotFound,
                ..
            }
        )
    }

    /// Whether the template may be right, and its output is in the way of something.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    /// What to do, as a sentence.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Template { .. } => "Correct the places shown; the last good output stays until then.",
            Self::Unreadable { path, .. } if landlock::denies_reading(path) => landlock::ADVICE,
            Self::Unreadable { .. } => "Let the agent's user read it, or leave it out of the map.",
            Self::NotRegular { .. } => {
                "Name a regular file, or leave it out: a template is looked at more than once, and what comes through a pipe is gone."
            }
            Self::Unwritten { .. } => {
                "Check the program at the other end: it has to write the whole and to end."
            }
            Self::Refused(error) => error.hint(),
            Self::Guarded { .. } => "Say `--allow-name` with its name if that is meant.",
            Self::TooLarge { .. } => "Raise `--max-file-size`, or leave the file out of the map.",
        }
    }
}

/// Something in a source that is left out, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Trouble {
    /// The file or directory.
    pub path: PathBuf,
    /// Why it is left out, as a lower-case fragment.
    pub reason: String,
}
