//! Says at trace level how far the write of an output has come, so that a test knows what a kill interrupted.

use crate::sources::Target;

/// A step in the replacement of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The new content goes to a temporary file.
    Temporary,
    /// It is flushed to the disk; skipped in memory.
    Sync,
    /// It takes the place of the old content.
    Rename,
    /// It is in place.
    Settled,
    /// The links to the names of a directory that is switched as a whole are put right.
    Link,
    /// The files that were there before such a switch are removed.
    Sweep,
}

impl Phase {
    /// The word in the trace.
    pub fn name(self) -> &'static str {
        match self {
            Self::Temporary => "temporary",
            Self::Sync => "sync",
            Self::Rename => "rename",
            Self::Settled => "settled",
            Self::Link => "link",
            Self::Sweep => "sweep",
        }
    }

    pub(super) fn reached(self, target: &Target) {
        tracing::trace!(phase = self.name(), target = %target.path().display(), "write");
    }
}
