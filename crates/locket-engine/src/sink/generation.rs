//! A whole directory switched at once, as Kubernetes does it with its volumes.
//!
//! The files of one generation lie in a directory `..locket-0123456789abcdef`. The link `..data` leads to it, and each
//! name that readers use is a link through that one: `name -> ..data/name`. Replacing `..data` is the one step that
//! readers see. What a killed writer leaves is a generation that `..data` does not lead to, and removed later.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use locket_core::SecretBytes;
use locket_core::plan::Access;
use locket_sys::mount::Filesystem;
use rustix::fs::{AtFlags, Dir, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::directory::{Directory, Missing, refused, set_access};
use super::error::{Fault, SinkError, SinkErrorKind};
use super::file::{Look, Present, Stamp, is_equal, write_all};
use super::phase::Phase;
use super::session::{Applied, Removed, Sink};
use super::temporary::{Names, is_generation, is_temporary};
use crate::sources::Target;

/// The link that is replaced.
pub const LINK: &str = "..data";

/// How often a link may be swept away under its maker, or a name be taken.
const ATTEMPTS: usize = 16;

/// One file of a directory that is switched as a whole.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Its path below the directory, of plain names.
    pub relative: &'a Path,
    /// Its content.
    pub bytes: &'a SecretBytes,
    /// Its mode and owner.
    pub access: &'a Access,
}

/// What a directory holds since it was switched, or was found to hold: what [`Sink::remove_directory`] wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generation {
    name: OsString,
    stamps: Vec<(PathBuf, Stamp)>,
}

impl Generation {
    /// The paths of its files below the directory.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Path> {
        self.stamps.iter().map(|(relative, _)| relative.as_path())
    }
}

/// Where the content of an output is: behind the link, if its directory is switched as a whole.
pub(crate) fn place(target: &Target, is_switched: bool) -> Target {
    match is_switched {
        true => Target {
            root: target.root.join(LINK).into(),
            relative: target.relative.clone(),
        },
        false => target.clone(),
    }
}

