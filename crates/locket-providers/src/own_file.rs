//! Reads the files that providers need for themselves: tokens, keys, certificates, profiles. A file system that stalls,
//! or a pipe that nobody writes to, holds up who asked for the file and nobody else; never read one on the loop.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use locket_core::{ErrorKind, FetchCx};
use locket_sys::landlock;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::http::Body;

/// Why a file was not read.
#[derive(Debug)]
pub(crate) enum Unread {
    /// The system refuses.
    Refused(io::Error),
    /// It holds more than any file of this use.
    TooLarge,
    /// The file system did not answer in time.
    Stalled,
    /// It is a pipe, and its writer did not write and close it in time.
    Unwritten,
}

/// The whole of the file at `path`. A pipe, as a shell makes for `<(…)`, is read to its end once, and what came of it is
/// kept: it gives nothing twice.
///
/// # Errors
/// See [`Unread`].
pub(crate) async fn read(path: &Path, cx: &FetchCx) -> Result<Body, Unread> {
    let limit = time_for_files(cx);
    let opening = {
        let path = path.to_owned();
        move || Opened::at(&path)
    };
    match off_loop(path, limit, opening).await?.map_err(Unread::Refused)? {
        Opened::Whole(body) => body.ok_or(Unread::TooLarge),
        Opened::Stream(stream, identity) => {
            let reading = once(path, identity, drain(stream));
            let read = tokio::time::timeout(time_for_files(cx), reading).await;
            read.unwrap_or(Err(Unread::Unwritten))
        }
    }
}

/// Which file it is: device, inode, and since when, since an inode is soon that of another file.
type Identity = (u64, u64, Option<SystemTime>);

/// What a pipe gave, or gives now if nobody has read it.
async fn once(
    path: &Path,
    identity: Identity,
    drain: impl Future<Output = io::Result<Option<Body>>>,
) -> Result<Body, Unread> {
    type Kept = Arc<tokio::sync::Mutex<Option<Body>>>;
    static PIPES: Mutex<BTreeMap<(PathBuf, Identity), Kept>> = Mutex::new(BTreeMap::new());
    let kept = {
        let mut pipes = PIPES.lock().unwrap_or_else(PoisonError::into_inner);
        pipes.entry((path.to_owned(), identity)).or_default().clone()
    };
    let mut kept = kept.lock().await;
    if let Some(body) = &*kept {
        return Ok(body.copy());
    }
    let body = drain.await.map_err(Unread::Refused)?.ok_or(Unread::TooLarge)?;
    // A writer that went away without a word may come back.
    if !body.bytes().is_empty() {
        *kept = Some(body.copy());
    }
    Ok(body)
}

/// The whole of the file at `path`, on this thread: for callers without a limit that it could take. A pipe is refused.
///
/// # Errors
/// See [`Unread`].
pub(crate) fn read_at_once(path: &Path) -> Result<Body, Unread> {
    match Opened::at(path).map_err(Unread::Refused)? {
        Opened::Whole(body) => body.ok_or(Unread::TooLarge),
        Opened::Stream(..) => {
            let error = io::Error::new(io::ErrorKind::Unsupported, "it is a pipe");
            Err(Unread::Refused(error))
        }
    }
}

/// What of the time that is left may go into files: the rest is for saying what was wrong.
pub(crate) fn time_for_files(cx: &FetchCx) -> Duration {
    cx.remaining() * 9 / 10
}

/// The most threads that are at one path. As many requests as are usually under way look at their files side by side.
const AT_ONCE: usize = 8;

/// Does `look`, which may block at `path`, on another thread. Where [`AT_ONCE`] of them stay, whoever comes later waits
/// for the end of one, so that a file which is asked for again and again does not take every thread.
///
/// # Errors
/// It took longer than `limit`.
pub(crate) async fn off_loop<T: Send + 'static>(
    path: &Path,
    limit: Duration,
    look: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Unread> {
    let turn = turn(path);
    let looking = async {
        let turn = turn.acquire_owned().await.ok()?;
        let looked = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            look()
        });
        looked.await.ok()
    };
    let looked = tokio::time::timeout(limit, looking).await;
    looked.ok().flatten().ok_or(Unread::Stalled)
}

