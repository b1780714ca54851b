//! One locket at a time in a project's directory.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::report::{self, Failure};
use crate::runtime;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(50);

/// Holds the directory for as long as the result lives; one that is not there, or whose file system is without locks, has
/// none.
///
/// # Errors
/// Another locket holds it for longer than `limit`.
pub(in super::super) fn lock(directory: &Path, limit: Duration) -> Result<Option<OwnedFd>, Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let Ok(held) = rustix::fs::open(directory, flags, Mode::empty()) else {
        return Ok(None);
    };
    let take = || rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive);
    let (shown, time) = (directory.display(), humantime::format_duration(limit));
    let waited = match take() {
        Err(Errno::WOULDBLOCK) => {
            report::tell(&format!(
                "another locket works on {shown}; it is waited for up to {time}\n"
            ));
            runtime::block_on(async {
                let again = async {
                    loop {
                        tokio::time::sleep(PAUSE).await;
                        match take() {
                            Err(Errno::WOULDBLOCK) => {}
                            taken => return taken,
                        }
                    }
                };
                tokio::time::timeout(limit, again).await
            })?
        }
        taken => Ok(taken),
    };
    match waited {
        Ok(taken) => Ok(taken.is_ok().then_some(held)),
        Err(_) => Err(Failure::work(format!(
            "another locket works on {shown}, and did not end within {time}"
        ))
        .help(format!(
            "Nothing was changed. Run this again when it has ended; `fuser {shown}` says which process it is."
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Style;

    #[test]
    fn a_directory_that_another_holds_is_waited_for_no_longer_than_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let held = lock(directory.path(), Duration::ZERO).unwrap();
        assert!(held.is_some());
        let refused = lock(directory.path(), Duration::from_millis(50)).unwrap_err();
        let told = refused.draw(Style::Plain);
        let shown = directory.path().display().to_string();
        assert!(
            told.contains("did not end within 50ms") && told.contains(&shown),
            "{told}"
        );
        let other = std::thread::scope(|scope| {
            let other =
                scope.spawn(|| lock(directory.path(), Duration::from_secs(60)).map(|held| held.is_some()));
            drop(held);
            other.join()
        });
        assert!(other.unwrap().unwrap());
        let none = lock(&directory.path().join("none"), Duration::ZERO).unwrap();
        assert!(none.is_none());
    }
}
