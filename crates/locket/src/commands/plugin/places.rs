//! Where volumes are mounted: below a directory that only root enters, one directory a volume.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use locket_sys::mount::{self, Memory};

use crate::settings::Writing;

/// Something below the directory that no plugin made.
fn foreign(runtime: &Path) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(runtime)? {
        let path = entry?.path();
        let is_volume = fs::symlink_metadata(&path)?.is_dir()
            && fs::read_dir(&path)?.flatten().all(|below| {
                let name = below.file_name();
                name == "rw" || name == "ro"
            });
        if !is_volume {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// The directory below which volumes are mounted.
#[derive(Clone, Debug)]
pub(super) struct Places {
    runtime: PathBuf,
}

impl Places {
    /// Makes it.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn make(runtime: &Path) -> io::Result<Self> {
        make(runtime)?;
        if let Some(foreign) = foreign(runtime)? {
            let foreign = foreign.display();
            return Err(io::Error::other(format!(
                "it is shut for others, and {foreign} is no volume"
            )));
        }
        // Whoever made it before may have been less careful.
        fs::set_permissions(runtime, Permissions::from_mode(0o700))?;
        Ok(Self {
            runtime: runtime.to_owned(),
        })
    }

    /// Where the plugin writes the files of a volume.
    pub(super) fn written(&self, name: &str) -> PathBuf {
        self.runtime.join(name).join("rw")
    }

    /// Where containers that may not write find them.
    fn read(&self, name: &str) -> PathBuf {
        self.runtime.join(name).join("ro")
    }

    /// Where containers find them.
    pub(super) fn shown(&self, name: &str) -> PathBuf {
        let read = self.read(name);
        match mount::is_mount_point(&read).unwrap_or(false) {
            true => read,
            false => self.written(name),
        }
    }

    /// Whether a volume is mounted.
    pub(super) fn is_mounted(&self, name: &str) -> bool {
        mount::is_mount_point(&self.written(name)).unwrap_or(false)
    }

    /// The names of all that are.
    pub(super) fn mounted(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.runtime).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        names.filter(|name| self.is_mounted(name)).collect()
    }

    /// Mounts a volume, unless it is; says whether it was not.
    ///
    /// # Errors
    /// The system refuses; then nothing is mounted that was not before.
    pub(super) fn mount(&self, name: &str, memory: &Memory, writing: Writing) -> io::Result<bool> {
        let (written, read) = (self.written(name), self.read(name));
        make(&written)?;
        let is_new = !mount::is_mount_point(&written)?;
        if is_new {
            mount::mount_memory(&written, memory)?;
        }
        if writing == Writing::Refused {
            let shown = make(&read).and_then(|()| match mount::is_mount_point(&read)? {
                true => Ok(()),
                false => mount::mount_read_only(&written, &read, memory.limits),
            });
            if let Err(error) = shown {
                if is_new {
                    let _ = mount::unmount(&written);
                }
                return Err(error);
            }
        }
        Ok(is_new)
    }

    /// Takes what is mounted away. Containers that still have it keep it.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn unmount(&self, name: &str) -> io::Result<()> {
        for place in [self.read(name), self.written(name)] {
            match mount::unmount(&place) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            // Only what is empty goes: nothing of ours is ever beside a mount.
            let _ = fs::remove_dir(&place);
        }
        let _ = fs::remove_dir(self.runtime.join(name));
        Ok(())
    }
}

fn make(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
