//! The sink against what real systems do to it: full and read-only file systems, other users, mounts, the umask.
//!
//! Each test runs in mounts and under a umask of its own thread, so it changes nothing outside of itself. That needs
//! root; without it the tests say so and pass.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this whole file is a test"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use locket_core::SecretBytes;
use locket_core::plan::{Access, Owner};
use locket_engine::sink::{Applied, Approach, Sink, SinkError, SinkErrorKind, Written, inspect};
use locket_engine::sources::Target;
use rustix::fs::{CWD, Gid, Mode, Uid};
use rustix::mount::MountFlags;
use rustix::process::{Resource, Rlimit};

use support::{mount_memory, private_directory};

mod support;

const ACCESS: Access = Access {
    file_mode: 0o644,
    dir_mode: 0o755,
    owner: None,
};
const NOBODY: u32 = 65534;

/// A small ext4 file system, since full disks fail elsewhere than full memory.
fn mount_disk(directory: &Path, at: &Path, blocks: u32) {
    let image = directory.join("image");
    fs::create_dir_all(at).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        let status = std::process::Command::new(program)
            .args(arguments)
            .output()
            .unwrap();
        assert!(status.status.success(), "{program}: {status:?}");
    };
    let (image, at, blocks) = (image.to_str().unwrap(), at.to_str().unwrap(), blocks.to_string());
    run(
        "mkfs.ext4",
        &[
            "-q",
            "-b",
            "1024",
            "-O",
            "^has_journal",
            "-m",
            "0",
            image,
            &blocks,
        ],
    );
    run("mount", &["-o", "loop", image, at]);
}

/// Does `work` on a thread of a user without rights, in the same mounts.
fn as_nobody(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            rustix::thread::set_thread_groups(&[]).unwrap();
            let gid = Gid::from_raw(NOBODY);
            rustix::thread::set_thread_res_gid(gid, gid, gid).unwrap();
            let uid = Uid::from_raw(NOBODY);
            rustix::thread::set_thread_res_uid(uid, uid, uid).unwrap();
            work();
        });
        thread.join().unwrap();
    });
}

fn target(root: &Path, relative: &str) -> Target {
    Target {
        root: root.into(),
        relative: Path::new(relative).into(),
    }
}

fn put(root: &Path, relative: &str, bytes: &[u8], access: &Access) -> Result<Written, SinkError> {
    let mut sink = Sink::new();
    let written = sink.apply(&target(root, relative), &SecretBytes::copy_from(bytes), access)?;
    match sink.finish().into_iter().next() {
        Some(error) => Err(error),
        None => Ok(written),
    }
}

fn names(directory: &Path) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| PathBuf::from(entry.unwrap().file_name()))
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_full_file_system_in_memory_keeps_the_old_content() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    mount_memory(&out, "64k");
    put(&out, "a", &[b'o'; 20_000], &ACCESS).unwrap();
    let error = put(&out, "a", &[b'n'; 60_000], &ACCESS).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Full);
    assert!(error.hint().contains("size="), "{}", error.hint());
    assert_eq!(fs::read(out.join("a")).unwrap(), [b'o'; 20_000]);
    assert_eq!(names(&out), [Path::new("a")], "no temporary file is left");
    assert_eq!(
        put(&out, "a", &[b'n'; 20_000], &ACCESS).unwrap().applied,
        Applied::Replaced,
        "what fits is still written"
    );
}

#[test]
fn a_full_disk_keeps_the_old_content_and_uses_what_a_flush_frees() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    mount_disk(directory.path(), &out, 2048);
    let free = || {
        let stat = rustix::fs::statvfs(&out).unwrap();
        stat.f_bavail * stat.f_frsize
    };
    let size = usize::try_from(free() / 5 * 2).unwrap();
    put(&out, "a", &vec![b'o'; size], &ACCESS).unwrap();
    put(&out, "b", &vec![b'o'; size], &ACCESS).unwrap();
    let error = put(&out, "a", &vec![b'n'; size], &ACCESS).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Full);
    assert_eq!(fs::read(out.join("a")).unwrap(), vec![b'o'; size]);

    // Half of each fits beside the old, but only if the first is in place before the second is written.
    fs::remove_file(out.join("b")).unwrap();
    put(&out, "b", &vec![b'o'; size / 4], &ACCESS).unwrap();
    let mut sink = Sink::new();
    for (name, size) in [("a", size), ("b", size)] {
        sink.apply(
            &target(&out, name),
            &SecretBytes::copy_from(&vec![b'n'; size]),
            &ACCESS,
        )
        .unwrap();
    }
    assert_eq!(sink.finish(), []);
    for name in ["a", "b"] {
        assert_eq!(fs::read(out.join(name)).unwrap(), vec![b'n'; size]);
    }
    let left: Vec<_> = names(&out)
        .into_iter()
        .filter(|name| name != Path::new("lost+found"))
        .collect();
    assert_eq!(left, [Path::new("a"), Path::new("b")]);
}

