//! A directory in which a test may mount what it likes.

use std::ffi::CString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::UnshareFlags;
use tempfile::TempDir;

/// A temporary directory whose mounts only this thread and those it starts can see. They go with it.
pub(crate) struct PrivateDirectory(TempDir);

/// Gives the calling thread mounts, a working directory and a umask of its own. `None`, and a word about it, without
/// the right to.
pub(crate) fn private_directory() -> Option<PrivateDirectory> {
    #[expect(
        deprecated,
        reason = "the new form is unsafe for the sake of file descriptors, which stay shared here"
    )]
    let unshared = rustix::thread::unshare(UnshareFlags::NEWNS | UnshareFlags::FS);
    if !rustix::process::geteuid().is_root() || unshared.is_err() {
        eprintln!("not tested: this needs root and its own mounts");
        return None;
    }
    rustix::mount::mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    Some(PrivateDirectory(directory))
}

/// Mounts a tmpfs of `size` at a directory, which is made.
pub(crate) fn mount_memory(at: &Path, size: &str) {
    fs::create_dir_all(at).unwrap();
    let options = CString::new(format!("size={size},mode=0755")).unwrap();
    rustix::mount::mount("tmpfs", at, "tmpfs", MountFlags::empty(), options.as_c_str()).unwrap();
}

impl PrivateDirectory {
    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for PrivateDirectory {
    fn drop(&mut self) {
        let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
        let mounts = table
            .lines()
            .filter_map(|line| line.split(' ').nth(4))
            .map(PathBuf::from);
        for mount in mounts.filter(|mount| mount.starts_with(self.0.path())) {
            let _ = rustix::mount::unmount(&mount, UnmountFlags::DETACH);
        }
    }
}
