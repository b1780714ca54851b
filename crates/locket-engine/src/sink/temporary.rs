//! The file that new content is written to before it takes its place. It is removed unless it gets there.

use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;

use locket_core::plan::Access;
use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::directory::{Directory, set_access};
use super::error::Fault;

const PREFIX: &str = ".locket-";
const SUFFIX: &str = ".tmp";
const DIGITS: usize = 16;

/// How the names of generations begin: those of directories that are switched as a whole.
const GENERATION: &str = "..locket-";

/// How often a name may be taken, or the file swept away, before that is an error.
const ATTEMPTS: usize = 16;

/// A row of names `.locket-0123456789abcdef.tmp` that no other process is likely to use.
pub(super) struct Names(u64);

/// A file under a temporary name.
///
/// It is locked as long as it is open, which tells a sweep that its writer is alive: a kill takes the lock away.
pub(super) struct Temporary {
    pub(super) file: OwnedFd,
    pub(super) directory: Arc<Directory>,
    name: String,
    /// The mode that it was made with, where that is known: a directory may have its own say.
    mode: Option<u32>,
    in_place: bool,
}

/// A file without a name, which a kill leaves no trace of. It can only get a name that nothing has.
pub(super) struct Unnamed {
    pub(super) file: OwnedFd,
    directory: Arc<Directory>,
    in_place: bool,
}

/// How a file without a name gets one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Naming {
    /// By its descriptor, for which Linux before 6.10 wants a capability.
    #[default]
    Descriptor,
    /// By its entry in `/proc`.
    Proc,
    /// Not here.
    Refused,
}

/// Whether `name` is one of ours.
pub(super) fn is_temporary(name: &OsStr) -> bool {
    name.as_bytes()
        .strip_prefix(PREFIX.as_bytes())
        .and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()))
        .is_some_and(is_number)
}

/// Whether `name` is that of a generation.
pub(super) fn is_generation(name: &OsStr) -> bool {
    name.as_bytes()
        .strip_prefix(GENERATION.as_bytes())
        .is_some_and(is_number)
}

fn is_number(digits: &[u8]) -> bool {
    digits.len() == DIGITS
        && digits
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl Names {
    pub(super) fn new() -> Self {
        let mut seed = [0; 8];
        // Without it the names are merely guessable; each file is created exclusively all the same.
        let _ = getrandom::fill(&mut seed);
        Self(u64::from_ne_bytes(seed))
    }

    pub(super) fn next(&mut self) -> String {
        self.0 = self.0.wrapping_add(1);
        format!("{PREFIX}{:0DIGITS$x}{SUFFIX}", self.0)
    }

    /// The name of a generation, which is no temporary one.
    pub(super) fn next_generation(&mut self) -> String {
        self.0 = self.0.wrapping_add(1);
        format!("{GENERATION}{:0DIGITS$x}", self.0)
    }
}

impl Temporary {
    /// Creates an empty file that only this user can read.
    pub(super) fn create(directory: &Arc<Directory>, names: &mut Names) -> Result<Self, Fault> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        for _ in 0..ATTEMPTS {
            let name = names.next();
            let file = match rustix::fs::openat(&directory.fd, name.as_str(), flags, Mode::RUSR | Mode::WUSR)
            {
                Ok(file) => file,
                Err(Errno::EXIST) => continue,
                Err(error) => return Err(error.into()),
            };
            let mut temporary = Self {
                file,
                directory: directory.clone(),
                name,
                mode: None,
                in_place: false,
            };
            if temporary.claim() {
                return Ok(temporary);
            }
        }
        Err(Errno::EXIST.into())
    }

    /// Gives the file its mode and owner.
    pub(super) fn set_access(&self, access: &Access) -> Result<(), Errno> {
        bring_to(&self.file, self.mode, access)
    }

    /// Puts the file where it belongs, in the place of what is there.
    pub(super) fn rename(&mut self, name: &OsStr) -> Result<(), Errno> {
        let directory = &self.directory.fd;
        rustix::fs::renameat(directory, self.name.as_str(), directory, name)?;
        self.in_place = true;
        Ok(())
    }

    /// Whether the lock is ours and no sweep took the file away before it was.
    fn claim(&mut self) -> bool {
        match rustix::fs::flock(self.file.as_fd(), FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => false,
            Ok(()) => rustix::fs::fstat(&self.file).is_ok_and(|stat| {
                self.mode = Some(stat.st_mode & 0o7777);
                stat.st_nlink > 0
            }),
            // A file system without locks has no sweep that could hold one.
            Err(_) => true,
        }
    }
}

impl Unnamed {
    /// Creates an empty file with this mode and owner. Nobody else can open it yet.
    pub(super) fn create(directory: &Arc<Directory>, access: &Access) -> Result<Self, Errno> {
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(access.file_mode);
        let file = rustix::fs::openat(&directory.fd, ".", flags, mode)?;
        let mode = rustix::fs::fstat(&file)?.st_mode & 0o7777;
        bring_to(&file, Some(mode), access)?;
        Ok(Self {
            file,
            directory: directory.clone(),
            in_place: false,
        })
    }

    /// Puts the file where it belongs, unless anything is there. Finds out on the way how that can be done here.
    pub(super) fn link(&mut self, name: &OsStr, naming: &mut Naming) -> Result<(), Errno> {
        let directory = &self.directory.fd;
        let mut linked = Err(Errno::OPNOTSUPP);
        if *naming == Naming::Descriptor {
            linked = rustix::fs::linkat(&self.file, "", directory, name, AtFlags::EMPTY_PATH);
            if is_refusal(linked) {
                *naming = Naming::Proc;
            }
        }
        if *naming == Naming::Proc {
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            linked = rustix::fs::linkat(CWD, own, directory, name, AtFlags::SYMLINK_FOLLOW);
            if is_refusal(linked) {
                *naming = Naming::Refused;
            }
        }
        self.in_place = linked.is_ok();
        linked
    }
}

/// Whether the way is closed, rather than the place taken.
fn is_refusal(linked: Result<(), Errno>) -> bool {
    matches!(linked, Err(error) if error != Errno::EXIST)
}

/// Gives a file of `mode` its mode and owner, unless it has them.
fn bring_to(file: &OwnedFd, mode: Option<u32>, access: &Access) -> Result<(), Errno> {
    if access.owner.is_none() && mode == Some(access.file_mode) {
        return Ok(());
    }
    set_access(file, access.owner, access.file_mode)
}

/// Gives back what a file takes up that got no place. A child that was forked but has not started its program yet still
/// holds it open, and the next content may need the space.
fn empty(file: &OwnedFd) {
    let _ = rustix::fs::ftruncate(file, 0);
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if !self.in_place {
            empty(&self.file);
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.in_place {
            empty(&self.file);
            let _ = rustix::fs::unlinkat(&self.directory.fd, self.name.as_str(), AtFlags::empty());
        }
    }
}
