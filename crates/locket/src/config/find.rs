//! Which configuration files count, and whether the one that merely lies there may be trusted.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::ArgMatches;
use locket_core::lists;

use super::file::ConfigFile;
use crate::context::Context;
use crate::options::{Layers, Notice, table};
use crate::report::Problem;

/// The file of the caller's directory.
const LOCAL: &str = "locket.toml";

/// The file of the machine.
const SYSTEM: &str = "/etc/locket/locket.toml";

/// The configuration files of a command.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The files, the strongest last.
    pub(crate) files: Vec<ConfigFile>,
    /// What is wrong with them: one that was named is missing or cannot be read, or has mistakes.
    pub(crate) problems: Vec<Problem>,
    /// What should be known about them.
    pub(crate) notices: Vec<Notice>,
}

/// Finds and reads the configuration files of a command.
pub(crate) fn load(matches: &ArgMatches, context: &Context) -> Found {
    let mut layers = Layers::new(matches, context, &[]);
    let named = named(&mut layers);
    let mut found = Found {
        problems: layers.problems,
        notices: layers.notices,
        ..Found::default()
    };
    if named.is_empty()
        && found.problems.is_empty()
        && let Some((path, file)) = find(&context.directory, Path::new(SYSTEM), &mut found.notices)
    {
        found.read(&path, Ok(file), context);
    }
    for path in named {
        found.read(&path, File::open(&path), context);
    }
    found
}

/// Where the configuration files of a command are, and where one would count that is not there yet.
pub(crate) fn places(matches: &ArgMatches, context: &Context) -> Vec<PathBuf> {
    let named = named(&mut Layers::new(matches, context, &[]));
    if named.is_empty() {
        let candidates = [context.directory.join(LOCAL), PathBuf::from(SYSTEM)];
        candidates.into_iter().filter(|path| path.exists()).collect()
    } else {
        named
    }
}

/// The files that the caller names, in the order given.
fn named(layers: &mut Layers<'_>) -> Vec<PathBuf> {
    let flags = layers.flags(&table::CONFIG);
    if !flags.is_empty() {
        let filled = flags.into_iter().filter_map(|given| layers.filled(given));
        return filled.map(|given| given.path()).collect();
    }
    let Some(given) = layers.variable(table::CONFIG.variables) else {
        return Vec::new();
    };
    match lists::split(&given.text) {
        Ok(entries) => entries
            .iter()
            .map(|entry| given.base.join(entry.text()))
            .collect(),
        Err(found) => {
            layers.problems.extend(given.wrong(found));
            Vec::new()
        }
    }
}

/// The file that counts when none is named, opened. One that is there and cannot be used is told of.
fn find(directory: &Path, system: &Path, notices: &mut Vec<Notice>) -> Option<(PathBuf, File)> {
    let local = directory.join(LOCAL);
    let mut ignored = |path: &Path, reason: &str, advice: &str| {
        let shown = path.display();
        notices.push(Notice::Warning(format!("{shown} is ignored: {reason}; {advice}")));
    };
    match open_trusted(&local) {
        Ok(Some(file)) => return Some((local, file)),
        Ok(None) => {}
        Err(reason) => ignored(&local, &reason, "name it with `--config` to use it all the same"),
    }
    // Whoever may write to the machine's directory may do anything on it.
    match open(system) {
        Ok(found) => found.map(|opened| (system.to_owned(), opened.file)),
        Err(reason) => {
            let advice = "let this user read it, or name another one with `--config`";
            ignored(system, &reason, advice);
            None
        }
    }
}

/// A configuration file, and what it is.
struct Opened {
    file: File,
    metadata: Metadata,
    /// Of the link, if it is one.
    link: Metadata,
}

/// Opens a file that merely lies there. A configuration can run programs, so it counts only if nobody but the
/// caller and root can have put it there. The opened file is looked at, so that it cannot be swapped in between.
///
/// # Errors
/// Why it is not trusted.
fn open_trusted(path: &Path) -> Result<Option<File>, String> {
    let Some(Opened { file, metadata, link }) = open(path)? else {
        return Ok(None);
    };
    let us = rustix::process::geteuid().as_raw();
    for owner in [link.uid(), metadata.uid()] {
        if owner != us && owner != 0 {
            return Err(format!("it belongs to another user ({owner})"));
        }
    }
    if metadata.mode() & 0o022 != 0 {
        return Err(format!(
            "others may write to it (mode {:04o})",
            metadata.mode() & 0o7777
        ));
    }
    Ok(Some(file))
}

/// Opens a file, if there is one.
///
/// # Errors
/// What is there cannot be read: also a link to nothing, and a directory that does not let us look.
fn open(path: &Path) -> Result<Option<Opened>, String> {
    let told = |error: std::io::Error| error.to_string();
    let link = match fs::symlink_metadata(path) {
        Ok(link) => link,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(told(error)),
    };
    // A pipe would keep us waiting for a writer.
    let no_wait = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(no_wait)
        .open(path)
        .map_err(told)?;
    let metadata = file.metadata().map_err(told)?;
    match metadata.is_file() {
        true => Ok(Some(Opened { file, metadata, link })),
        false => Err("it is not a regular file".to_owned()),
    }
}

