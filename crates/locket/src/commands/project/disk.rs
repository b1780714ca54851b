//! Texts of a project: read for the model, and written through the one writer.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use locket_compose::{Files, Unreadable};
use locket_core::SecretBytes;
use locket_core::plan::Access;
use locket_engine::sink::Sink;
use locket_engine::sources::Target;

use crate::report::Failure;

/// The disk, with texts that are about to be written already in their places.
#[derive(Debug, Default)]
pub(in super::super) struct Disk {
    /// Texts that are taken for the content of files.
    pub(in super::super) drafts: BTreeMap<PathBuf, String>,
}

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        if let Some(draft) = self.drafts.get(path) {
            return Ok(draft.clone());
        }
        std::fs::read_to_string(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unreadable::Missing,
            _ => Unreadable::Refused(error.to_string()),
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.drafts.contains_key(path) || path.exists()
    }
}

/// The text at `path`; `None` when nothing is there.
///
/// # Errors
/// It cannot be read.
pub(in super::super) fn read_text(path: &Path) -> Result<Option<String>, Failure> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Puts `text` at `path`, with the mode that is there already.
///
/// # Errors
/// It cannot be written; what was there is there still.
pub(in super::super) fn write_text(path: &Path, text: &str) -> Result<(), Failure> {
    let mode = std::fs::metadata(path).map_or(0o644, |there| there.mode() & 0o7777);
    let access = Access {
        file_mode: mode,
        dir_mode: 0o755,
        owner: None,
    };
    write(path, &SecretBytes::copy_from(text.as_bytes()), &access)
}

/// Puts `bytes` at `path` in one step.
///
/// # Errors
/// They cannot be written; what was there is there still.
pub(super) fn write(path: &Path, bytes: &SecretBytes, access: &Access) -> Result<(), Failure> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Failure::usage(format!("{} is no file", path.display())));
    };
    let target = Target {
        root: parent.into(),
        relative: Path::new(name).into(),
    };
    let mut sink = Sink::new();
    let written = sink.apply(&target, bytes, access);
    let late = sink.finish().into_iter().next();
    match (written, late) {
        (Ok(_), None) => Ok(()),
        (Err(error), _) | (_, Some(error)) => Err(Failure::work(error.to_string()).help(error.hint())),
    }
}

pub(super) fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::work(format!("{} cannot be read: {error}", path.display()))
}
