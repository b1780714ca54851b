//! Whether a file is still the one that was read.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::try_join_all;
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

    /// The stamps of several files, looked at off the loop, in half of the time there is: whoever has read them before
    /// can go on with that.
    ///
    /// # Errors
    /// A file system gives no answer.
    pub(crate) async fn of_each(paths: Vec<PathBuf>, cx: &FetchCx) -> Result<Vec<Self>, ProviderError> {
        let limit = cx.remaining() / 2;
        try_join_all(paths.into_iter().map(|path| Self::looked_at(path, limit))).await
    }

    async fn looked_at(path: PathBuf, limit: Duration) -> Result<Self, ProviderError> {
        let looked = path.clone();
        let looking = own_file::off_loop(&path, limit, move || Self::of(&looked));
        looking.await.map_err(|why| {
            let error = format!("the file {} cannot be looked at: {why}", path.display());
            ProviderError::new(why.kind(), error).hint(why.advice(&path, "Check that the file exists."))
        })
    }
}