impl Found {
    fn read(&mut self, path: &Path, opened: std::io::Result<File>, context: &Context) {
        let base: Arc<Path> = path.parent().unwrap_or(&context.directory).into();
        let shown = path.strip_prefix(&context.directory).unwrap_or(path);
        match text(shown, opened).and_then(|text| ConfigFile::parse(shown, &text, base)) {
            Ok((file, mistakes)) => {
                self.files.push(file);
                self.problems.extend(mistakes);
            }
            Err(problem) => self.problems.push(problem),
        }
    }
}

fn text(path: &Path, opened: std::io::Result<File>) -> Result<String, Problem> {
    /// Far more than a person writes; a device file has no end.
    const LIMIT: u64 = 4 << 20;
    let shown = path.display();
    let told = |message: String, help: &str| Problem::Told {
        message,
        help: Some(help.to_owned()),
    };
    let mut bytes = Vec::new();
    let read = opened.and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > LIMIT => Err(told(
            format!("the configuration file {shown} is larger than 4 MiB"),
            "Name another file.",
        )),
        Ok(_) => String::from_utf8(bytes).map_err(|_| {
            told(
                format!("the configuration file {shown} is not UTF-8"),
                "Save it as UTF-8.",
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(told(
            format!("the configuration file {shown} does not exist"),
            "Correct the path in `--config` or LOCKET_CONFIG, or make the file.",
        )),
        Err(error) => Err(told(
            format!("the configuration file {shown} cannot be read: {error}"),
            "Let this user read it, or name another one with `--config`.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_that_others_may_write_is_ignored_and_told_about() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCAL);
        fs::write(&path, "").unwrap();
        for (mode, trusted) in [(0o600, true), (0o644, true), (0o664, false), (0o646, false)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let mut notices = Vec::new();
            let nothing = directory.path().join("none.toml");
            let found = find(directory.path(), &nothing, &mut notices).map(|(path, _)| path);
            assert_eq!(found == Some(path.clone()), trusted, "{mode:o}");
            assert_eq!(notices.is_empty(), trusted, "{mode:o}");
        }
    }

    #[test]
    fn a_link_is_as_trusted_as_what_it_leads_to() {
        let directory = tempfile::tempdir().unwrap();
        let real = directory.path().join("real.toml");
        fs::write(&real, "").unwrap();
        let path = directory.path().join(LOCAL);
        symlink(&real, &path).unwrap();
        fs::set_permissions(&real, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(open_trusted(&path).unwrap().is_some());
        fs::set_permissions(&real, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(open_trusted(&path).is_err());
        fs::remove_file(&real).unwrap();
        assert!(open_trusted(&path).is_err(), "a link to nothing");
    }

    #[test]
    fn no_file_is_no_news() {
        let directory = tempfile::tempdir().unwrap();
        assert!(open_trusted(&directory.path().join(LOCAL)).unwrap().is_none());
        let mut notices = Vec::new();
        let system = directory.path().join("none/locket.toml");
        assert!(find(directory.path(), &system, &mut notices).is_none());
        assert_eq!(notices, []);
    }

    #[test]
    fn a_file_of_the_machine_that_cannot_be_read_is_told_about() {
        let home = tempfile::tempdir().unwrap();
        let machine = tempfile::tempdir().unwrap();
        let found = |system: &Path| {
            let mut notices = Vec::new();
            let found = find(home.path(), system, &mut notices).map(|(path, _)| path);
            (found, notices)
        };
        let told = |notices: &[Notice], path: &Path| {
            matches!(notices, [Notice::Warning(text)]
                if text.starts_with(&format!("{} is ignored: ", path.display())) && text.contains("--config"))
        };
        let dangling = machine.path().join("dangling.toml");
        symlink(machine.path().join("gone"), &dangling).unwrap();
        let circle = machine.path().join("circle.toml");
        symlink(&circle, &circle).unwrap();
        let beside = machine.path().join("file");
        fs::write(&beside, "").unwrap();
        for path in [
            dangling.as_path(),
            &circle,
            machine.path(),
            &beside.join("locket.toml"),
        ] {
            let (file, notices) = found(path);
            assert!(
                file.is_none() && told(&notices, path),
                "{}: {notices:?}",
                path.display()
            );
        }
        assert_eq!(found(&beside), (Some(beside.clone()), Vec::new()));
        // Root may read everything.
        if rustix::process::geteuid().is_root() {
            return;
        }
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o000)).unwrap();
        let (file, notices) = found(&beside);
        assert!(file.is_none() && told(&notices, &beside), "{notices:?}");
        let shut = machine.path().join("shut");
        fs::create_dir(&shut).unwrap();
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o000)).unwrap();
        let inside = shut.join("locket.toml");
        let (file, notices) = found(&inside);
        assert!(file.is_none() && told(&notices, &inside), "{notices:?}");
        fs::set_permissions(&shut, fs::Permissions::from_mode(0o700)).unwrap();
    }

    #[test]
    fn a_pipe_of_the_machine_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("system.toml");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let mut notices = Vec::new();
        assert!(find(directory.path(), &path, &mut notices).is_none());
        assert_eq!(notices.len(), 1);
    }

    #[test]
    fn a_pipe_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(LOCAL);
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        assert_eq!(open_trusted(&path).unwrap_err(), "it is not a regular file");
    }
}
