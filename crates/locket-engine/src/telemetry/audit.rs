//! One JSON line for each read, write and notification. `docs/audit-log.md` is the format's page.
//!
//! Lines are written by a thread of their own, so that a slow disk holds up no secret. A log that cannot be written
//! ends no run, and is told until it can be again.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use locket_core::words::counted;
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::destination::Destination;
use super::trail::Trail;
use crate::tasks;

/// Where the audit log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditTarget {
    /// A file, which is appended to.
    File(PathBuf),
    /// The journal behind this socket, usually [`JOURNAL_SOCKET`](super::JOURNAL_SOCKET).
    Journal(PathBuf),
    /// A log that is open, and that others write to as well.
    Shared(Trail),
}

/// Why there is no audit log.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The destination cannot be opened.
    #[error("the audit log {} cannot be opened: {}", .0.path().display(), .1)]
    Open(AuditTarget, #[source] io::Error),
    /// There is no place for the key of the fingerprints.
    #[error("the key of the audit log cannot be kept in the state directory: {0}")]
    Key(#[source] io::Error),
}

/// One line: only what applies to its event is given. No value is ever in one.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Record<'a> {
    pub(crate) time: String,
    pub(crate) pid: u32,
    /// The number of the round in the life of the process.
    pub(crate) generation: u64,
    pub(crate) event: &'static str,
    pub(crate) outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reference: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) target: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) action: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) task: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<&'a str>,
}

/// A line as it is written.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) json: String,
    pub(super) event: &'static str,
    pub(super) outcome: String,
    pub(super) is_failure: bool,
}

/// An open audit log.
#[derive(Debug)]
pub(crate) struct AuditLog {
    target: AuditTarget,
    lines: SyncSender<Line>,
    health: Arc<Mutex<Health>>,
    changed: Arc<Notify>,
    /// Lines that are neither written nor lost yet.
    pending: Arc<AtomicUsize>,
    /// Whoever opened the log waits for its last line.
    writer: Option<JoinHandle<()>>,
}

/// How the log is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Health {
    /// Why the last line could not be written.
    pub(crate) failure: Option<String>,
    /// Lines that are lost for good.
    pub(crate) lost: u64,
}

/// Lines that wait for a destination that cannot be written at present.
const MOST_WAITING: usize = 10_000;

/// How often it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

impl AuditTarget {
    /// The file or socket.
    pub fn path(&self) -> &PathBuf {
        match self {
            Self::File(path) | Self::Journal(path) => path,
            Self::Shared(trail) => trail.log().target().path(),
        }
    }
}

impl Record<'_> {
    /// What is the same in the lines of one moment.
    pub(crate) fn at(time: SystemTime, generation: u64) -> Self {
        Self {
            time: humantime::format_rfc3339_millis(time).to_string(),
            pid: std::process::id(),
            generation,
            ..Self::default()
        }
    }
}

/// An audit log that is open, and has no thread yet that writes it.
#[derive(Debug)]
pub(crate) struct OpenedLog {
    target: AuditTarget,
    destination: Destination,
}

impl OpenedLog {
    /// Opens the log, so that whatever is wrong is found before anything is read.
    pub(crate) fn open(target: &AuditTarget) -> Result<Self, AuditError> {
        let opened = Destination::open(target).map(|destination| Self {
            target: target.clone(),
            destination,
        });
        opened.map_err(|error| AuditError::Open(target.clone(), error))
    }
}

impl AuditLog {
    /// Opens the log and begins to write it.
    pub(crate) fn open(target: &AuditTarget) -> Result<Self, AuditError> {
        OpenedLog::open(target).map(Self::start)
    }

    /// Begins to write a log, on a thread of its own.
    pub(crate) fn start(opened: OpenedLog) -> Self {
        let OpenedLog { target, destination } = opened;
        let (lines, received) = sync_channel(MOST_WAITING);
        let health = Arc::new(Mutex::new(Health::default()));
        let changed = Arc::new(Notify::new());
        let pending = Arc::new(AtomicUsize::new(0));
        let (of_writer, tell, left) = (health.clone(), changed.clone(), pending.clone());
        let writer = tasks::blocking(move || write_all(destination, &received, &of_writer, &tell, &left));
        Self {
            target,
            lines,
            health,
            changed,
            pending,
            writer: Some(writer),
        }
    }

