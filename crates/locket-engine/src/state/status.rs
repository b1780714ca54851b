//! The status file: written by the agent in place, so that the lock it holds on the file stays.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use serde::{Deserialize, Serialize};

/// How an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The first round is not over.
    Starting,
    /// Every secret is in place and was confirmed by the last round.
    Ready,
    /// Every secret is in place; some could not be confirmed since.
    Stale,
    /// Some secret is not in place.
    Failed,
    /// A single round was asked for and everything is in place.
    Done,
}

/// What the status file says. Times are seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// How the agent is.
    pub state: State,
    /// The process that wrote this.
    pub pid: u32,
    /// When it started.
    pub started: u64,
    /// When the last round ended in which everything was confirmed.
    pub last_success: Option<u64>,
    /// How many outputs there are.
    pub outputs: usize,
    /// What is wrong, by output.
    pub failing: Vec<Failing>,
}

/// One output that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Failing {
    /// The output.
    pub target: PathBuf,
    /// The reference that has no value, where one is to blame.
    pub reference: Option<String>,
    /// What happened, without any value.
    pub reason: String,
    /// When the output was last confirmed; `None` when it is not in place.
    pub last_success: Option<u64>,
}

/// An open status file. While it is open, and no longer, readers know that the agent lives.
#[derive(Debug)]
pub struct StatusFile {
    file: File,
    path: PathBuf,
    written: Option<Status>,
    /// Whether it was told that the file is gone and cannot be made again.
    is_lost: bool,
}

/// How often the lock is asked for before another agent is taken to hold it: a health check holds it for an instant, and
/// so does a program between its fork and its start.
const LOCK_TRIES: u32 = 20;

/// How long is waited between two tries.
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Why there is no status file.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Another agent holds it.
    #[error("another agent is using the status file {}", .0.display())]
    Taken(PathBuf),
    /// It cannot be made or opened.
    #[error("the status file {} cannot be opened: {}", .0.display(), .1)]
    Open(PathBuf, #[source] io::Error),
}

impl StatusFile {
    /// Opens and locks the file at `path`, making it and its directory if need be.
    ///
    /// # Errors
    /// Another agent holds it, or the system refuses.
    pub fn open(path: &Path) -> Result<Self, StatusError> {
        Self::try_open(path, LOCK_TRIES)
    }

    fn try_open(path: &Path, mut tries: u32) -> Result<Self, StatusError> {
        let failed = |error| StatusError::Open(path.to_owned(), error);
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(failed)?;
        loop {
            tries -= 1;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {
                    return Ok(Self {
                        file,
                        path: path.to_owned(),
                        written: None,
                        is_lost: false,
                    });
                }
                Err(rustix::io::Errno::WOULDBLOCK) if tries > 0 => thread::sleep(LOCK_PAUSE),
                Err(rustix::io::Errno::WOULDBLOCK) => return Err(StatusError::Taken(path.to_owned())),
                Err(error) => return Err(failed(error.into())),
            }
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes `status` if it says something new, or if somebody took away what it said before.
    pub fn write(&mut self, status: &Status) {
        if !self.is_in_place() {
            self.make_again();
        }
        if self.written.as_ref() == Some(status) {
            return;
        }
        let result = serde_json::to_vec(status)
            .map_err(io::Error::from)
            .and_then(|mut line| {
                line.push(b'\n');
                self.file.write_all_at(&line, 0)?;
                self.file.set_len(line.len() as u64)
            });
        match result {
            Ok(()) => self.written = Some(status.clone()),
            Err(error) => tracing::warn!(
                "the status file {} cannot be written: {error}",
                self.path.display()
            ),
        }
    }

    /// Whether readers find the file that is written and locked.
    fn is_in_place(&self) -> bool {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        let found = fs::symlink_metadata(&self.path).map(identity);
        let own = self.file.metadata().map(identity);
        matches!((found, own), (Ok(found), Ok(own)) if found == own)
    }

    fn make_again(&mut self) {
        // Whoever has the next file locked is no health check of this one, and is not waited for.
        match Self::try_open(&self.path, 1) {
            Ok(file) => *self = file,
            Err(error) if !self.is_lost => {
                self.is_lost = true;
                tracing::warn!(
                    "the status file was taken away: {error}. Nobody sees how the agent is until it can be made again                      or the agent is restarted."
                );
            }
            Err(_) => {}
        }
    }
}