impl Sink {
    /// Brings the directory at `root` to exactly `members`, all in one step, and says what became of each. Nothing is
    /// done where everything is as it should be. `access` is that of the directories.
    ///
    /// # Errors
    /// Readers see what they saw before; only the links of new names may be missing when the step itself is done.
    pub fn apply_directory(
        &mut self,
        root: &Arc<Path>,
        members: &[Member<'_>],
        access: &Access,
    ) -> Result<(Vec<Applied>, Generation), SinkError> {
        self.try_apply_directory(root, members, access)
            .map_err(|fault| fault.named(root))
    }

    /// Removes what killed runs left in the directory at `root`, and counts it. What a living process is writing stays.
    ///
    /// # Errors
    /// Some could not be removed.
    pub fn sweep_directory(&mut self, root: &Arc<Path>) -> Result<usize, SinkError> {
        let swept = match self.existing(root, Path::new("")) {
            Ok(Some(directory)) => sweep(&directory).map_err(Fault::from),
            Ok(None) => Ok(0),
            Err(fault) => Err(fault),
        };
        swept.map_err(|fault| fault.named(root))
    }

    /// Removes a generation and the links to it, if it is the present one and every file of it is as it was written.
    ///
    /// # Errors
    /// Something of it is still there.
    pub fn remove_directory(
        &mut self,
        root: &Arc<Path>,
        generation: &Generation,
    ) -> Result<Removed, SinkError> {
        self.try_remove_directory(root, generation)
            .map_err(|fault| fault.named(root))
    }

    fn try_apply_directory(
        &mut self,
        root: &Arc<Path>,
        members: &[Member<'_>],
        access: &Access,
    ) -> Result<(Vec<Applied>, Generation), Fault> {
        let directory = self
            .directories
            .get(root, Path::new(""), Missing::Make(access), &mut self.names)?
            .ok_or(Errno::NOENT)?;
        let names = visible(members)?;
        let present = current(&directory)?;
        let applied = self.compare(&directory, present.as_deref(), members)?;
        if let Some(name) = &present
            && applied.iter().all(|applied| *applied == Applied::Unchanged)
            && count(&directory, name)? == members.len()
        {
            self.link(&directory, &names)?;
            let stamps = self.stamps(&directory, name, members)?;
            let generation = Generation {
                name: name.clone(),
                stamps,
            };
            return Ok((applied, generation));
        }
        // A directory in the place of a link cannot be replaced: found out before anything is written.
        for name in &names {
            if is_directory(&directory, name)? {
                return Err(Fault::from(SinkErrorKind::Directory).at(&root.join(name)));
            }
        }
        let target = |relative: &Path| Target {
            root: root.clone(),
            relative: relative.into(),
        };
        Phase::Temporary.reached(&target(Path::new("")));
        let (name, lock) = make(&directory, &mut self.names)?;
        if let Err(fault) = self.fill(&directory, &name, &lock, members, access) {
            let _ = remove_tree(directory.fd.as_fd(), &name);
            return Err(fault);
        }
        Phase::Rename.reached(&target(Path::new(&name)));
        if let Err(errno) = place_link(&directory, &name, OsStr::new(LINK), &mut self.names) {
            let _ = remove_tree(directory.fd.as_fd(), &name);
            return Err(errno.into());
        }
        Phase::Settled.reached(&target(Path::new(LINK)));
        sync_on_disk(&directory)?;
        drop(lock);
        Phase::Link.reached(&target(Path::new(LINK)));
        self.link(&directory, &names)?;
        if let Some(old) = present {
            Phase::Sweep.reached(&target(Path::new(&old)));
            self.directories.forget_below(root, Path::new(&old));
            // A leftover is removed at the next start.
            let _ = remove_tree(directory.fd.as_fd(), &old);
        }
        let stamps = self.stamps(&directory, &name, members)?;
        Ok((applied, Generation { name, stamps }))
    }

    /// What becomes of each member, compared with the present generation.
    fn compare(
        &mut self,
        directory: &Directory,
        present: Option<&OsStr>,
        members: &[Member<'_>],
    ) -> Result<Vec<Applied>, Fault> {
        let Some(present) = present else {
            return Ok(vec![Applied::Created; members.len()]);
        };
        let mut applied = Vec::with_capacity(members.len());
        for member in members {
            applied.push(match self.look(directory, present, member.relative)? {
                Some((file, look)) => {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "the sink compares the value with its file"
                    )]
                    let bytes = member.bytes.expose();
                    let is_equal = is_equal(&file, look.size, bytes, self.buffer())?;
                    match (is_equal, look.has(member.access)) {
                        (true, true) => Applied::Unchanged,
                        (true, false) => Applied::Access,
                        (false, _) => Applied::Replaced,
                    }
                }
                None => Applied::Created,
            });
        }
        Ok(applied)
    }

    fn look(
        &mut self,
        directory: &Directory,
        generation: &OsStr,
        relative: &Path,
    ) -> Result<Option<(OwnedFd, Look)>, Fault> {
        let path = Path::new(generation).join(relative);
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Ok(None);
        };
        let Some(parent) = self.existing(&directory.place.root, parent)? else {
            return Ok(None);
        };
        match Present::look(&parent, name)? {
            Present::File(file, look) => Ok(Some((file, look))),
            _ => Ok(None),
        }
    }

