//! What the kernel says about the place of a file: mount points, kinds of file systems, read-only mounts.
//! It decides nothing.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, StatVfsMountFlags, Statx, StatxAttributes, StatxFlags};

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
}