    /// The same log for another who writes to it.
    pub(super) fn shared(&self) -> Self {
        Self {
            target: self.target.clone(),
            lines: self.lines.clone(),
            health: self.health.clone(),
            changed: self.changed.clone(),
            pending: self.pending.clone(),
            writer: None,
        }
    }

    /// The same log under another name for where it goes.
    pub(super) fn called(self, target: &AuditTarget) -> Self {
        Self {
            target: target.clone(),
            ..self
        }
    }

    /// Where it goes.
    pub(crate) fn target(&self) -> &AuditTarget {
        &self.target
    }

    /// Writes a line down, without waiting for it.
    pub(crate) fn write(&self, record: &Record<'_>, is_failure: bool) {
        let Ok(json) = serde_json::to_string(record) else {
            return;
        };
        let line = Line {
            json,
            event: record.event,
            outcome: record.outcome.to_owned(),
            is_failure,
        };
        self.pending.fetch_add(1, Ordering::SeqCst);
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.lines.try_send(line) {
            self.pending.fetch_sub(1, Ordering::SeqCst);
            lock(&self.health).lost += 1;
        }
    }

    /// How the log is.
    pub(crate) fn health(&self) -> Health {
        lock(&self.health).clone()
    }

    /// Waits until the log begins or ceases to fail.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits until everything is written that was to be written so far, for a bounded time. Others may go on.
    pub(super) async fn flush(&self, patience: Duration) -> bool {
        const LOOK: Duration = Duration::from_millis(5);
        let written = async {
            while self.pending.load(Ordering::SeqCst) > 0 {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(patience, written).await.is_ok()
    }

    /// Waits until everything is written, for a bounded time.
    ///
    /// # Errors
    /// Lines are left, in a sentence: a destination that fails is tried once more and no longer.
    pub(crate) async fn finish(self, patience: Duration) -> Result<(), String> {
        drop(self.lines);
        let Some(writer) = self.writer else {
            return Ok(());
        };
        let _ = tokio::time::timeout(patience, writer).await;
        match self.pending.load(Ordering::SeqCst) {
            0 => Ok(()),
            left => Err(format!(
                "{} of the audit log could not be written: {}",
                counted(left, "line"),
                lock(&self.health)
                    .failure
                    .as_deref()
                    .unwrap_or("there was no time left")
            )),
        }
    }
}

fn write_all(
    mut destination: Destination,
    lines: &Receiver<Line>,
    health: &Mutex<Health>,
    changed: &Notify,
    pending: &AtomicUsize,
) {
    let set = |failure: Option<String>| {
        let mut health = lock(health);
        if health.failure.is_some() != failure.is_some() {
            changed.notify_one();
        }
        health.failure = failure;
    };
    let mut waiting: VecDeque<Line> = VecDeque::new();
    loop {
        let next = match waiting.is_empty() {
            true => lines.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => lines.recv_timeout(AGAIN),
        };
        let is_over = matches!(next, Err(RecvTimeoutError::Disconnected));
        waiting.extend(next);
        while let Some(line) = waiting.front() {
            match destination.write(line) {
                Ok(()) => {
                    waiting.pop_front();
                    pending.fetch_sub(1, Ordering::SeqCst);
                    set(None);
                }
                Err(error) => {
                    set(Some(error.to_string()));
                    break;
                }
            }
        }
        if waiting.len() > MOST_WAITING {
            waiting.pop_front();
            pending.fetch_sub(1, Ordering::SeqCst);
            lock(health).lost += 1;
        }
        if is_over {
            return;
        }
    }
}

fn lock(health: &Mutex<Health>) -> std::sync::MutexGuard<'_, Health> {
    health.lock().unwrap_or_else(PoisonError::into_inner)
}
