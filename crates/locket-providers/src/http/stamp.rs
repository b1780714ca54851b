//! Whether a file is still the one that was read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use locket_core::{FetchCx, ProviderError};

use crate::own_file;

/// What changes when a file is written, replaced or pointed elsewhere. A file that is not there has a stamp too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    /// The stamp of the file at `path` now; symbolic links are followed. Not for the loop, but for files of the system.
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

    /// Whether there is a file.
    pub(crate) fn is_there(self) -> bool {
        self.0.is_some()
    }

    /// The stamps of several files, looked at off the loop.
    ///
    /// # Errors
    /// A file system gives no answer in the time there is.
    pub(crate) async fn of_each(paths: Vec<PathBuf>, cx: &FetchCx) -> Result<Vec<Self>, ProviderError> {
        let Some(first) = paths.first().cloned() else {
            return Ok(Vec::new());
        };
        let looking = own_file::off_loop(&first, own_file::time_for_files(cx), move || {
            paths.iter().map(|path| Self::of(path)).collect()
        });
        looking.await.map_err(|why| {
            let error = format!("the file {} cannot be looked at: {why}", first.display());
            ProviderError::new(why.kind(), error).hint(why.advice(&first, "Check that the file exists."))
        })
    }
}
