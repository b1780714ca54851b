//! Texts of a project, as the model reads them.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use locket_compose::{Files, Unreadable};

use super::super::files::text_of;

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
        text_of(path).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unreadable::Missing,
            _ => Unreadable::Refused(error.to_string()),
        })
    }

    fn exists(&self, path: &Path) -> bool {
        self.drafts.contains_key(path) || path.exists()
    }
}
