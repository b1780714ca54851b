//! Removes what a killed run left behind, and nothing else.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::temporary::is_temporary;

/// What a sweep of one directory came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// How many leftovers were removed.
    pub removed: usize,
    /// Whether nothing but leftovers was there.
    pub is_empty: bool,
}

/// Removes the leftovers in `directory`. What a living process is writing stays.
///
/// # Errors
/// The first failure; the other files were tried all the same.
pub(super) fn sweep(directory: &Directory) -> Result<Swept, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(&directory.fd, ".", flags, Mode::empty())?;
    // Listed first and removed then: what is removed while listing may hide others.
    let mut leftovers = Vec::new();
    let mut is_empty = true;
    for entry in Dir::new(readable)? {
        let entry = entry?;
        let name = entry.file_name();
        if is_temporary(OsStr::from_bytes(name.to_bytes())) {
            leftovers.push(name.to_owned());
        } else if !matches!(name.to_bytes(), b"." | b"..") {
            is_empty = false;
        }
    }
    let mut removed = 0;
    let mut failure = None;
    for name in leftovers {
        match remove(directory.fd.as_fd(), OsStr::from_bytes(name.to_bytes())) {
            Ok(gone) => removed += usize::from(gone),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    match failure {
        None => Ok(Swept { removed, is_empty }),
        Some(error) => Err(error),
    }
}

fn remove(directory: impl AsFd, name: &OsStr) -> Result<bool, Errno> {
    let stat = match rustix::fs::statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(false),
        Err(error) => return Err(error),
    };
    let (_lock, flags) = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => match lock(&directory, name) {
            Lock::Abandoned(lock) => (lock, AtFlags::empty()),
            Lock::Alive => return Ok(false),
        },
        FileType::Directory => (None, AtFlags::REMOVEDIR),
        _ => return Ok(false),
    };
    match rustix::fs::unlinkat(&directory, name, flags) {
        Ok(()) => Ok(true),
        // A directory with something in it is none of ours.
        Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a living process writes a file.
enum Lock {
    /// One does.
    Alive,
    /// None does, nor can one begin to while this is held; `None` where the file cannot be locked, and then whether
    /// it can be removed is the directory's matter.
    Abandoned(Option<OwnedFd>),
}

fn lock(directory: impl AsFd, name: &OsStr) -> Lock {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, name, flags, Mode::empty()) {
        Ok(file) => match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => Lock::Alive,
            _ => Lock::Abandoned(Some(file)),
        },
        Err(_) => Lock::Abandoned(None),
    }
}
