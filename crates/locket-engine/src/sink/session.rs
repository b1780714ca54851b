//! One round's writing: compare, and only where something differs replace.

use std::ffi::OsStr;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Component, Path};
use std::sync::Arc;

use locket_core::SecretBytes;
use locket_core::plan::{Access, Owner};
use locket_sys::mount::{Filesystem, filesystem};
use rustix::fs::{Advice, AtFlags, FallocateFlags, Mode, OFlags};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::directory::{Directories, Directory, Missing, refused, set_access};
use super::error::{Fault, SinkError, SinkErrorKind};
use super::file::{Look, Present, Stamp, is_equal, write_all};
use super::phase::Phase;
use super::sweep::{Swept, sweep};
use super::temporary::{Names, Naming, Temporary, Unnamed, is_temporary};
use crate::sources::Target;

/// Replacements on a disk that wait to be flushed together. Each holds a file open.
const MOST_STAGED: usize = 128;

/// Bytes compared at a time.
const BUFFER: usize = 32 << 10;

/// The writer of outputs, for one round. It blocks on files, so it belongs off the event loop.
///
/// On a disk, replacements are collected and flushed together, since flushing each alone costs the most of a round.
/// So an output that [`Sink::apply`] reports as replaced is in place at the latest after [`Sink::finish`]; until then
/// the old content is. Dropped without that, what was not yet in place is removed again.
pub struct Sink {
    pub(super) directories: Directories,
    pub(super) names: Names,
    pub(super) naming: Naming,
    staged: Vec<Staged>,
    failed: Vec<SinkError>,
    buffer: Zeroizing<Vec<u8>>,
}

/// What became of one output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Applied {
    /// It was as it should be, and was not touched.
    Unchanged,
    /// Its content was; mode or owner were put right.
    Access,
    /// It has new content.
    Replaced,
    /// There was none.
    Created,
    /// It has new content, written over the old because it is itself a mount point.
    InPlace,
}

/// What became of one output, and which file it is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// What was done.
    pub applied: Applied,
    /// What [`Sink::remove`] will want to see.
    pub stamp: Stamp,
    /// Whether it is itself a mount point, which is written in place.
    pub is_mounted: bool,
}

/// What became of an output that is no longer wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Removed,
    /// It was not there.
    Absent,
    /// Something else is in its place, which was left alone.
    Foreign,
}

/// A replacement that waits to be flushed.
struct Staged {
    temporary: Temporary,
    target: Target,
}

/// What is known before an output is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Approach {
    /// Nothing: what is in place is compared.
    Compare,
    /// Nothing is likely to be in place: it is compared only where something is.
    Create,
    /// A new file is wanted even where an equal one is.
    Replace,
}

/// How a new file gets its place.
enum Placing {
    Done(Stamp),
    /// The target cannot be renamed over.
    Mounted,
}

impl Sink {
    /// A sink without anything opened or made yet.
    pub fn new() -> Self {
        Self {
            directories: Directories::default(),
            names: Names::new(),
            naming: Naming::default(),
            staged: Vec::new(),
            failed: Vec::new(),
            buffer: Zeroizing::new(Vec::new()),
        }
    }

    /// Brings the output at `target` to `bytes` and `access`. Directories that are missing on the way, the root
    /// among them, are made with the access's directory mode and owner; present ones are left as they are.
    ///
    /// # Errors
    /// The output is as it was, and no temporary file is left.
    pub fn apply(
        &mut self,
        target: &Target,
        bytes: &SecretBytes,
        access: &Access,
    ) -> Result<Written, SinkError> {
        self.apply_by(target, bytes, access, Approach::Compare)
    }

    /// As [`Sink::apply`], with what is known before it is looked at.
    ///
    /// # Errors
    /// The output is as it was, and no temporary file is left.
    pub fn apply_by(
        &mut self,
        target: &Target,
        bytes: &SecretBytes,
        access: &Access,
        approach: Approach,
    ) -> Result<Written, SinkError> {
        #[expect(clippy::disallowed_methods, reason = "the sink puts the value in its file")]
        let bytes = bytes.expose();
        self.settle(target, bytes, access, approach)
    }

