//! Reading one regular file whole: bounded, never waiting at a FIFO, never half of a file that is being written.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use locket_sys::irregular;
use rustix::fs::{Mode, OFlags, Stat};
use rustix::io::Errno;
use zeroize::Zeroizing;

/// A file as it was at one instant.
pub(crate) struct RegularFile {
    /// Its exact bytes.
    pub(crate) bytes: Zeroizing<Vec<u8>>,
    /// Which file it was, and in which state.
    pub(crate) stamp: Stamp,
    /// Permission bits.
    pub(crate) mode: u32,
    /// Whether it lies in memory: where container engines put what only one container sees.
    pub(crate) on_tmpfs: bool,
}

/// Tells two states of a file apart without reading it. Equal stamps mean equal bytes, as far as the file system's
/// clock can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

/// Why a file could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// There is nothing at this path.
    #[error("does not exist")]
    Missing,
    /// This user may not read it, or may not pass a directory on the way.
    #[error("may not be read by uid {}", rustix::process::geteuid().as_raw())]
    Denied,
    /// It is something else than a regular file.
    #[error("is {0}, not a regular file")]
    NotRegular(&'static str),
    /// It has more bytes than allowed.
    #[error("is larger than {} MiB", limit >> 20)]
    TooLarge {
        /// The most that is allowed, in bytes.
        limit: usize,
    },
    /// Somebody wrote to it each time it was read.
    #[error("changed while it was read")]
    Changing,
    /// The path itself can name no file.
    #[error("is no usable path: {0}")]
    Path(std::io::Error),
    /// Any other failure.
    #[error("cannot be read: {0}")]
    Io(std::io::Error),
}

/// How often a file that changes under the reader is read again.
const ATTEMPTS: usize = 3;

/// `TMPFS_MAGIC` and `RAMFS_MAGIC` of statfs(2).
const MEMORY_FILE_SYSTEMS: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// The whole of the regular file at `path`, of at most `limit` bytes.
///
/// # Errors
/// See [`ReadError`].
pub(crate) fn read_regular(path: &Path, limit: usize) -> Result<RegularFile, ReadError> {
    for _ in 0..ATTEMPTS {
        let (mut file, before) = open_regular(path)?;
        let bytes = read_bounded(&mut file, usize::try_from(before.st_size).unwrap_or(0), limit)?;
        let after = rustix::fs::fstat(&file)?;
        let stamp = Stamp::of(&after);
        // A writer that truncates and fills a file in place would otherwise hand out its first half.
        if stamp == Stamp::of(&before) {
            return Ok(RegularFile {
                bytes,
                stamp,
                mode: after.st_mode & 0o7777,
                on_tmpfs: rustix::fs::fstatfs(&file)
                    .is_ok_and(|system| MEMORY_FILE_SYSTEMS.contains(&(system.f_type as u64))),
            });
        }
    }
    Err(ReadError::Changing)
}

impl Stamp {
    /// The present stamp of whatever is at `path`; `None` when it cannot be looked at.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        rustix::fs::stat(path).ok().map(|stat| Self::of(&stat))
    }

    /// The stamp of a file that was looked at.
    #[expect(clippy::unnecessary_cast, reason = "the widths differ between architectures")]
    pub(crate) fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as i64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }
}

impl From<Errno> for ReadError {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR => Self::Missing,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            Errno::LOOP | Errno::NAMETOOLONG | Errno::INVAL => Self::Path(errno.into()),
            other => Self::Io(other.into()),
        }
    }
}

fn open_regular(path: &Path) -> Result<(File, Stat), ReadError> {
    // Looked at before it is opened: opening a FIFO, even without waiting, wakes whoever is blocked at its other end.
    only_regular(&rustix::fs::stat(path)?)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file: OwnedFd = rustix::fs::open(path, flags, Mode::empty())?;
    let stat = rustix::fs::fstat(&file)?;
    only_regular(&stat)?;
    Ok((file.into(), stat))
}

fn only_regular(stat: &Stat) -> Result<(), ReadError> {
    match irregular::what(stat.st_mode) {
        Some(what) => Err(ReadError::NotRegular(what)),
        None => Ok(()),
    }
}

/// Reads to the end. The size is only a first guess: it is 0 in /proc, and a file may grow meanwhile.
fn read_bounded(file: &mut File, size: usize, limit: usize) -> Result<Zeroizing<Vec<u8>>, ReadError> {
    if size > limit {
        return Err(ReadError::TooLarge { limit });
    }
    let mut buffer = Zeroizing::new(vec![0; size + 1]);
    let mut filled = 0;
    loop {
        if filled == buffer.len() {
            let mut larger = Zeroizing::new(vec![0; (filled * 2).max(4096)]);
            larger[..filled].copy_from_slice(&buffer);
            buffer = larger;
        }
        match file.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(ReadError::Io(error)),
        }
        if filled > limit {
            return Err(ReadError::TooLarge { limit });
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}
