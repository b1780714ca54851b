//! Removes what a killed run left behind, and nothing else.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::directory::Directory;
use super::temporary::is_temporary;

/// Removes the leftovers in `directory` and counts them. What a living process is writing stays.
///
/// # Errors
/// The first failure; the other files were tried all the same.
pub(super) fn sweep(directory: &Directory) -> Result<usize, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(&directory.fd, ".", flags, Mode::empty())?;
    // Listed first and removed then: what is removed while listing may hide others.
    let mut leftovers = Vec::new();
    for entry in Dir::new(readable)? {
        let name = entry?.file_name().to_owned();
        if is_temporary(OsStr::from_bytes(name.to_bytes())) {
            leftovers.push(name);
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
    failure.map_or(Ok(removed), Err)
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
