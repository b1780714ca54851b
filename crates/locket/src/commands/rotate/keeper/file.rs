//! A secret file, with those that are made of it.

use std::path::{Path, PathBuf};

use locket_core::{Clock, SecretBytes};

use super::super::super::files::unreadable;
use super::super::super::project::{SecretFiles, render};
use super::super::journal::{Files, Shelf};
use super::Keeper;
use crate::report::Failure;

/// A secret file of a project.
pub(in super::super) struct File<'a> {
    /// Where it is.
    path: &'a Path,
    /// Secrets that are made of it, with their files.
    derived: &'a [(String, PathBuf)],
    /// The project's directory.
    directory: &'a Path,
    clock: &'a dyn Clock,
    shelf: Files,
}

impl<'a> File<'a> {
    /// The file at `path`; `derived` are the secrets that are made of it.
    pub(in super::super) fn new(
        path: &'a Path,
        derived: &'a [(String, PathBuf)],
        directory: &'a Path,
        clock: &'a dyn Clock,
    ) -> Self {
        Self {
            shelf: Files::beside(path),
            path,
            derived,
            directory,
            clock,
        }
    }
}

impl Keeper for File<'_> {
    fn value(&self) -> Result<SecretBytes, Failure> {
        std::fs::read(self.path)
            .map(SecretBytes::new)
            .map_err(|error| unreadable(self.path, &error))
    }

    fn keep(&self, value: &SecretBytes) -> Result<(), Failure> {
        SecretFiles::rewrite(self.path, value)?;
        let files = SecretFiles::of(self.directory);
        for (name, path) in self.derived {
            let text = std::fs::read(files.template(name))
                .map_err(|error| Failure::work(format!("the template of {name} cannot be read: {error}")))?;
            let content = |path: &Path| -> Result<Option<SecretBytes>, Failure> {
                Ok(std::fs::read(path).ok().map(SecretBytes::new))
            };
            let rendered = render(name, &text, self.directory, self.clock.wall(), &content)?;
            SecretFiles::rewrite(path, &rendered)?;
        }
        Ok(())
    }

    fn shelf(&self) -> &dyn Shelf {
        &self.shelf
    }

    fn rehearse(&self) -> Result<Vec<String>, Failure> {
        let derived = self.derived.iter().map(|(_, path)| path.as_path());
        let paths = std::iter::once(self.path).chain(derived);
        Ok(paths
            .map(|path| format!("would write {}", path.display()))
            .collect())
    }
}
