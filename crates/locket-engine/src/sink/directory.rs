//! The directories of a destination, opened step by step so that no link leads out of it.
//!
//! Each component is opened by itself without following links, which is what `openat2` with `RESOLVE_BENEATH` would
//! refuse, and works in sandboxes that lack that call. A directory once open stays the same one for the round.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use locket_core::plan::{Access, Owner};
use locket_sys::mount::{Filesystem, filesystem};
use rustc_hash::FxHashMap;
use rustix::fs::{AtFlags, CWD, FileType, Gid, Mode, OFlags, RenameFlags, Uid};
use rustix::io::Errno;

use super::error::{Fault, SinkErrorKind};
use super::temporary::Names;
use crate::sources::Target;

/// Open directories at a time; more are opened anew when needed again.
const KEPT_OPEN: usize = 128;

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// An open directory of a destination.
#[derive(Debug)]
pub(super) struct Directory {
    /// Opened with `O_PATH`: good for all `*at` calls, and needs no read permission.
    pub(super) fd: OwnedFd,
    /// Where it is.
    pub(super) place: Target,
    /// Whether what is written there must be flushed to a disk.
    pub(super) filesystem: Filesystem,
}

/// What happens to a directory that does not exist.
#[derive(Clone, Copy)]
pub(super) enum Missing<'a> {
    /// It is made, with exactly this mode and owner.
    Make(&'a Access),
    /// There is none.
    Leave,
}

/// The directories that a round has had to do with.
#[derive(Debug, Default)]
pub(super) struct Directories {
    /// By root and path below it: one directory may be below two roots, and only a root's own path may have links.
    open: FxHashMap<Arc<Path>, FxHashMap<PathBuf, Arc<Directory>>>,
    count: usize,
    /// Those with entries that a disk may not have yet.
    unsynced: BTreeSet<Target>,
}

impl Directories {
    /// The directory at `relative` below `root`, a path of plain names; empty is the root itself.
    pub(super) fn get(
        &mut self,
        root: &Arc<Path>,
        relative: &Path,
        missing: Missing<'_>,
        names: &mut Names,
    ) -> Result<Option<Arc<Directory>>, Fault> {
        if let Some(directory) = self.open.get(root).and_then(|below| below.get(relative)) {
            return Ok(Some(directory.clone()));
        }
        let found = match (relative.parent(), relative.file_name()) {
            (Some(parent), Some(name)) => {
                let Some(parent) = self.get(root, parent, missing, names)? else {
                    return Ok(None);
                };
                let (found, made) = enter(parent.fd.as_fd(), name, missing, names)
                    .map_err(|fault| fault.at(&root.join(relative)))?;
                if made {
                    self.mark_unsynced(&parent);
                }
                found
            }
            _ => walk(root, missing, names)?,
        };
        let Some(fd) = found else {
            return Ok(None);
        };
        let directory = Arc::new(Directory {
            filesystem: filesystem(&fd).unwrap_or(Filesystem::Local),
            fd,
            place: Target {
                root: root.clone(),
                relative: relative.into(),
            },
        });
        if self.count == KEPT_OPEN {
            self.open.clear();
            self.count = 0;
        }
        self.count += 1;
        let below = self.open.entry(root.clone()).or_default();
        below.insert(relative.to_owned(), directory.clone());
        Ok(Some(directory))
    }

    /// Remembers that the entries of `directory` have changed.
    pub(super) fn mark_unsynced(&mut self, directory: &Directory) {
        if directory.filesystem != Filesystem::Memory {
            self.unsynced.insert(directory.place.clone());
        }
    }

    /// Closes what is open at and below `relative`, which is about to be removed.
    pub(super) fn forget_below(&mut self, root: &Arc<Path>, relative: &Path) {
        if let Some(below) = self.open.get_mut(root) {
            let before = below.len();
            below.retain(|path, _| !path.starts_with(relative));
            self.count -= before - below.len();
        }
        self.unsynced
            .retain(|place| place.root != *root || !place.relative.starts_with(relative));
    }

    /// Those whose entries have changed, which are then no longer remembered.
    pub(super) fn take_unsynced(&mut self) -> BTreeSet<Target> {
        std::mem::take(&mut self.unsynced)
    }
}

impl Directory {
    pub(super) fn sync(&self) -> Result<(), Errno> {
        sync(self.fd.as_fd())
    }
}

/// Sets `owner`, where one is asked for, and then `mode`, since a change of owner clears bits of the mode.
pub(super) fn set_access(file: impl AsFd, owner: Option<Owner>, mode: u32) -> Result<(), Errno> {
    if let Some(owner) = owner {
        let gid = owner.gid.map(Gid::from_raw);
        rustix::fs::fchown(&file, Some(Uid::from_raw(owner.uid)), gid)?;
    }
    rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))
}

