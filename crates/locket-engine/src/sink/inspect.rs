//! What can be said about the place of an output before anything is written, for `check`, `plan` and the start.

use std::path::Path;

use locket_sys::mount::{Filesystem, filesystem, is_mount_point, is_read_only};
use rustix::fs::{Access, AtFlags};

use super::directory::{Missing, walk};
use super::error::SinkError;
use super::temporary::Names;

/// What is known about the place of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The kind of file system; anything but [`Filesystem::Memory`] may keep a secret on a disk.
    pub filesystem: Filesystem,
    /// Whether the mount refuses writing.
    pub read_only: bool,
    /// Whether this user may make and rename files there.
    pub permitted: bool,
    /// Whether the output is itself a mount point and so is written in place, where a kill can leave it torn.
    pub in_place: bool,
}

/// Looks at the place of `target`, or at the nearest directory above it that exists.
///
/// # Errors
/// The path leads through a file, or through a link that is not followed.
pub fn inspect(target: &Path) -> Result<Facts, SinkError> {
    let mut names = Names::new();
    let mut directory = target.parent();
    loop {
        let path = directory.unwrap_or(Path::new("/"));
        let found = walk(path, Missing::Leave, &mut names).map_err(|fault| fault.named(target))?;
        if let Some(fd) = found {
            let permitted =
                rustix::fs::accessat(&fd, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
            return Ok(Facts {
                filesystem: filesystem(&fd).unwrap_or(Filesystem::Local),
                read_only: is_read_only(&fd).unwrap_or(false),
                permitted: permitted.is_ok(),
                in_place: is_mount_point(target).unwrap_or(false),
            });
        }
        directory = path.parent();
    }
}