#[test]
fn a_read_only_destination_is_said_to_be_one() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    fs::create_dir(&out).unwrap();
    put(&out, "a", b"old", &ACCESS).unwrap();
    rustix::mount::mount_bind(&out, &out).unwrap();
    assert!(!inspect(&out.join("a")).unwrap().read_only);
    rustix::mount::mount_remount(&out, MountFlags::BIND | MountFlags::RDONLY, "").unwrap();
    assert!(inspect(&out.join("a")).unwrap().read_only);
    for (path, bytes) in [("a", b"new".as_slice()), ("b", b"new"), ("dir/c", b"new")] {
        let error = put(&out, path, bytes, &ACCESS).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::ReadOnly, "{path}");
        assert!(error.hint().contains(":ro"), "{}", error.hint());
    }
    assert_eq!(
        put(&out, "a", b"old", &ACCESS).unwrap().applied,
        Applied::Unchanged,
        "nothing to write is no failure"
    );
    assert_eq!(fs::read(out.join("a")).unwrap(), b"old");
}

#[test]
fn a_target_linked_to_another_users_file_is_replaced_and_that_file_untouched() {
    let Some(directory) = private_directory() else {
        return;
    };
    let theirs = directory.path().join("theirs");
    fs::write(&theirs, "precious").unwrap();
    chown(&theirs, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::set_permissions(&theirs, fs::Permissions::from_mode(0o666)).unwrap();
    let out = directory.path().join("out");
    fs::create_dir(&out).unwrap();
    symlink(&theirs, out.join("a")).unwrap();
    assert_eq!(
        put(&out, "a", b"secret", &ACCESS).unwrap().applied,
        Applied::Replaced
    );
    assert_eq!(fs::read(&theirs).unwrap(), b"precious");
    assert_eq!(mode(&theirs), 0o666);
    assert_eq!(fs::metadata(&theirs).unwrap().uid(), NOBODY);
    assert_eq!(fs::metadata(out.join("a")).unwrap().uid(), 0);
}

#[test]
fn another_users_link_in_the_path_of_the_destination_is_not_followed() {
    let Some(directory) = private_directory() else {
        return;
    };
    let elsewhere = directory.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = directory.path().join("link");
    symlink(&elsewhere, &link).unwrap();
    put(&link, "a", b"secret", &ACCESS).unwrap();
    assert_eq!(names(&elsewhere), [Path::new("a")], "our own link is the control");
    rustix::fs::chownat(
        CWD,
        &link,
        Some(Uid::from_raw(NOBODY)),
        None,
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    )
    .unwrap();
    for path in ["b", "dir/c"] {
        let error = put(&link, path, b"secret", &ACCESS).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Link);
        assert_eq!(error.at, link);
    }
    assert_eq!(inspect(&link.join("b")).unwrap_err().kind, SinkErrorKind::Link);
    assert_eq!(names(&elsewhere), [Path::new("a")]);
}

#[test]
fn a_user_without_rights_puts_new_outputs_in_place() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    mount_memory(&out, "64k");
    chown(&out, Some(NOBODY), Some(NOBODY)).unwrap();
    as_nobody(|| {
        let mut sink = Sink::new();
        for name in ["a", "b"] {
            let value = SecretBytes::copy_from(name.as_bytes());
            let created = sink.apply_by(&target(&out, name), &value, &ACCESS, Approach::Create);
            assert_eq!(created.unwrap().applied, Applied::Created);
        }
        assert_eq!(sink.finish(), []);
    });
    assert_eq!(fs::metadata(out.join("a")).unwrap().uid(), NOBODY);
    assert_eq!(fs::read(out.join("b")).unwrap(), b"b");
    assert_eq!(names(&out), [Path::new("a"), Path::new("b")]);
}