    fn settle(
        &mut self,
        target: &Target,
        bytes: &[u8],
        access: &Access,
        approach: Approach,
    ) -> Result<Written, SinkError> {
        let mut result = self.attempt(target, bytes, access, approach);
        // What is staged still holds the space of old and new content; when it is in place, there may be enough.
        if matches!(&result, Err(fault) if fault.is_lack_of_space()) && !self.staged.is_empty() {
            self.commit();
            result = self.attempt(target, bytes, access, approach);
        }
        if self.staged.len() >= MOST_STAGED {
            self.commit();
        }
        result.map_err(|fault| fault.named(&target.path()))
    }

    /// Makes the root of a destination, with `access`'s directory mode and owner, unless it is there.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn make_root(&mut self, root: &Arc<Path>, access: &Access) -> Result<(), SinkError> {
        let made = self
            .directories
            .get(root, Path::new(""), Missing::Make(access), &mut self.names);
        made.map(|_| ()).map_err(|fault| fault.named(root))
    }

    /// The present content of the output at `target`, for templates that keep a part of it. `None` if there is no
    /// regular file, or one of more than `limit` bytes.
    ///
    /// # Errors
    /// The file or a directory on the way cannot be read.
    pub fn read(&mut self, target: &Target, limit: u64) -> Result<Option<SecretBytes>, SinkError> {
        self.try_read(target, limit)
            .map_err(|fault| fault.named(&target.path()))
    }

    /// What [`Sink::apply`] would do to the output at `target`, without doing it.
    ///
    /// # Errors
    /// What is at the target, or a directory on the way to it, could not be written or cannot be looked at.
    pub fn forecast(
        &mut self,
        target: &Target,
        bytes: &SecretBytes,
        access: &Access,
    ) -> Result<Applied, SinkError> {
        #[expect(clippy::disallowed_methods, reason = "compared with what is in place")]
        let bytes = bytes.expose();
        self.try_forecast(target, bytes, access)
            .map_err(|fault| fault.named(&target.path()))
    }

    /// Removes the output at `target` if it is still the file that `stamp` was given for.
    ///
    /// # Errors
    /// It is still there.
    pub fn remove(&mut self, target: &Target, stamp: Stamp) -> Result<Removed, SinkError> {
        self.try_remove(target, stamp)
            .map_err(|fault| fault.named(&target.path()))
    }

    /// Removes the temporary files that killed runs left in the directory of `target`. Those of a living process stay.
    /// A directory that does not exist has none.
    ///
    /// # Errors
    /// Some could not be removed.
    pub fn sweep(&mut self, target: &Target) -> Result<Swept, SinkError> {
        self.try_sweep(target)
            .map_err(|fault| fault.named(&target.path()))
    }

    /// Puts everything in place that is not yet, and flushes the directories. Gives back what went wrong with outputs
    /// whose [`Sink::apply`] had succeeded (they have their old content), or with flushing a directory.
    pub fn finish(mut self) -> Vec<SinkError> {
        self.commit();
        for place in self.directories.take_unsynced() {
            if let Err(fault) = self.sync(&place) {
                self.failed.push(fault.named(&place.path()));
            }
        }
        std::mem::take(&mut self.failed)
    }

    fn attempt(
        &mut self,
        target: &Target,
        bytes: &[u8],
        access: &Access,
        approach: Approach,
    ) -> Result<Written, Fault> {
        let (parent, name) = split(target)?;
        if is_temporary(name) {
            return Err(SinkErrorKind::Reserved.into());
        }
        let directory = self
            .directories
            .get(&target.root, parent, Missing::Make(access), &mut self.names)?
            .ok_or(Errno::NOENT)?;
        if approach == Approach::Create
            && self.naming != Naming::Refused
            && directory.filesystem == Filesystem::Memory
            && let Ok(stamp) = self.create(&directory, target, bytes, access)
        {
            return Ok(Written {
                applied: Applied::Created,
                stamp,
                is_mounted: false,
            });
        }
        let present = Present::look(&directory, name)?;
        let change = match self.change(&present, bytes, access)? {
            Applied::Unchanged | Applied::Access if approach == Approach::Replace => present.overwritten(),
            change => change,
        };
        match (change, present) {
            (Applied::Unchanged, Present::File(_, look)) => Ok(Written {
                applied: Applied::Unchanged,
                stamp: look.stamp,
                is_mounted: look.mounted,
            }),
            (Applied::Access, Present::File(file, look)) => {
                match set_access(&file, access.owner, access.file_mode) {
                    Ok(()) => Ok(Written {
                        applied: Applied::Access,
                        stamp: look.stamp,
                        is_mounted: look.mounted,
                    }),
                    // Another user's file; one of our own in its place can have what is asked for.
                    Err(Errno::PERM) if !look.mounted => {
                        self.replace(&directory, target, bytes, access, Applied::Access)
                    }
                    Err(error) => Err(refused(error)),
                }
            }
            (Applied::InPlace, _) => self.write_in_place(&directory, target, bytes, access),
            (applied, _) => self.replace(&directory, target, bytes, access, applied),
        }
    }

    fn replace(
        &mut self,
        directory: &Arc<Directory>,
        target: &Target,
        bytes: &[u8],
        access: &Access,
        applied: Applied,
    ) -> Result<Written, Fault> {
        let staged = self.stage(directory, target, bytes, access)?;
        if directory.filesystem == Filesystem::Memory {
            return match self.place(staged)? {
                Placing::Done(stamp) => Ok(Written {
                    applied,
                    stamp,
                    is_mounted: false,
                }),
                Placing::Mounted => self.write_in_place(directory, target, bytes, access),
            };
        }
        // Starts the writing without waiting, so that the flushes to come find most of it done.
        let _ = rustix::fs::fadvise(&staged.temporary.file, 0, None, Advice::DontNeed);
        let (_, look) = Look::of(&staged.temporary.file)?;
        self.staged.push(staged);
        Ok(Written {
            applied,
            stamp: look.stamp,
            is_mounted: false,
        })
    }

    /// Puts an output in memory where nothing is.
    fn create(
        &mut self,
        directory: &Arc<Directory>,
        target: &Target,
        bytes: &[u8],
        access: &Access,
    ) -> Result<Stamp, Fault> {
        Phase::Temporary.reached(target);
        let mut unnamed =
            Unnamed::create(directory, access).inspect_err(|_| self.naming = Naming::Refused)?;
        write_all(&unnamed.file, bytes, 0)?;
        Phase::Rename.reached(target);
        unnamed.link(name_of(target), &mut self.naming)?;
        Phase::Settled.reached(target);
        let (_, look) = Look::of(&unnamed.file)?;
        Ok(look.stamp)
    }

    /// Writes the new content to a file of its own.
    fn stage(
        &mut self,
        directory: &Arc<Directory>,
        target: &Target,
        bytes: &[u8],
        access: &Access,
    ) -> Result<Staged, Fault> {
        Phase::Temporary.reached(target);
        let temporary = Temporary::create(directory, &mut self.names)?;
        temporary.set_access(access).map_err(refused)?;
        write_all(&temporary.file, bytes, 0)?;
        Ok(Staged {
            temporary,
            target: target.clone(),
        })
    }

    /// Flushes everything that is staged, then puts it in place.
    fn commit(&mut self) {
        let mut flushed = Vec::with_capacity(self.staged.len());
        for staged in std::mem::take(&mut self.staged) {
            Phase::Sync.reached(&staged.target);
            match rustix::fs::fsync(&staged.temporary.file) {
                Ok(()) => flushed.push(staged),
                Err(error) => self.failed.push(Fault::from(error).named(&staged.target.path())),
            }
        }
        for staged in flushed {
            let target = staged.target.clone();
            if let Err(fault) = self.place_or_copy(staged) {
                self.failed.push(fault.named(&target.path()));
            }
        }
    }

    fn place_or_copy(&mut self, staged: Staged) -> Result<(), Fault> {
        let target = staged.target.clone();
        let directory = staged.temporary.directory.clone();
        let source = rustix::io::dup(&staged.temporary.file)?;
        match self.place(staged)? {
            Placing::Done(_) => Ok(()),
            Placing::Mounted => {
                let (_, look) = Look::of(&source)?;
                let bytes = read_all(&source, look.size)?;
                overwrite(&directory, name_of(&target), &bytes, |file| {
                    copy_access(&source, file)
                })
            }
        }
    }

    fn place(&mut self, mut staged: Staged) -> Result<Placing, Fault> {
        Phase::Rename.reached(&staged.target);
        match staged.temporary.rename(name_of(&staged.target)) {
            Ok(()) => {}
            Err(Errno::BUSY) => return Ok(Placing::Mounted),
            Err(error) => return Err(error.into()),
        }
        Ok(Placing::Done(self.settled(&staged)?))
    }

    /// What is to be remembered of a file that has its place.
    fn settled(&mut self, staged: &Staged) -> Result<Stamp, Fault> {
        Phase::Settled.reached(&staged.target);
        let (_, look) = Look::of(&staged.temporary.file)?;
        self.directories.mark_unsynced(&staged.temporary.directory);
        Ok(look.stamp)
    }

    fn write_in_place(
        &mut self,
        directory: &Directory,
        target: &Target,
        bytes: &[u8],
        access: &Access,
    ) -> Result<Written, Fault> {
        let name = name_of(target);
        overwrite(directory, name, bytes, |file| {
            set_access(file, access.owner, access.file_mode).map_err(refused)
        })?;
        match Present::look(directory, name)? {
            Present::File(_, look) => Ok(Written {
                applied: Applied::InPlace,
                stamp: look.stamp,
                is_mounted: true,
            }),
            _ => Err(Errno::STALE.into()),
        }
    }

    fn try_read(&mut self, target: &Target, limit: u64) -> Result<Option<SecretBytes>, Fault> {
        let (parent, name) = split(target)?;
        let Some(directory) = self.existing(&target.root, parent)? else {
            return Ok(None);
        };
        match Present::look(&directory, name) {
            Ok(Present::File(file, look)) if look.size <= limit => {
                Ok(Some(SecretBytes::copy_from(&read_all(&file, look.size)?)))
            }
            Ok(_) => Ok(None),
            Err(fault) if matches!(fault.kind, SinkErrorKind::Directory | SinkErrorKind::Special) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn try_forecast(&mut self, target: &Target, bytes: &[u8], access: &Access) -> Result<Applied, Fault> {
        let (parent, name) = split(target)?;
        if is_temporary(name) {
            return Err(SinkErrorKind::Reserved.into());
        }
        let Some(directory) = self.existing(&target.root, parent)? else {
            return Ok(Applied::Created);
        };
        let present = Present::look(&directory, name)?;
        self.change(&present, bytes, access)
    }

    /// What has to be done to what is there.
    fn change(&mut self, present: &Present, bytes: &[u8], access: &Access) -> Result<Applied, Fault> {
        let (file, look) = match present {
            Present::Absent => return Ok(Applied::Created),
            Present::Replaceable => return Ok(Applied::Replaced),
            Present::File(file, look) => (file, look),
        };
        Ok(match is_equal(file, look.size, bytes, self.buffer())? {
            true if look.has(access) => Applied::Unchanged,
            true => Applied::Access,
            false if look.mounted => Applied::InPlace,
            false => Applied::Replaced,
        })
    }

    fn try_remove(&mut self, target: &Target, stamp: Stamp) -> Result<Removed, Fault> {
        let (parent, name) = split(target)?;
        let Some(directory) = self.existing(&target.root, parent)? else {
            return Ok(Removed::Absent);
        };
        match Present::look(&directory, name) {
            Ok(Present::File(_, look)) if look.stamp == stamp => {}
            Ok(Present::Absent) => return Ok(Removed::Absent),
            Ok(_) => return Ok(Removed::Foreign),
            Err(fault) if matches!(fault.kind, SinkErrorKind::Directory | SinkErrorKind::Special) => {
                return Ok(Removed::Foreign);
            }
            Err(fault) => return Err(fault),
        }
        rustix::fs::unlinkat(&directory.fd, name, AtFlags::empty())?;
        self.directories.mark_unsynced(&directory);
        Ok(Removed::Removed)
    }

    fn try_sweep(&mut self, target: &Target) -> Result<Swept, Fault> {
        let (parent, _) = split(target)?;
        match self.existing(&target.root, parent)? {
            Some(directory) => {
                sweep(&directory).map_err(|errno| Fault::from(errno).at(&directory.place.path()))
            }
            None => Ok(Swept {
                removed: 0,
                is_empty: true,
            }),
        }
    }

    fn sync(&mut self, place: &Target) -> Result<(), Fault> {
        match self.existing(&place.root, &place.relative)? {
            Some(directory) => Ok(directory.sync()?),
            None => Ok(()),
        }
    }

    /// Room for what is compared.
    pub(super) fn buffer(&mut self) -> &mut [u8] {
        if self.buffer.is_empty() {
            self.buffer.resize(BUFFER, 0);
        }
        &mut self.buffer
    }

    pub(super) fn existing(
        &mut self,
        root: &Arc<Path>,
        relative: &Path,
    ) -> Result<Option<Arc<Directory>>, Fault> {
        self.directories
            .get(root, relative, Missing::Leave, &mut self.names)
    }
}

impl Default for Sink {
    fn default() -> Self {
        Self::new()
    }
}

/// The directory and the name of an output, if its path has plain names and nothing else.
fn split(target: &Target) -> Result<(&Path, &OsStr), Fault> {
    let relative = &target.relative;
    let is_plain = relative
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    match (relative.parent(), relative.file_name()) {
        (Some(parent), Some(name)) if is_plain => Ok((parent, name)),
        _ => Err(SinkErrorKind::Outside.into()),
    }
}

/// The last name of a path that [`split`] has let through.
fn name_of(target: &Target) -> &OsStr {
    target.relative.file_name().unwrap_or_default()
}

/// Writes over the content of a file that cannot be replaced. The space is reserved first, so that a full file system
/// is found before the old content is touched.
fn overwrite(
    directory: &Directory,
    name: &OsStr,
    bytes: &[u8],
    set_access: impl FnOnce(BorrowedFd<'_>) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&directory.fd, name, flags, Mode::empty())?;
    let length = bytes.len() as u64;
    if length > 0 {
        match rustix::fs::fallocate(&file, FallocateFlags::KEEP_SIZE, 0, length) {
            Ok(()) | Err(Errno::NOTSUP | Errno::NOSYS | Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    set_access(file.as_fd())?;
    write_all(&file, bytes, 0)?;
    rustix::fs::ftruncate(&file, length)?;
    // What is mounted there may be of another kind than the directory around it.
    if filesystem(&file).unwrap_or(Filesystem::Local) != Filesystem::Memory {
        rustix::fs::fsync(&file)?;
    }
    Ok(())
}

fn copy_access(from: impl AsFd, to: impl AsFd) -> Result<(), Fault> {
    let stat = rustix::fs::fstat(from)?;
    let owner = Owner {
        uid: stat.st_uid,
        gid: Some(stat.st_gid),
    };
    set_access(to, Some(owner), stat.st_mode & 0o7777).map_err(refused)
}

/// Reads a whole file of about `size` bytes, from its beginning.
fn read_all(file: impl AsFd, size: u64) -> Result<Zeroizing<Vec<u8>>, Errno> {
    let size = usize::try_from(size).map_err(|_| Errno::FBIG)?;
    let mut bytes = Zeroizing::new(vec![0; size]);
    let mut filled = 0;
    while filled < size {
        match rustix::io::pread(&file, &mut bytes[filled..], filled as u64) {
            Ok(0) => break,
            Ok(got) => filled += got,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(filled);
    Ok(bytes)
}