/// Who may go to a path.
fn turn(path: &Path) -> Arc<Semaphore> {
    static TURNS: Mutex<BTreeMap<PathBuf, Weak<Semaphore>>> = Mutex::new(BTreeMap::new());
    let mut turns = TURNS.lock().unwrap_or_else(PoisonError::into_inner);
    turns.retain(|_, turn| turn.strong_count() > 0);
    match turns.get(path).and_then(Weak::upgrade) {
        Some(turn) => turn,
        None => {
            let turn = Arc::new(Semaphore::new(AT_ONCE));
            turns.insert(path.to_owned(), Arc::downgrade(&turn));
            turn
        }
    }
}

/// A file that was opened.
enum Opened {
    /// Its content; `None` where it is too large.
    Whole(Option<Body>),
    /// What has its content when somebody has written it: a pipe, or a terminal.
    Stream(OwnedFd, Identity),
}

impl Opened {
    fn at(path: &Path) -> io::Result<Self> {
        // A pipe without a writer is opened nevertheless.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file: File = rustix::fs::open(path, flags, Mode::empty())?.into();
        let found = file.metadata()?;
        if found.file_type().is_fifo() || rustix::termios::isatty(&file) {
            let identity = (found.dev(), found.ino(), found.created().ok());
            return Ok(Self::Stream(file.into(), identity));
        }
        whole(&file, found.len()).map(Self::Whole)
    }
}

fn whole(mut file: &File, size: u64) -> io::Result<Option<Body>> {
    let mut body = Body::with_capacity(Some(size));
    let mut chunk = Zeroizing::new([0; 4096]);
    loop {
        match file.read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(Some(body)),
            Ok(count) if body.extend(&chunk[..count]) => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Everything until the last writer is gone. As long as there was none, the system tells of nothing.
async fn drain(stream: OwnedFd) -> io::Result<Option<Body>> {
    let stream = Receiver::from_owned_fd_unchecked(stream)?;
    let mut body = Body::with_capacity(None);
    let mut chunk = Zeroizing::new([0; 4096]);
    loop {
        stream.readable().await?;
        match stream.try_read(chunk.as_mut_slice()) {
            Ok(0) => return Ok(Some(body)),
            Ok(count) if body.extend(&chunk[..count]) => {}
            Ok(_) => return Ok(None),
            // It only looked ready.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Unread {
    /// What it means to whoever needs the file.
    pub(crate) fn kind(&self) -> ErrorKind {
        match self {
            Self::Refused(error) if is_passing(error) => ErrorKind::Unavailable,
            Self::Refused(_) | Self::TooLarge => ErrorKind::Auth,
            Self::Stalled | Self::Unwritten => ErrorKind::Unavailable,
        }
    }

    /// What to do about the file at `path`; `otherwise`, unless this knows better.
    pub(crate) fn advice(&self, path: &Path, otherwise: &str) -> String {
        match self {
            Self::Refused(error)
                if error.kind() == io::ErrorKind::PermissionDenied && landlock::denies_reading(path) =>
            {
                landlock::ADVICE
            }
            Self::Refused(_) | Self::TooLarge => otherwise,
            Self::Stalled => {
                "Check the file system that it lies on: a server of files that is gone, for one."
            }
            Self::Unwritten => "Check the program at the other end: it has to write the whole and to end.",
        }
        .to_owned()
    }
}

/// Whether a file system is in trouble, rather than that it has no such file for us.
fn is_passing(error: &io::Error) -> bool {
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::IO | Errno::STALE | Errno::TIMEDOUT | Errno::AGAIN)
    )
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(error) => error.fmt(f),
            Self::TooLarge => write!(f, "it has more than {} MiB", Body::LIMIT >> 20),
            Self::Stalled => f.write_str("the file system gave no answer in time"),
            Self::Unwritten => f.write_str("it is a pipe, and was not written to its end in time"),
        }
    }
}

#[cfg(test)]
#[path = "own_file_tests.rs"]
mod tests;
