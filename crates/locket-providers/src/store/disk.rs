//! The store's file on disk: one writer at a time, old or new and never torn, whatever kills the writer.
//! Only ciphertext and identity files pass here.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_core::ProviderError;
use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags, Stat};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

/// A file that no other writer can replace while this lives.
pub(super) struct Locked {
    /// The real file, symlinks followed: it is replaced, not the link.
    path: PathBuf,
    /// What was there when the lock was taken: its mode and owner are kept.
    stat: Stat,
    /// Holds the lock.
    _file: OwnedFd,
}

/// A new file that is not in place yet; removed unless it gets there.
struct Temporary<'a> {
    directory: &'a OwnedFd,
    name: String,
    in_place: bool,
}

/// How long a writer waits between two looks at the lock.
const PAUSE: Duration = Duration::from_millis(5);

/// Random bytes in a temporary file's name.
const RANDOM: usize = 8;

impl Locked {
    /// Waits for at most `patience` until nobody else writes to `path`.
    ///
    /// # Errors
    /// Another writer keeps the lock, or the file cannot be opened.
    pub(super) fn acquire(path: &Path, patience: Duration) -> Result<Self, ProviderError> {
        let failed = |error: std::io::Error| failed("cannot be locked", path, &error);
        let path = std::fs::canonicalize(path).map_err(failed)?;
        for _ in 0..=patience.as_millis() / PAUSE.as_millis() {
            match lock(&path) {
                Ok(file) => {
                    if let Some(stat) = in_place(&file, &path).map_err(|error| failed(error.into()))? {
                        return Ok(Self {
                            path,
                            stat,
                            _file: file,
                        });
                    }
                }
                Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
                Err(Errno::INTR) => {}
                Err(error) => return Err(failed(error.into())),
            }
        }
        Err(
            ProviderError::unavailable(format!("another process is writing to {}", path.display()))
                .hint("Try again when it has finished."),
        )
    }

    /// Puts `bytes` in the file's place, with the same mode and, as far as this user may, the same owner.
    ///
    /// # Errors
    /// The file system refuses; the old file is untouched then.
    pub(super) fn replace(&self, bytes: &[u8]) -> Result<(), ProviderError> {
        let (directory, name) = split(&self.path)?;
        let failed = |error: Errno| failed("cannot be written", &self.path, &error.into());
        remove_leftovers(&self.path, name);
        let temporary = Temporary::write(&directory, name, bytes, |file| {
            keep_owner(file, &self.stat);
            rustix::fs::fchmod(file, Mode::from_raw_mode(self.stat.st_mode & 0o777))
        })
        .map_err(failed)?;
        temporary
            .move_to(name, RenameFlags::empty())
            .map_err(|error| match error {
                Errno::BUSY => {
                    ProviderError::invalid(format!("{} is itself a mount point", self.path.display())).hint(
                        "Mount the directory above it instead, so that the file can be replaced in one step.",
                    )
                }
                other => failed(other),
            })
    }
}

/// Makes a file of mode 0600 that was not there before, whole or not at all.
///
/// # Errors
/// Something is there already (`Ok(false)` says so), or the file system refuses.
pub(super) fn create(path: &Path, bytes: &[u8]) -> Result<bool, ProviderError> {
    let (directory, name) = split(path)?;
    let created = Temporary::write(&directory, name, bytes, |_| Ok(()))
        .and_then(|temporary| temporary.move_to(name, RenameFlags::NOREPLACE));
    match created {
        Ok(()) => Ok(true),
        Err(Errno::EXIST) => Ok(false),
        Err(error) => Err(failed("cannot be written", path, &error.into())),
    }
}

impl<'a> Temporary<'a> {
    fn write(
        directory: &'a OwnedFd,
        name: &str,
        bytes: &[u8],
        prepare: impl FnOnce(&OwnedFd) -> rustix::io::Result<()>,
    ) -> rustix::io::Result<Self> {
        let name = format!("{}{}", prefix(name), random_suffix()?);
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(directory, &name, flags, Mode::RUSR | Mode::WUSR)?;
        let temporary = Self {
            directory,
            name,
            in_place: false,
        };
        prepare(&file)?;
        let mut file = File::from(file);
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
        Ok(temporary)
    }