    fn stamps(
        &mut self,
        directory: &Directory,
        generation: &OsStr,
        members: &[Member<'_>],
    ) -> Result<Vec<(PathBuf, Stamp)>, Fault> {
        let mut stamps = Vec::with_capacity(members.len());
        for member in members {
            if let Some((_, look)) = self.look(directory, generation, member.relative)? {
                stamps.push((member.relative.to_owned(), look.stamp));
            }
        }
        Ok(stamps)
    }

    /// Writes all members into a new generation and flushes it.
    fn fill(
        &mut self,
        directory: &Directory,
        generation: &OsStr,
        lock: &OwnedFd,
        members: &[Member<'_>],
        access: &Access,
    ) -> Result<(), Fault> {
        let root = &directory.place.root;
        let is_on_disk = directory.filesystem != Filesystem::Memory;
        let mut parents = BTreeSet::new();
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut written = Vec::with_capacity(members.len());
        for member in members {
            let path = Path::new(generation).join(member.relative);
            let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
                return Err(SinkErrorKind::Outside.into());
            };
            let fault = |fault: Fault| fault.at(&root.join(member.relative));
            let within = self
                .directories
                .get(root, parent, Missing::Make(access), &mut self.names)?
                .ok_or(Errno::NOENT)?;
            let file = rustix::fs::openat(&within.fd, name, flags, Mode::RUSR | Mode::WUSR)
                .map_err(|errno| fault(errno.into()))?;
            set_access(&file, member.access.owner, member.access.file_mode)
                .map_err(|errno| fault(refused(errno)))?;
            #[expect(clippy::disallowed_methods, reason = "the sink puts the value in its file")]
            write_all(&file, member.bytes.expose(), 0).map_err(|errno| {
                // As for a temporary file: a forked child may hold it open for a moment more.
                let _ = rustix::fs::ftruncate(&file, 0);
                fault(errno.into())
            })?;
            if is_on_disk {
                written.push(file);
            }
            parents.extend(parent.ancestors().map(Path::to_owned));
        }
        set_access(lock, access.owner, access.dir_mode).map_err(refused)?;
        if is_on_disk {
            Phase::Sync.reached(&Target {
                root: root.clone(),
                relative: Path::new(generation).into(),
            });
            for file in written {
                rustix::fs::fsync(file)?;
            }
            for parent in parents.iter().rev() {
                if let Some(parent) = self.existing(root, parent)? {
                    parent.sync()?;
                }
            }
        }
        Ok(())
    }

    /// Makes a link for every name that readers use, and removes those that lead to nothing any more.
    fn link(&mut self, directory: &Directory, names: &BTreeSet<OsString>) -> Result<(), Fault> {
        let mut changed = false;
        for name in names {
            let wanted = through(name);
            match rustix::fs::readlinkat(&directory.fd, name.as_os_str(), Vec::new()) {
                Ok(present) if present.to_bytes() == wanted.as_bytes() => continue,
                Ok(_) | Err(Errno::NOENT | Errno::INVAL) => {}
                Err(errno) => return Err(errno.into()),
            }
            place_link(directory, &wanted, name, &mut self.names)
                .map_err(|errno| Fault::from(errno).at(&directory.place.root.join(name)))?;
            changed = true;
        }
        for name in own_links(directory)? {
            if !names.contains(&name) {
                rustix::fs::unlinkat(&directory.fd, name.as_os_str(), AtFlags::empty())?;
                changed = true;
            }
        }
        if changed {
            sync_on_disk(directory)?;
        }
        Ok(())
    }

    fn try_remove_directory(&mut self, root: &Arc<Path>, generation: &Generation) -> Result<Removed, Fault> {
        let Some(directory) = self.existing(root, Path::new(""))? else {
            return Ok(Removed::Absent);
        };
        match current(&directory)? {
            Some(present) if present == generation.name => {}
            Some(_) => return Ok(Removed::Foreign),
            None => return Ok(Removed::Absent),
        }
        if count(&directory, &generation.name)? != generation.stamps.len() {
            return Ok(Removed::Foreign);
        }
        for (relative, stamp) in &generation.stamps {
            let present = self.look(&directory, &generation.name, relative)?;
            if present.is_none_or(|(_, look)| look.stamp != *stamp) {
                return Ok(Removed::Foreign);
            }
        }
        for name in own_links(&directory)? {
            rustix::fs::unlinkat(&directory.fd, name.as_os_str(), AtFlags::empty())?;
        }
        rustix::fs::unlinkat(&directory.fd, LINK, AtFlags::empty())?;
        self.directories.forget_below(root, Path::new(&generation.name));
        remove_tree(directory.fd.as_fd(), &generation.name)?;
        sync_on_disk(&directory)?;
        Ok(Removed::Removed)
    }
}

/// The names that readers use: the first of each path.
fn visible(members: &[Member<'_>]) -> Result<BTreeSet<OsString>, Fault> {
    let mut names = BTreeSet::new();
    for member in members {
        let is_plain = member
            .relative
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        match member.relative.components().next() {
            Some(Component::Normal(name)) if is_plain => {
                if name == LINK || is_generation(name) || is_temporary(name) {
                    return Err(SinkErrorKind::Reserved.into());
                }
                names.insert(name.to_owned());
            }
            _ => return Err(SinkErrorKind::Outside.into()),
        }
    }
    Ok(names)
}

/// Where a name that readers use leads.
fn through(name: &OsStr) -> OsString {
    Path::new(LINK).join(name).into_os_string()
}

/// The generation that readers see. A link of that name that somebody else made is not replaced.
fn current(directory: &Directory) -> Result<Option<OsString>, Fault> {
    let foreign = || Fault::from(SinkErrorKind::Occupied).at(&directory.place.root.join(LINK));
    match rustix::fs::readlinkat(&directory.fd, LINK, Vec::new()) {
        Ok(target) => {
            let name = OsStr::from_bytes(target.to_bytes());
            if is_generation(name) {
                Ok(Some(name.to_owned()))
            } else {
                Err(foreign())
            }
        }
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::INVAL) => Err(foreign()),
        Err(errno) => Err(errno.into()),
    }
}

fn is_directory(directory: &Directory, name: &OsStr) -> Result<bool, Errno> {
    match rustix::fs::statat(&directory.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(FileType::from_raw_mode(stat.st_mode) == FileType::Directory),
        Err(Errno::NOENT) => Ok(false),
        Err(errno) => Err(errno),
    }
}

/// Makes an empty generation and locks it, which tells a sweep that its writer is alive.
fn make(directory: &Directory, names: &mut Names) -> Result<(OsString, OwnedFd), Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    for _ in 0..ATTEMPTS {
        let name = names.next_generation();
        match rustix::fs::mkdirat(&directory.fd, name.as_str(), Mode::RWXU) {
            Ok(()) => {}
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(errno.into()),
        }
        let opened = match rustix::fs::openat(&directory.fd, name.as_str(), flags, Mode::empty()) {
            Ok(opened) => opened,
            // Swept away before it was locked.
            Err(Errno::NOENT) => continue,
            Err(errno) => return Err(errno.into()),
        };
        let is_ours = match rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => false,
            Ok(()) => rustix::fs::fstat(&opened).is_ok_and(|stat| stat.st_nlink > 0),
            Err(_) => true,
        };
        if is_ours {
            return Ok((name.into(), opened));
        }
    }
    Err(Errno::EXIST.into())
}