#[test]
fn modes_are_exact_whatever_the_umask() {
    let Some(directory) = private_directory() else {
        return;
    };
    for mask in [0o077, 0o777, 0o000] {
        rustix::process::umask(Mode::from_raw_mode(mask));
        let out = directory.path().join(format!("out-{mask:o}"));
        put(&out, "dir/a", b"secret", &ACCESS).unwrap();
        assert_eq!(mode(&out.join("dir/a")), 0o644, "umask {mask:o}");
        assert_eq!(mode(&out.join("dir")), 0o755, "umask {mask:o}");
        assert_eq!(mode(&out), 0o755, "umask {mask:o}");
        put(&out, "dir/a", b"other", &ACCESS).unwrap();
        assert_eq!(mode(&out.join("dir/a")), 0o644, "umask {mask:o}");

        let memory = directory.path().join(format!("memory-{mask:o}"));
        mount_memory(&memory, "64k");
        let (place, value) = (target(&memory, "a"), SecretBytes::copy_from(b"secret"));
        let created = Sink::new().apply_by(&place, &value, &ACCESS, Approach::Create);
        assert_eq!(created.unwrap().applied, Applied::Created);
        assert_eq!(mode(&memory.join("a")), 0o644, "umask {mask:o}");
    }
    rustix::process::umask(Mode::from_raw_mode(0o022));
}

#[test]
fn owners_are_given_to_new_present_and_changed_outputs_and_their_directories() {
    let Some(directory) = private_directory() else {
        return;
    };
    let owned = |uid, gid| Access {
        file_mode: 0o4440,
        owner: Some(Owner { uid, gid }),
        ..ACCESS
    };
    let owner = |path: &Path| {
        let stat = fs::metadata(path).unwrap();
        (stat.uid(), stat.gid(), stat.mode() & 0o7777)
    };
    let out = directory.path().join("out");
    let file = out.join("dir/a");
    put(&out, "dir/a", b"one", &owned(1000, Some(2000))).unwrap();
    assert_eq!(
        owner(&file),
        (1000, 2000, 0o4440),
        "the mode outlives the change of owner"
    );
    assert_eq!(owner(&out.join("dir")), (1000, 2000, 0o755));

    let inode = fs::metadata(&file).unwrap().ino();
    let written = put(&out, "dir/a", b"one", &owned(1001, Some(2001))).unwrap();
    assert_eq!(written.applied, Applied::Access);
    assert_eq!(owner(&file), (1001, 2001, 0o4440));
    assert_eq!(fs::metadata(&file).unwrap().ino(), inode);
    assert_eq!(
        owner(&out.join("dir")),
        (1000, 2000, 0o755),
        "present directories are left alone"
    );

    put(&out, "dir/a", b"two", &owned(1002, None)).unwrap();
    assert_eq!(owner(&file), (1002, 0, 0o4440));
}

#[test]
fn a_user_who_may_not_give_files_away_is_told_so_and_nothing_is_left() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    fs::create_dir(&out).unwrap();
    chown(&out, Some(NOBODY), Some(NOBODY)).unwrap();
    fs::write(out.join("rooted"), "same").unwrap();
    as_nobody(|| {
        let access = Access {
            owner: Some(Owner { uid: 1000, gid: None }),
            ..ACCESS
        };
        for path in ["a", "dir/a"] {
            let error = put(&out, path, b"secret", &access).unwrap_err();
            assert_eq!(error.kind, SinkErrorKind::AccessRefused, "{path}");
            assert!(error.hint().contains("CAP_CHOWN"));
        }
        assert_eq!(names(&out), [Path::new("rooted")]);

        // Another user's file with the right content and the wrong mode: one of our own takes its place.
        let strict = Access {
            file_mode: 0o600,
            ..ACCESS
        };
        assert_eq!(
            put(&out, "rooted", b"same", &strict).unwrap().applied,
            Applied::Access
        );
        assert_eq!(fs::metadata(out.join("rooted")).unwrap().uid(), NOBODY);
        assert_eq!(mode(&out.join("rooted")), 0o600);
    });
}

