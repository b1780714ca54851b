//! What the kernel says about the place of a file: mount points, kinds of file systems, read-only mounts; and mounting
//! file systems in memory. It decides nothing.

use std::ffi::{CString, OsStr};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatVfsMountFlags, Statx, StatxAttributes, StatxFlags};
use rustix::mount::{MountFlags, UnmountFlags};

/// A kind of file system, as far as it matters to what is written or watched there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Filesystem {
    /// In memory only (tmpfs, ramfs): nothing reaches a disk, so nothing needs to be flushed to one.
    Memory,
    /// Changed by other machines too (NFS, SMB, 9P, Ceph, FUSE…): inotify does not see their changes.
    Remote,
    /// Anything else.
    Local,
}

/// Whether something is mounted exactly on the opened file or directory; `None` on kernels before 5.8.
pub fn is_mount_root(stat: &Statx) -> Option<bool> {
    stat.stx_attributes_mask
        .contains(StatxAttributes::MOUNT_ROOT)
        .then(|| stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether something is mounted exactly on `path`: a file system, or a single file bound there. A symlink at `path`
/// is not followed.
///
/// # Errors
/// There is nothing at `path`, or it cannot be looked at.
pub fn is_mount_point(path: &Path) -> io::Result<bool> {
    let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT;
    match rustix::fs::statx(CWD, path, flags, StatxFlags::TYPE) {
        Ok(stat) => {
            if let Some(answer) = is_mount_root(&stat) {
                return Ok(answer);
            }
        }
        // Sandboxes older than the call refuse it.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => {}
        Err(error) => return Err(error.into()),
    }
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let table = std::fs::read("/proc/thread-self/mountinfo")?;
    Ok(is_listed(&table, &parent.canonicalize()?.join(name)))
}

/// The kind of file system that `file` is on.
///
/// # Errors
/// The file system does not answer.
pub fn filesystem(file: impl AsFd) -> io::Result<Filesystem> {
    // Magic numbers from the kernel's include/uapi/linux/magic.h and the file systems' own headers.
    const MEMORY: [u32; 2] = [0x0102_1994, 0x8584_58F6];
    const REMOTE: [u32; 11] = [
        0x6969,      // NFS
        0x517B,      // SMB
        0xFF53_4D42, // CIFS
        0xFE53_4D42, // SMB2
        0x0102_1997, // 9P
        0x00C3_6400, // Ceph
        0x6573_5546, // FUSE, virtiofs
        0x0BD0_0BD0, // Lustre
        0x7461_636F, // OCFS2
        0x0116_1970, // GFS2
        0x5346_414F, // AFS
    ];
    // The field's width and sign differ between architectures; the numbers have 32 bits.
    let magic = rustix::fs::fstatfs(file)?.f_type as u32;
    Ok(if MEMORY.contains(&magic) {
        Filesystem::Memory
    } else if REMOTE.contains(&magic) {
        Filesystem::Remote
    } else {
        Filesystem::Local
    })
}

/// Whether `file` is on a mount that refuses writing, whatever the modes say.
///
/// # Errors
/// The file system does not answer.
pub fn is_read_only(file: impl AsFd) -> io::Result<bool> {
    Ok(rustix::fs::fstatvfs(file)?
        .f_flag
        .contains(StatVfsMountFlags::RDONLY))
}

/// The lines of `table`, the content of a `/proc/PID/mountinfo`, that concern `paths`: what is mounted on them, above
/// them or below them. Equal answers mean that the same things are mounted there.
pub fn mounts_near(table: &[u8], paths: &[&Path]) -> Vec<Vec<u8>> {
    let concerns = |line: &&[u8]| {
        mount_point(line).is_some_and(|point| {
            let point = Path::new(OsStr::from_bytes(&point));
            paths
                .iter()
                .any(|path| point.starts_with(path) || path.starts_with(point))
        })
    };
    let lines = table.split(|&byte| byte == b'\n').filter(concerns);
    lines.map(<[u8]>::to_vec).collect()
}

/// A file system in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// How much it may hold, in bytes.
    pub size: u64,
    /// Permission bits of its root.
    pub mode: u32,
    /// Who owns its root.
    pub uid: u32,
    /// The group of its root.
    pub gid: u32,
    /// What may not be done there.
    pub limits: MountLimits,
}

/// What may not be done on a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MountLimits {
    /// Programs are not run.
    pub noexec: bool,
    /// Programs get nobody's rights.
    pub nosuid: bool,
    /// Device files are no devices.
    pub nodev: bool,
}

/// Mounts `memory` on the directory `path`; not to be swapped out, where the kernel knows how (6.4).
///
/// # Errors
/// The kernel refuses, as it does without the capability CAP_SYS_ADMIN.
pub fn mount_memory(path: &Path, memory: &Memory) -> io::Result<()> {
    let Memory {
        size, mode, uid, gid, ..
    } = memory;
    let options = format!("size={size},mode={mode:o},uid={uid},gid={gid}");
    let mount = |options: String| {
        let options = CString::new(options).map_err(io::Error::from)?;
        let flags = memory.limits.flags();
        rustix::mount::mount(c"locket", path, c"tmpfs", flags, options.as_c_str()).map_err(io::Error::from)
    };
    match mount(format!("{options},noswap")) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => mount(options),
        done => done,
    }
}

