//! An audit log that is open for a whole process: agents write to it, and whoever hands secrets out himself.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::SecretBytes;

use super::audit::{AuditError, AuditLog, AuditTarget, Record};
use super::fingerprint::Fingerprints;

/// An open audit log. Copies write to the same one.
#[derive(Clone)]
pub struct Trail(Arc<Open>);

struct Open {
    log: AuditLog,
    fingerprints: Arc<Fingerprints>,
}

/// A secret that was asked for by another program, and what became of that.
#[derive(Clone, Copy, Debug)]
pub struct HandOut<'a> {
    /// What was asked for.
    pub reference: &'a str,
    /// The name under which the asker knows it.
    pub secret: &'a str,
    /// The service that it is for.
    pub service: &'a str,
    /// The task that it is for.
    pub task: &'a str,
    /// What became of it.
    pub outcome: Outcome<'a>,
}

/// What became of a request.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// It was handed out.
    Given(&'a SecretBytes),
    /// It may not be had.
    Refused(&'a str),
    /// It could not be had.
    Failed(&'a str),
}

impl Trail {
    /// Opens the log. The key of its fingerprints is kept in `state_dir`.
    ///
    /// # Errors
    /// The log or the key cannot be opened.
    pub fn open(target: &AuditTarget, state_dir: &Path) -> Result<Self, AuditError> {
        let fingerprints = Fingerprints::open(state_dir).map_err(AuditError::Key)?;
        let log = AuditLog::open(target)?;
        Ok(Self(Arc::new(Open {
            log,
            fingerprints: Arc::new(fingerprints),
        })))
    }

    /// Writes down what became of a request.
    pub fn handed_out(&self, time: SystemTime, told: &HandOut<'_>) {
        let (outcome, reason) = match told.outcome {
            Outcome::Given(_) => ("ok", None),
            Outcome::Refused(reason) => ("refused", Some(reason)),
            Outcome::Failed(reason) => ("failed", Some(reason)),
        };
        let record = Record {
            event: "hand-out",
            outcome,
            reference: Some(told.reference.to_owned()),
            target: Some(told.secret.to_owned()),
            service: Some(told.service),
            task: Some(told.task),
            reason,
            fingerprint: match told.outcome {
                Outcome::Given(value) => Some(self.0.fingerprints.of(value)),
                _ => None,
            },
            ..Record::at(time, 0)
        };
        self.0.log.write(&record, outcome != "ok");
    }

    /// Waits until everything is written that was to be written so far, for a bounded time.
    pub async fn flush(&self, patience: Duration) -> bool {
        self.0.log.flush(patience).await
    }

    pub(super) fn log(&self) -> &AuditLog {
        &self.0.log
    }

    /// The log for an agent that knows it as `target`.
    pub(crate) fn log_for_another(&self, target: &AuditTarget) -> AuditLog {
        self.0.log.shared().called(target)
    }

    pub(crate) fn fingerprints(&self) -> Arc<Fingerprints> {
        self.0.fingerprints.clone()
    }
}

impl PartialEq for Trail {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Trail {}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Trail").field(self.0.log.target()).finish()
    }
}