/// Opens the root, whose path a person chose. Links in it are followed if root or the agent's own user made them:
/// `/var/run` is one, and no other user can turn the path elsewhere.
pub(super) fn walk(path: &Path, missing: Missing<'_>, names: &mut Names) -> Result<Option<OwnedFd>, Fault> {
    let mut at = PathBuf::new();
    let mut current = open_start(path)?;
    let mut rest = steps(path);
    let mut links = 0;
    while let Some(name) = rest.pop() {
        at.push(&name);
        if name == "/" {
            at = PathBuf::from("/");
            current = open_start(&at)?;
            continue;
        }
        if let Some(target) = link_at(current.as_fd(), &name).map_err(|fault| fault.at(&at))? {
            links += 1;
            if links > MOST_LINKS {
                return Err(Fault::from(Errno::LOOP).at(&at));
            }
            at.pop();
            rest.extend(steps(&target));
            continue;
        }
        let (found, made) = enter(current.as_fd(), &name, missing, names).map_err(|fault| fault.at(&at))?;
        if made && filesystem(&current).is_ok_and(|kind| kind != Filesystem::Memory) {
            sync(current.as_fd())?;
        }
        match found {
            Some(fd) => current = fd,
            None => return Ok(None),
        }
    }
    Ok(Some(current))
}

/// The components in reverse, `/` among them.
fn steps(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|component| !matches!(component, Component::CurDir))
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

fn open_start(path: &Path) -> Result<OwnedFd, Fault> {
    let start = if path.is_absolute() { "/" } else { "." };
    Ok(rustix::fs::openat(CWD, start, DIRECTORY, Mode::empty())?)
}

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// What the link called `name` points to, if it is one that may be followed; `None` if it is no link.
fn link_at(parent: impl AsFd, name: &OsStr) -> Result<Option<PathBuf>, Fault> {
    let stat = match rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => stat,
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let trusted = [0, rustix::process::geteuid().as_raw()];
    if !trusted.contains(&stat.st_uid) {
        return Err(SinkErrorKind::Link.into());
    }
    let target = rustix::fs::readlinkat(&parent, name, Vec::new())?;
    Ok(Some(PathBuf::from(OsString::from_vec(target.into_bytes()))))
}

/// Opens the directory `name` in `parent`, never through a link, and says whether it was made.
fn enter(
    parent: impl AsFd,
    name: &OsStr,
    missing: Missing<'_>,
    names: &mut Names,
) -> Result<(Option<OwnedFd>, bool), Fault> {
    match rustix::fs::openat(&parent, name, DIRECTORY, Mode::empty()) {
        Ok(fd) => return Ok((Some(fd), false)),
        Err(Errno::NOENT) => {}
        Err(Errno::NOTDIR | Errno::LOOP) => {
            let stat = rustix::fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?;
            let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
            return Err(if is_link {
                SinkErrorKind::Link.into()
            } else {
                SinkErrorKind::NotDirectory.into()
            });
        }
        Err(error) => return Err(error.into()),
    }
    let Missing::Make(access) = missing else {
        return Ok((None, false));
    };
    let made = make(&parent, name, access, names)?;
    // Whoever was faster may have put a link there, so it is opened with the same care.
    let fd = rustix::fs::openat(&parent, name, DIRECTORY, Mode::empty())?;
    Ok((Some(fd), made))
}

/// Makes a directory with exactly the mode and owner asked for. It appears under its name only when it has them, so
/// that a kill in between leaves nothing that a later start would take for finished.
fn make(parent: impl AsFd, name: &OsStr, access: &Access, names: &mut Names) -> Result<bool, Fault> {
    let temporary = names.next();
    let temporary = temporary.as_str();
    rustix::fs::mkdirat(&parent, temporary, Mode::RWXU)?;
    let done = finish_directory(&parent, temporary, name, access);
    if done.is_err() {
        let _ = rustix::fs::unlinkat(&parent, temporary, AtFlags::REMOVEDIR);
    }
    match done {
        Ok(()) => Ok(true),
        // Another process, or another root of this run, made it meanwhile.
        Err(Fault {
            kind: SinkErrorKind::Io(Errno::EXIST | Errno::NOTEMPTY),
            ..
        }) => Ok(false),
        Err(fault) => Err(fault),
    }
}

fn finish_directory(parent: impl AsFd, temporary: &str, name: &OsStr, access: &Access) -> Result<(), Fault> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(&parent, temporary, flags, Mode::empty())?;
    set_access(&fd, access.owner, access.dir_mode).map_err(refused)?;
    match rustix::fs::renameat_with(&parent, temporary, &parent, name, RenameFlags::NOREPLACE) {
        // Some file systems know only the plain call, which replaces nothing but an empty directory.
        Err(Errno::INVAL | Errno::NOSYS) => Ok(rustix::fs::renameat(&parent, temporary, &parent, name)?),
        result => Ok(result?),
    }
}

/// The fault of a refused change of owner or mode.
pub(super) fn refused(errno: Errno) -> Fault {
    match errno {
        // INVAL: an id that the user namespace does not map.
        Errno::PERM | Errno::INVAL => SinkErrorKind::AccessRefused.into(),
        other => other.into(),
    }
}

fn sync(directory: impl AsFd) -> Result<(), Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    match rustix::fs::openat(directory, ".", flags, Mode::empty()) {
        Ok(readable) => match rustix::fs::fsync(readable) {
            // Some network and FUSE file systems have nothing to flush for a directory.
            Err(Errno::INVAL | Errno::NOTSUP | Errno::BADF) => Ok(()),
            result => result,
        },
        // A directory that may be written but not read cannot be flushed by itself.
        Err(Errno::ACCESS) => Ok(()),
        Err(error) => Err(error),
    }
}