/// Puts a link in place of whatever has its name.
fn place_link(directory: &Directory, leads_to: &OsStr, name: &OsStr, names: &mut Names) -> Result<(), Errno> {
    for _ in 0..ATTEMPTS {
        let temporary = names.next();
        match rustix::fs::symlinkat(leads_to, &directory.fd, temporary.as_str()) {
            Ok(()) => {}
            Err(Errno::EXIST) => continue,
            Err(errno) => return Err(errno),
        }
        match rustix::fs::renameat(&directory.fd, temporary.as_str(), &directory.fd, name) {
            // Swept away by a process that starts.
            Err(Errno::NOENT) => {}
            Err(errno) => {
                let _ = rustix::fs::unlinkat(&directory.fd, temporary.as_str(), AtFlags::empty());
                return Err(errno);
            }
            Ok(()) => return Ok(()),
        }
    }
    Err(Errno::EXIST)
}

/// The links to names of a generation that are in a directory.
fn own_links(directory: &Directory) -> Result<Vec<OsString>, Errno> {
    let mut links = entries(directory.fd.as_fd())?;
    links.retain(|name| {
        rustix::fs::readlinkat(&directory.fd, name.as_os_str(), Vec::new())
            .is_ok_and(|target| target.to_bytes() == through(name).as_bytes())
    });
    Ok(links)
}

