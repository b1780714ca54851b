//! Whether a file is still the one that was read.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use futures_util::future::try_join_all;
use locket_core::{FetchCx, ProviderError};

use crate::own_file::{self, Unread};

/// How long whoever has something that serves waits for files that may bring something newer.
pub(crate) const GLANCE: Duration = Duration::from_secs(2);

/// What changes when a file is written, replaced or pointed elsewhere. A file that is not there has a stamp too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, u64, Content)>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Size and time of the last change.
    Written(u64, i64, i64),
    /// Since when there is such a thing, where that is known.
    Made(Option<SystemTime>),
}

impl Stamp {
    /// The stamp of the file at `path` now; symbolic links are followed. Not for the loop, but for files of the system.
    ///
    /// # Errors
    /// It cannot be told whether there is one.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let found = match std::fs::metadata(path) {
            Ok(found) => found,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
                ) =>
            {
                return Ok(Self(None));
            }
            Err(error) => return Err(error),
        };
        let content = match found.is_file() {
            true => Content::Written(found.size(), found.mtime(), found.mtime_nsec()),
            // A pipe changes as it is written and read, and stays the same pipe.
            false => Content::Made(found.created().ok()),
        };
        Ok(Self(Some((found.dev(), found.ino(), content))))
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
        let looked = looking.await.and_then(|stamp| stamp.map_err(Unread::Refused));
        looked.map_err(|why| {
            let error = format!("the file {} cannot be looked at: {why}", path.display());
            ProviderError::new(why.kind(), error)
                .hint(why.advice(&path, "Check that this user may look at the file."))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rustix::fs::{CWD, Mode};

    use super::*;

    #[test]
    fn a_stamp_changes_with_the_file_and_tells_absence_from_trouble() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let absent = Stamp::of(&path).unwrap();
        assert!(!absent.is_there());
        std::fs::write(&path, "one").unwrap();
        let present = Stamp::of(&path).unwrap();
        assert!(present.is_there() && present == Stamp::of(&path).unwrap());
        std::fs::write(&path, "other").unwrap();
        assert_ne!(Stamp::of(&path).unwrap(), present);
        assert_eq!(Stamp::of(&path.join("below")).unwrap(), absent);
        std::fs::remove_file(&path).unwrap();
        symlink(&path, &path).unwrap();
        Stamp::of(&path).unwrap_err();
    }

    #[test]
    fn a_pipe_stays_the_same_while_it_is_written_and_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        rustix::fs::mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let before = Stamp::of(&path).unwrap();
        let both = std::fs::File::options()
            .read(true)
            .write(true)
            .open(&path)
            .unwrap();
        io::Write::write_all(&mut &both, b"token").unwrap();
        assert_eq!(Stamp::of(&path).unwrap(), before);
        std::fs::remove_file(&path).unwrap();
        assert_ne!(Stamp::of(&path).unwrap(), before);
    }
}
