//! What is at the place of an output at present, and whether it is what should be there.

use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};

use locket_core::plan::Access;
use locket_sys::mount::is_mount_root;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::directory::Directory;
use super::error::{Fault, SinkErrorKind};
use super::session::Applied;

/// Which file it is, and when it was last written: enough to know later whether it is still the one we wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Stamp {
    inode: u64,
    seconds: i64,
    nanoseconds: u32,
}

/// What is at the place of an output.
pub(super) enum Present {
    /// Nothing.
    Absent,
    /// Something that a rename may replace and that cannot be compared: a link, or a file that may not be read.
    Replaceable,
    /// A regular file, opened for reading.
    File(OwnedFd, Look),
}

/// What the kernel says about a regular file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) size: u64,
    pub(super) stamp: Stamp,
    /// Whether something is mounted exactly there, so that it cannot be renamed over.
    pub(super) mounted: bool,
    uid: u32,
    gid: u32,
    mode: u32,
}

impl Present {
    /// What it is to write a file that is as it should be all the same.
    pub(super) fn overwritten(&self) -> Applied {
        match self {
            Self::Absent => Applied::Created,
            Self::File(_, look) if look.mounted => Applied::InPlace,
            Self::Replaceable | Self::File(..) => Applied::Replaced,
        }
    }

    /// Looks at `name`. Opening never waits for the other end of a FIFO and never follows a link.
    pub(super) fn look(directory: &Directory, name: &OsStr) -> Result<Self, Fault> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match rustix::fs::openat(&directory.fd, name, flags, Mode::empty()) {
            Ok(file) => {
                let (kind, look) = Look::of(&file)?;
                match kind {
                    FileType::RegularFile => Ok(Self::File(file, look)),
                    other => Err(unfit(other)),
                }
            }
            Err(Errno::NOENT) => Ok(Self::Absent),
            // A link; a file that may not be read; a socket; a device without a driver.
            Err(Errno::LOOP | Errno::ACCESS | Errno::PERM | Errno::NXIO | Errno::NODEV) => {
                let stat = rustix::fs::statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW)?;
                match FileType::from_raw_mode(stat.st_mode) {
                    FileType::RegularFile => Ok(Self::Replaceable),
                    FileType::Symlink if leads_to_device(directory, name) => {
                        Err(SinkErrorKind::Special.into())
                    }
                    FileType::Symlink => Ok(Self::Replaceable),
                    other => Err(unfit(other)),
                }
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Look {
    /// Looks at an open file, and says of what type it is.
    pub(super) fn of(file: impl AsFd) -> Result<(FileType, Self), Errno> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::NO_AUTOMOUNT;
        match rustix::fs::statx(&file, "", flags, StatxFlags::BASIC_STATS) {
            Ok(stat) => {
                let mode = u32::from(stat.stx_mode);
                let look = Self {
                    size: stat.stx_size,
                    stamp: Stamp {
                        inode: stat.stx_ino,
                        seconds: stat.stx_mtime.tv_sec,
                        nanoseconds: stat.stx_mtime.tv_nsec,
                    },
                    mounted: is_mount_root(&stat).unwrap_or(false),
                    uid: stat.stx_uid,
                    gid: stat.stx_gid,
                    mode: mode & 0o7777,
                };
                Ok((FileType::from_raw_mode(mode), look))
            }
            // Sandboxes older than the call refuse it. A mounted file is then found out by the failing rename.
            Err(Errno::NOSYS | Errno::PERM) => {
                let stat = rustix::fs::fstat(&file)?;
                let look = Self {
                    size: u64::try_from(stat.st_size).unwrap_or(0),
                    stamp: Stamp {
                        inode: stat.st_ino,
                        seconds: stat.st_mtime,
                        nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
                    },
                    mounted: false,
                    uid: stat.st_uid,
                    gid: stat.st_gid,
                    mode: stat.st_mode & 0o7777,
                };
                Ok((FileType::from_raw_mode(stat.st_mode), look))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether mode and owner are those asked for.
    pub(super) fn has(&self, access: &Access) -> bool {
        let owner = access
            .owner
            .is_none_or(|owner| owner.uid == self.uid && owner.gid.is_none_or(|gid| gid == self.gid));
        owner && self.mode == access.file_mode
    }
}

/// Whether the open `file` of `size` bytes has exactly `bytes`. `buffer` is used for reading and not wiped.
pub(super) fn is_equal(file: impl AsFd, size: u64, bytes: &[u8], buffer: &mut [u8]) -> Result<bool, Errno> {
    if size != bytes.len() as u64 {
        return Ok(false);
    }
    let mut rest = bytes;
    while !rest.is_empty() {
        let most = rest.len().min(buffer.len());
        match rustix::io::read(&file, &mut buffer[..most]) {
            Ok(0) => return Ok(false),
            Ok(got) if buffer[..got] == rest[..got] => rest = &rest[got..],
            Ok(_) => return Ok(false),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes all of `bytes` from offset `at` on.
pub(super) fn write_all(file: impl AsFd, bytes: &[u8], mut at: u64) -> Result<(), Errno> {
    let mut rest = bytes;
    while !rest.is_empty() {
        match rustix::io::pwrite(&file, rest, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                rest = &rest[written..];
                at += written as u64;
            }
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn unfit(kind: FileType) -> Fault {
    match kind {
        FileType::Directory => SinkErrorKind::Directory.into(),
        _ => SinkErrorKind::Special.into(),
    }
}

/// `/dev/stdout` and its like are links that nobody wants replaced by a file.
fn leads_to_device(directory: &Directory, name: &OsStr) -> bool {
    let to_descriptor = rustix::fs::readlinkat(&directory.fd, name, Vec::new())
        .is_ok_and(|target| target.to_bytes().starts_with(b"/proc/"));
    let to_device = rustix::fs::statat(&directory.fd, name, AtFlags::empty()).is_ok_and(|stat| {
        !matches!(
            FileType::from_raw_mode(stat.st_mode),
            FileType::RegularFile | FileType::Directory
        )
    });
    to_descriptor || to_device
}
