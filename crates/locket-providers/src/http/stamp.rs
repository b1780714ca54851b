//! Whether a file is still the one that was read.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::Credential;

/// What changes when a file is written, replaced or pointed elsewhere. A file that is not there has a stamp too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    /// The stamp of the file at `path` now; symbolic links are followed.
    pub(crate) fn of(path: &Path) -> Self {
        Self(std::fs::metadata(path).ok().map(|found| {
            (
                found.dev(),
                found.ino(),
                found.size(),
                found.mtime(),
                found.mtime_nsec(),
            )
        }))
    }

    /// The stamps of the files behind a credential; none for a value that cannot change.
    pub(crate) fn of_credential(credential: &Credential) -> Vec<Self> {
        match credential {
            Credential::File(path) => vec![Self::of(path)],
            Credential::Value(_) => Vec::new(),
        }
    }
}
