//! What a rotation leaves for whoever comes after a kill: how far it came, and both values, beside the secret itself.
//! All of it is gone when the rotation has ended, one way or the other.

use std::path::{Path, PathBuf};

use locket_core::SecretBytes;
use serde::{Deserialize, Serialize};

use super::super::project::SecretFiles;
use crate::report::Failure;

/// How far a rotation came. Each step may be repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Step {
    /// Both values are kept; nothing is changed.
    Prepared,
    /// The value inside may be either.
    Inside,
    /// The files may hold either.
    Files,
    /// Dependents may use either.
    Dependents,
}

/// The record of one rotation.
#[derive(Debug)]
pub(super) struct Journal {
    record: PathBuf,
    old: PathBuf,
    new: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Record {
    step: Step,
}

impl Journal {
    /// That of the secret whose file is `path`.
    pub(super) fn of(path: &Path) -> Self {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let beside = |what: &str| path.with_file_name(format!(".{name}.{what}"));
        Self {
            record: beside("rotation"),
            old: beside("old"),
            new: beside("new"),
        }
    }

    /// How far an earlier rotation came that did not end.
    ///
    /// # Errors
    /// The record cannot be read.
    pub(super) fn unfinished(&self) -> Result<Option<Step>, Failure> {
        let broken = |why: String| {
            Failure::work(format!("the record {} cannot be read: {why}", self.record.display()))
                .help("Both values of the interrupted rotation stand beside it; put one in force everywhere, then remove all three files.")
        };
        match std::fs::read(&self.record) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(broken(error.to_string())),
            Ok(bytes) => serde_json::from_slice::<Record>(&bytes)
                .map(|record| Some(record.step))
                .map_err(|error| broken(error.to_string())),
        }
    }

    /// Begins: both values are kept before anything changes.
    ///
    /// # Errors
    /// They cannot be.
    pub(super) fn begin(&self, old: &SecretBytes, new: &SecretBytes) -> Result<(), Failure> {
        SecretFiles::keep(&self.old, old)?;
        SecretFiles::keep(&self.new, new)?;
        self.reach(Step::Prepared)
    }

    /// Says what is about to be done.
    ///
    /// # Errors
    /// It cannot be written, so it must not be done.
    pub(super) fn reach(&self, step: Step) -> Result<(), Failure> {
        let text = serde_json::to_vec(&Record { step }).unwrap_or_default();
        SecretFiles::keep(&self.record, &SecretBytes::new(text))
    }

    /// Both values, the old one first.
    ///
    /// # Errors
    /// One of them is not there.
    pub(super) fn values(&self) -> Result<(SecretBytes, SecretBytes), Failure> {
        let read = |path: &Path| {
            std::fs::read(path)
                .map(SecretBytes::new)
                .map_err(|error| Failure::work(format!("{} cannot be read: {error}", path.display())))
        };
        Ok((read(&self.old)?, read(&self.new)?))
    }

    /// Ends: nothing of it stays. The record goes last, so that what is left is never values that nobody knows of.
    ///
    /// # Errors
    /// Something stays.
    pub(super) fn end(&self) -> Result<(), Failure> {
        for path in [&self.old, &self.new, &self.record] {
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Failure::work(format!(
                        "{} cannot be removed: {error}",
                        path.display()
                    )));
                }
                _ => {}
            }
        }
        Ok(())
    }
}