#[test]
fn a_directory_of_another_user_is_refused_with_its_name() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    put(&out, "a", b"old", &ACCESS).unwrap();
    put(
        &out,
        "secret",
        b"old",
        &Access {
            file_mode: 0o600,
            ..ACCESS
        },
    )
    .unwrap();
    as_nobody(|| {
        for path in ["a", "b", "secret"] {
            let error = put(&out, path, b"new", &ACCESS).unwrap_err();
            assert_eq!(error.kind, SinkErrorKind::Denied, "{path}");
            assert!(error.hint().contains(out.to_str().unwrap()), "{}", error.hint());
        }
        assert!(!inspect(&out.join("a")).unwrap().permitted);
        assert_eq!(
            put(&out, "a", b"old", &ACCESS).unwrap().applied,
            Applied::Unchanged
        );
    });
}

#[test]
fn a_file_that_may_be_replaced_but_not_read_is_replaced() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    fs::create_dir(&out).unwrap();
    chown(&out, Some(NOBODY), Some(NOBODY)).unwrap();
    as_nobody(|| {
        let unreadable = Access {
            file_mode: 0o000,
            ..ACCESS
        };
        for text in [b"one", b"two"] {
            put(&out, "a", text, &unreadable).unwrap();
            assert_eq!(mode(&out.join("a")), 0);
        }
        assert_eq!(
            put(&out, "a", b"two", &ACCESS).unwrap().applied,
            Applied::Replaced
        );
        assert_eq!(fs::read(out.join("a")).unwrap(), b"two");
    });
}

#[test]
fn a_bound_file_is_written_in_place_and_announced() {
    let Some(directory) = private_directory() else {
        return;
    };
    for (out, inside) in [("disk", "disk-inside"), ("memory", "memory-inside")] {
        let (out, inside) = (directory.path().join(out), directory.path().join(inside));
        if out.ends_with("memory") {
            mount_memory(&out, "1m");
        }
        put(&out, "a", b"old content", &ACCESS).unwrap();
        fs::write(&inside, "").unwrap();
        rustix::mount::mount_bind(out.join("a"), &inside).unwrap();
        let name = inside.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(inspect(&inside).unwrap().in_place);
        assert!(!inspect(&out.join("a")).unwrap().in_place);

        let inode = fs::metadata(&inside).unwrap().ino();
        for text in [b"new".as_slice(), b"something longer", b""] {
            let access = Access {
                file_mode: 0o600,
                ..ACCESS
            };
            let written = put(directory.path(), &name, text, &access).unwrap();
            assert_eq!(written.applied, Applied::InPlace);
            assert_eq!(
                fs::read(out.join("a")).unwrap(),
                text,
                "the other name shows it too"
            );
            assert_eq!(mode(&inside), 0o600);
            let again = put(directory.path(), &name, text, &access).unwrap();
            assert_eq!((again.applied, again.stamp), (Applied::Unchanged, written.stamp));
        }
        assert_eq!(fs::metadata(&inside).unwrap().ino(), inode);
    }
}

#[test]
fn a_bound_file_on_a_full_file_system_keeps_the_old_content() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    let inside = directory.path().join("inside");
    mount_memory(&out, "64k");
    put(&out, "a", &[b'o'; 9_000], &ACCESS).unwrap();
    fs::write(&inside, "").unwrap();
    rustix::mount::mount_bind(out.join("a"), &inside).unwrap();
    let error = put(directory.path(), "inside", &[b'n'; 90_000], &ACCESS).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Full);
    assert_eq!(fs::read(&inside).unwrap(), [b'o'; 9_000]);
}

#[test]
fn a_mount_inside_the_destination_is_part_of_it() {
    let Some(directory) = private_directory() else {
        return;
    };
    let out = directory.path().join("out");
    mount_memory(&out.join("inner"), "1m");
    put(&out, "inner/dir/a", b"secret", &ACCESS).unwrap();
    assert_eq!(fs::read(out.join("inner/dir/a")).unwrap(), b"secret");
}

#[test]
fn a_thousand_destinations_stay_below_a_low_limit_of_open_files() {
    let directory = tempfile::tempdir().unwrap();
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let current = Some(512);
    rustix::process::setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    let mut sink = Sink::new();
    for n in 0..1000 {
        let root = directory.path().join(format!("root{n}"));
        sink.apply(&target(&root, "a"), &SecretBytes::copy_from(b"v"), &ACCESS)
            .unwrap();
    }
    assert_eq!(sink.finish(), []);
    for n in 0..1000 {
        assert!(directory.path().join(format!("root{n}/a")).exists());
    }
}