    fn move_to(mut self, name: &str, flags: RenameFlags) -> rustix::io::Result<()> {
        let directory = self.directory;
        match rustix::fs::renameat_with(directory, &self.name, directory, name, flags) {
            // A file system without this flag has hard links, which do not replace either.
            Err(Errno::INVAL | Errno::NOSYS) if flags == RenameFlags::NOREPLACE => {
                rustix::fs::linkat(directory, &self.name, directory, name, AtFlags::empty())?;
            }
            result => {
                result?;
                self.in_place = true;
            }
        }
        rustix::fs::fsync(directory)
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if !self.in_place {
            let _ = rustix::fs::unlinkat(self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// The file that is at `path` now, locked.
pub(super) fn lock(path: &Path) -> rustix::io::Result<OwnedFd> {
    let open = |access| {
        let flags = access | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        rustix::fs::open(path, flags, Mode::empty())
    };
    let file = open(OFlags::RDONLY)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        // NFS locks exclusively only what is open for writing.
        Err(Errno::BADF) => {
            let file = open(OFlags::RDWR)?;
            rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
            Ok(file)
        }
        taken => taken.map(|()| file),
    }
}

/// The state of `file` if it still is the one at `path`. The lock is the file's, and the last writer may have put
/// another in its place between our opening and locking it.
pub(super) fn in_place(file: &OwnedFd, path: &Path) -> rustix::io::Result<Option<Stat>> {
    let (stat, present) = (rustix::fs::fstat(file)?, rustix::fs::stat(path)?);
    let same = (stat.st_dev, stat.st_ino) == (present.st_dev, present.st_ino);
    Ok(same.then_some(stat))
}

/// The directory of `path`, opened, and the file's name in it.
fn split(path: &Path) -> Result<(OwnedFd, &str), ProviderError> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(|| ProviderError::invalid(format!("{} is no file name in UTF-8", path.display())))?;
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let directory = rustix::fs::open(parent, flags, Mode::empty())
        .map_err(|error| failed("cannot be opened", parent, &error.into()))?;
    Ok((directory, name))
}

/// What the names of temporary files for `name` begin with.
fn prefix(name: &str) -> String {
    format!(".locket-{name}-")
}

fn random_suffix() -> rustix::io::Result<String> {
    let mut bytes = [0; RANDOM];
    let mut filled = 0;
    while filled < RANDOM {
        filled += rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}

/// Removes what killed writers left. Called under the lock: nobody else's temporary file for this name is alive.
fn remove_leftovers(path: &Path, name: &str) {
    let Some(entries) = path
        .parent()
        .and_then(|directory| std::fs::read_dir(directory).ok())
    else {
        return;
    };
    let prefix = prefix(name);
    for entry in entries.flatten() {
        let is_leftover = entry
            .file_name()
            .to_str()
            .and_then(|name| name.strip_prefix(&prefix))
            .is_some_and(|rest| {
                rest.len() == 2 * RANDOM && rest.bytes().all(|byte| byte.is_ascii_hexdigit())
            });
        if is_leftover {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Gives a new file the owner of the one it replaces. A user who may not do that at least keeps the group, where
/// that is allowed; anything else would refuse a write that an editor could make.
fn keep_owner(file: &OwnedFd, old: &Stat) {
    let Ok(new) = rustix::fs::fstat(file) else { return };
    if (new.st_uid, new.st_gid) == (old.st_uid, old.st_gid) {
        return;
    }
    let (uid, gid) = (Uid::from_raw(old.st_uid), Gid::from_raw(old.st_gid));
    if rustix::fs::fchown(file, Some(uid), Some(gid)).is_err() {
        let _ = rustix::fs::fchown(file, None, Some(gid));
    }
}

fn failed(what: &str, path: &Path, error: &std::io::Error) -> ProviderError {
    let context = format!("{} {what}: {error}", path.display());
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => ProviderError::denied(context).hint(format!(
            "Let uid {} write to the directory, or run as the file's owner.",
            rustix::process::geteuid().as_raw()
        )),
        std::io::ErrorKind::NotFound | std::io::ErrorKind::ReadOnlyFilesystem => {
            ProviderError::invalid(context)
        }
        _ => ProviderError::unavailable(context),
    }
}
