//! Files that must outlive the process. Small, private, replaced whole, never holding a value. Several processes may have
//! one directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use locket_core::SecretBytes;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Length of a fingerprint key in bytes.
pub(crate) const KEY_LENGTH: usize = 32;

/// Makes `directory`, for its owner only, unless it is there.
///
/// # Errors
/// It cannot be made.
pub fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}

/// Tries to have a lock, and the pause between two: whoever has it is about to write a few lines, or was stopped doing
/// that.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// Keeps other processes from reading and changing what is in `directory` until the file that it gives is closed.
///
/// # Errors
/// Another has it for seconds, or it cannot be made.
pub(crate) fn lock(directory: &Path, name: &str) -> io::Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(directory.join(name))?;
    for _ in 0..TRIES {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
            Err(error) => return Err(error.into()),
        }
    }
    Err(io::Error::other(format!(
        "another process keeps {} locked",
        directory.join(name).display()
    )))
}

/// The key kept in `directory` under `name`, made when there is none.
pub(crate) fn key(directory: &Path, name: &str) -> io::Result<SecretBytes> {
    make(directory)?;
    let file = directory.join(name);
    match fs::read(&file) {
        Ok(bytes) if bytes.len() == KEY_LENGTH => return Ok(SecretBytes::new(bytes)),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let mut fresh = vec![0; KEY_LENGTH];
    getrandom::fill(&mut fresh).map_err(io::Error::other)?;
    write(&file, &fresh)?;
    Ok(SecretBytes::new(fresh))
}

/// Replaces `file` by `bytes` in one step, readable by its owner only.
///
/// # Errors
/// It is as it was.
pub fn write(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = file.with_extension("next");
    let mut handle = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&next)?;
    handle.write_all(bytes)?;
    handle.sync_all()?;
    fs::rename(&next, file)
}
