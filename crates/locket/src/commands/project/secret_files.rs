//! The directory `secrets` of a project. A file in it is made once; only `rotate` ever gives it another content.

use std::collections::BTreeSet;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use locket_compose::init::DIRECTORY;
use locket_core::plan::{Access, Owner};
use locket_core::{Environment, SecretBytes};
use rustix::fs::{Mode, OFlags};

use super::super::files::{self, unreadable};
use crate::report::Failure;

/// The directory is its owner's alone: in it, a mode that lets a container read lets nobody else on the machine.
const DIRECTORY_MODE: u32 = 0o700;

/// The secret files of one project.
#[derive(Clone, Debug)]
pub(in super::super) struct SecretFiles {
    directory: PathBuf,
}

/// What became of a secret file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Made {
    /// It was not there.
    New,
    /// Its reader could not read it.
    Opened,
    /// It was as it should be.
    Kept,
}

impl SecretFiles {
    /// Those of the project in `directory`.
    pub(in super::super) fn of(directory: &Path) -> Self {
        Self {
            directory: directory.join(DIRECTORY),
        }
    }

    /// The file of the secret `name`.
    pub(in super::super) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.txt"))
    }

    /// The template that the secret `name` is made of, where it is made of others.
    pub(in super::super) fn template(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.tmpl"))
    }

    /// The directory itself.
    pub(in super::super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The mode of the directory that [`SecretFiles::make_directory`] would change; `None` where it would not, or where
    /// the directory is still to be made.
    ///
    /// # Errors
    /// It cannot be the directory: it is a link, or something else. Whoever wrote the project would choose with a link
    /// which directory gets another mode and files.
    pub(in super::super) fn open_mode(&self) -> Result<Option<u32>, Failure> {
        let shown = self.directory.display();
        let there = match std::fs::symlink_metadata(&self.directory) {
            Ok(there) => there,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(unreadable(&self.directory, &error)),
        };
        if there.is_symlink() {
            let target = std::fs::read_link(&self.directory).unwrap_or_default();
            return Err(Failure::work(format!(
                "{shown} is a link to {}, and secrets are put behind no link",
                target.display()
            ))
            .help(
                "Remove the link, or put a directory in its place, then run this again. Nothing was changed.",
            ));
        }
        if !there.is_dir() {
            return Err(Failure::work(format!("{shown} is no directory"))
                .help("Move it away, then run this again. Nothing was changed."));
        }
        let mode = there.mode() & 0o7777;
        Ok((mode != DIRECTORY_MODE).then_some(mode))
    }

    /// Makes the directory, and makes it its owner's alone. Says whether anything had to be done.
    ///
    /// # Errors
    /// It cannot be made, or as for [`SecretFiles::open_mode`].
    pub(in super::super) fn make_directory(&self) -> Result<bool, Failure> {
        let failed = |error: std::io::Error| {
            Failure::work(format!("{} cannot be made: {error}", self.directory.display()))
        };
        self.open_mode()?;
        let is_new = match rustix::fs::mkdir(&self.directory, Mode::from_raw_mode(DIRECTORY_MODE)) {
            Ok(()) => true,
            Err(rustix::io::Errno::EXIST) => false,
            Err(error) => return Err(failed(error.into())),
        };
        // What is changed is what was looked at, whatever is put in its place meanwhile.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let held =
            rustix::fs::open(&self.directory, flags, Mode::empty()).map_err(|error| failed(error.into()))?;
        let there = rustix::fs::fstat(&held).map_err(|error| failed(error.into()))?;
        if there.st_mode & 0o7777 == DIRECTORY_MODE {
            return Ok(is_new);
        }
        rustix::fs::fchmod(&held, Mode::from_raw_mode(DIRECTORY_MODE))
            .map_err(|error| failed(error.into()))?;
        Ok(true)
    }

    /// The content of the secret `name`; `None` when it has no file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(in super::super) fn read(&self, name: &str) -> Result<Option<SecretBytes>, Failure> {
        let path = self.path(name);
        match std::fs::read(&path) {
            Ok(bytes) => Ok(Some(SecretBytes::new(bytes))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unreadable(&path, &error)),
        }
    }

    /// Makes the file of the secret `name` unless it is there; a file that some of `readers` cannot read is opened to
    /// them, its content as it was.
    ///
    /// # Errors
    /// It cannot be written.
    pub(in super::super) fn make(
        &self,
        name: &str,
        value: impl FnOnce() -> Result<SecretBytes, Failure>,
        readers: &BTreeSet<u32>,
        owner_only: bool,
    ) -> Result<Made, Failure> {
        let path = self.path(name);
        let access = access(readers, owner_only);
        match std::fs::symlink_metadata(&path) {
            Ok(there) if readers.iter().all(|reader| can_read(&there, *reader)) => Ok(Made::Kept),
            Ok(_) => match self.read(name)? {
                Some(present) => files::write(&path, &present, &access).map(|()| Made::Opened),
                None => Ok(Made::Kept),
            },
            Err(_) => files::write(&path, &value()?, &access).map(|()| Made::New),
        }
    }

    /// Keeps a value of the rotation that is under way at `path`, for its owner alone.
    ///
    /// # Errors
    /// It cannot be written.
    pub(in super::super) fn keep(path: &Path, value: &SecretBytes) -> Result<(), Failure> {
        files::write(path, value, &access(&BTreeSet::new(), true))
    }

    /// Gives the file at `path` another content, in place: a running container has the file itself mounted, and would
    /// never see another one put over it. Whoever calls this keeps both values elsewhere until it is done.
    ///
    /// # Errors
    /// It cannot be written; the content may be a part of each.
    pub(in super::super) fn rewrite(path: &Path, value: &SecretBytes) -> Result<(), Failure> {
        let failed = |error: rustix::io::Errno| {
            Failure::work(format!(
                "{} cannot be written: {}",
                path.display(),
                std::io::Error::from(error)
            ))
        };
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
        #[expect(clippy::disallowed_methods, reason = "the value goes into its file")]
        let bytes = value.expose();
        let mut written = 0;
        while written < bytes.len() {
            match rustix::io::pwrite(&file, &bytes[written..], written as u64) {
                Ok(0) => return Err(failed(rustix::io::Errno::IO)),
                Ok(more) => written += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        rustix::fs::ftruncate(&file, bytes.len() as u64).map_err(failed)?;
        rustix::fs::fsync(&file).map_err(failed)
    }
}

/// The directory of the user's own where `what` is kept: values among it, out of reach of any repository. `None` for a
/// user without a home.
pub(in super::super) fn kept_apart(environment: &Environment, what: &str) -> Option<PathBuf> {
    let state = environment
        .get("XDG_STATE_HOME")
        .filter(|path| path.starts_with('/'));
    let home = environment.get("HOME").filter(|path| !path.is_empty());
    let state = state.map(PathBuf::from);
    let state = state.or_else(|| Some(Path::new(home?).join(".local/state")));
    Some(state?.join("locket").join(what))
}

/// Mode and owner with which every reader can read: the reader's own file where root makes it for one, else a file that
/// the directory hides from everybody else.
fn access(readers: &BTreeSet<u32>, owner_only: bool) -> Access {
    let us = rustix::process::geteuid().as_raw();
    let mut readers = readers.iter().copied();
    let (file_mode, owner) = match (readers.next(), readers.next()) {
        (None, _) => (0o600, None),
        (Some(reader), None) if reader == us => (0o600, None),
        (Some(reader), None) if us == 0 => (
            0o600,
            Some(Owner {
                uid: reader,
                gid: None,
            }),
        ),
        _ if owner_only => (0o600, None),
        _ => (0o644, None),
    };
    Access {
        file_mode,
        dir_mode: DIRECTORY_MODE,
        owner,
    }
}

fn can_read(file: &Metadata, reader: u32) -> bool {
    match file.uid() == reader {
        true => file.mode() & 0o400 != 0,
        false => file.mode() & 0o004 != 0,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_made_once_and_opened_to_new_readers_only() {
        let directory = tempfile::tempdir().unwrap();
        let files = SecretFiles::of(directory.path());
        assert!(files.make_directory().unwrap() && !files.make_directory().unwrap());
        let make = |text: &'static str, readers: &[u32]| {
            let value = || Ok(SecretBytes::copy_from(text.as_bytes()));
            files
                .make("a", value, &readers.iter().copied().collect(), false)
                .unwrap()
        };
        assert_eq!(make("first", &[]), Made::New);
        assert_eq!(make("second", &[]), Made::Kept);
        assert!(files.read("a").unwrap().unwrap().matches(b"first"));
        let mode = || std::fs::metadata(files.path("a")).unwrap().mode() & 0o7777;
        assert_eq!(mode(), 0o600);
        assert_eq!(make("third", &[4242, 4243]), Made::Opened);
        assert_eq!(mode(), 0o644, "two readers, hidden by the directory");
        assert!(files.read("a").unwrap().unwrap().matches(b"first"));
        assert_eq!(make("fourth", &[4242, 4243]), Made::Kept);
    }

    #[test]
    fn a_link_is_not_the_directory_and_nothing_changes_behind_it() {
        let directory = tempfile::tempdir().unwrap();
        let (project, victim) = (directory.path().join("project"), directory.path().join("victim"));
        for path in [&project, &victim] {
            std::fs::create_dir(path).unwrap();
        }
        std::fs::set_permissions(&victim, std::fs::Permissions::from_mode(0o755)).unwrap();
        let files = SecretFiles::of(&project);
        for target in ["../victim", "../none"] {
            symlink(target, project.join("secrets")).unwrap();
            for refused in [files.open_mode().map(|_| ()), files.make_directory().map(|_| ())] {
                let told = refused.unwrap_err().draw(crate::context::Style::Plain);
                assert!(told.contains(&format!("is a link to {target}")), "{told}");
            }
            std::fs::remove_file(project.join("secrets")).unwrap();
        }
        assert_eq!(std::fs::metadata(&victim).unwrap().mode() & 0o7777, 0o755);
        assert!(!directory.path().join("none").exists());
        std::fs::create_dir(project.join("secrets")).unwrap();
        std::fs::set_permissions(project.join("secrets"), std::fs::Permissions::from_mode(0o750)).unwrap();
        assert_eq!(files.open_mode().unwrap(), Some(0o750));
        assert!(files.make_directory().unwrap());
        assert_eq!(files.open_mode().unwrap(), None);
    }
}