/// Shows the directory `from` at `path` so that nothing can be written through that.
///
/// # Errors
/// The kernel refuses; then nothing is mounted.
pub fn mount_read_only(from: &Path, path: &Path, limits: MountLimits) -> io::Result<()> {
    rustix::mount::mount_bind(from, path)?;
    let flags = MountFlags::BIND | MountFlags::RDONLY | limits.flags();
    let made = rustix::mount::mount_remount(path, flags, c"");
    // Other namespaces were given the mount before it became read-only; what is mounted over it is from the beginning.
    let made = made.and_then(|()| rustix::mount::mount_bind(path, path));
    made.map_err(|error| {
        let _ = unmount(path);
        error.into()
    })
}

/// Takes away what is mounted on `path`, all of it, at once: whoever uses it keeps it.
///
/// # Errors
/// The kernel refuses.
pub fn unmount(path: &Path) -> io::Result<()> {
    // As often as something was mounted there.
    while is_mount_point(path)? {
        rustix::mount::unmount(path, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?;
    }
    Ok(())
}

impl MountLimits {
    fn flags(self) -> MountFlags {
        let set = [
            (self.noexec, MountFlags::NOEXEC),
            (self.nosuid, MountFlags::NOSUID),
            (self.nodev, MountFlags::NODEV),
        ];
        set.into_iter()
            .filter(|(is_set, _)| *is_set)
            .fold(MountFlags::empty(), |flags, (_, flag)| flags | flag)
    }
}

/// Whether `path` is the mount point of a line of `table`.
fn is_listed(table: &[u8], path: &Path) -> bool {
    table
        .split(|&byte| byte == b'\n')
        .any(|line| mount_point(line).is_some_and(|point| point == path.as_os_str().as_bytes()))
}

/// The fifth field of a line of `/proc/PID/mountinfo` (proc(5)).
fn mount_point(line: &[u8]) -> Option<Vec<u8>> {
    line.split(|&byte| byte == b' ').nth(4).map(unescape)
}

/// Undoes the octal escapes of spaces, tabs, line ends and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        match (byte, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                plain.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                plain.push(byte);
                rest = after;
            }
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[u8] = b"22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        23 22 0:5 / /with\\040space rw shared:1 - tmpfs none rw\n\
        24 22 0:6 /file /back\\134slash rw - tmpfs none rw\n";

    #[test]
    fn escaped_mount_points_are_found_in_the_table() {
        for listed in ["/", "/with space", "/back\\slash"] {
            assert!(is_listed(TABLE, Path::new(listed)), "{listed}");
        }
        for absent in ["/with", "/file", "254:0", ""] {
            assert!(!is_listed(TABLE, Path::new(absent)), "{absent}");
        }
    }

    #[test]
    fn mounts_on_above_and_below_a_path_concern_it() {
        let near = |path: &str| mounts_near(TABLE, &[Path::new(path)]).len();
        assert_eq!(near("/with space/deep"), 2, "the root and the mount above");
        assert_eq!(near("/with space"), 2);
        assert_eq!(near("/with"), 1, "a name that only begins alike is another");
        assert_eq!(near("/"), 3);
    }

    #[test]
    fn the_kernel_and_the_table_agree_on_proc() {
        assert!(is_mount_point(Path::new("/proc")).unwrap());
        assert!(!is_mount_point(Path::new("/proc/self/status")).unwrap());
        let table = std::fs::read("/proc/self/mountinfo").unwrap();
        assert!(is_listed(&table, Path::new("/proc")));
        assert!(is_mount_point(Path::new("/nowhere/at/all")).is_err());
    }

    #[test]
    fn memory_and_local_file_systems_are_told_apart() {
        let shm = std::fs::File::open("/dev/shm").unwrap();
        assert_eq!(filesystem(&shm).unwrap(), Filesystem::Memory);
        assert!(!is_read_only(&shm).unwrap());
        let proc = std::fs::File::open("/proc").unwrap();
        assert_eq!(filesystem(&proc).unwrap(), Filesystem::Local);
    }

    #[test]
    fn a_file_system_in_memory_is_as_it_was_asked_for_and_its_copy_cannot_be_written() {
        use std::os::unix::fs::MetadataExt;

        if !rustix::process::geteuid().is_root() {
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        let [real, shown] = ["real", "shown"].map(|name| directory.path().join(name));
        for path in [&real, &shown] {
            std::fs::create_dir(path).unwrap();
        }
        let limits = MountLimits {
            noexec: true,
            nosuid: true,
            nodev: true,
        };
        let memory = Memory {
            size: 512 << 10,
            mode: 0o750,
            uid: 7,
            gid: 8,
            limits,
        };
        if mount_memory(&real, &memory).is_err() {
            // A container without the capability.
            return;
        }
        mount_read_only(&real, &shown, limits).unwrap();
        let root = std::fs::metadata(&real).unwrap();
        let file = std::fs::File::open(&real).unwrap();
        let full = std::fs::write(real.join("big"), vec![1; 1 << 20]);
        std::fs::remove_file(real.join("big")).unwrap();
        std::fs::write(real.join("file"), "text").unwrap();
        let through = std::fs::write(shown.join("file"), "other");
        let (seen, kind) = (std::fs::read(shown.join("file")), filesystem(&file));
        drop(file);
        for path in [&shown, &real] {
            unmount(path).unwrap();
            unmount(path).unwrap();
            assert!(!is_mount_point(path).unwrap());
        }
        assert_eq!(
            (root.mode() & 0o7777, root.uid(), root.gid()),
            (0o750, 7, 8),
            "its root"
        );
        assert_eq!(kind.unwrap(), Filesystem::Memory);
        assert!(full.is_err(), "it is no larger than asked for");
        assert_eq!(seen.unwrap(), b"text");
        assert!(through.is_err(), "nothing is written through the copy");
    }
}