fn sweep(directory: &Directory) -> Result<usize, Errno> {
    let mut removed = 0;
    let mut failure = None;
    for name in entries(directory.fd.as_fd())? {
        let swept = if is_generation(&name) {
            sweep_generation(directory, &name)
        } else if is_temporary(&name)
            && rustix::fs::readlinkat(&directory.fd, name.as_os_str(), Vec::new()).is_ok()
        {
            rustix::fs::unlinkat(&directory.fd, name.as_os_str(), AtFlags::empty()).map(|()| true)
        } else {
            Ok(false)
        };
        match swept {
            Ok(gone) => removed += usize::from(gone),
            Err(Errno::NOENT) => {}
            Err(errno) => failure = failure.or(Some(errno)),
        }
    }
    failure.map_or(Ok(removed), Err)
}

fn sweep_generation(directory: &Directory, name: &OsStr) -> Result<bool, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let is_present = || {
        rustix::fs::readlinkat(&directory.fd, LINK, Vec::new())
            .is_ok_and(|target| target.to_bytes() == name.as_bytes())
    };
    if is_present() {
        return Ok(false);
    }
    let opened = rustix::fs::openat(&directory.fd, name, flags, Mode::empty())?;
    if let Err(Errno::WOULDBLOCK) = rustix::fs::flock(&opened, FlockOperation::NonBlockingLockExclusive) {
        return Ok(false);
    }
    // Its writer holds the lock until readers see it.
    if is_present() {
        return Ok(false);
    }
    remove_tree(directory.fd.as_fd(), name).map(|()| true)
}

/// How many files a generation has.
fn count(directory: &Directory, generation: &OsStr) -> Result<usize, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match rustix::fs::openat(&directory.fd, generation, flags, Mode::empty()) {
        Ok(opened) => opened,
        Err(Errno::NOENT) => return Ok(0),
        Err(errno) => return Err(errno),
    };
    count_below(&opened)
}

fn count_below(directory: &OwnedFd) -> Result<usize, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut files = 0;
    for name in entries(directory.as_fd())? {
        match rustix::fs::openat(directory, name.as_os_str(), flags, Mode::empty()) {
            Ok(below) => files += count_below(&below)?,
            Err(Errno::NOTDIR | Errno::LOOP) => files += 1,
            Err(errno) => return Err(errno),
        }
    }
    Ok(files)
}

fn remove_tree(parent: impl AsFd, name: &OsStr) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat(&parent, name, flags, Mode::empty()) {
        Ok(opened) => {
            // Its mode may keep even its owner from removing what is in it.
            let _ = rustix::fs::fchmod(&opened, Mode::RWXU);
            for below in entries(opened.as_fd())? {
                remove_tree(opened.as_fd(), &below)?;
            }
            rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)
        }
        Err(Errno::NOTDIR | Errno::LOOP) => rustix::fs::unlinkat(&parent, name, AtFlags::empty()),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// The names in a directory but `.` and `..`.
fn entries(directory: impl AsFd) -> Result<Vec<OsString>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let readable = rustix::fs::openat(directory, ".", flags, Mode::empty())?;
    let mut names = Vec::new();
    for entry in Dir::new(readable)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(OsStr::from_bytes(name).to_owned());
        }
    }
    Ok(names)
}

fn sync_on_disk(directory: &Directory) -> Result<(), Errno> {
    match directory.filesystem {
        Filesystem::Memory => Ok(()),
        _ => directory.sync(),
    }
}
