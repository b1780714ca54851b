use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use locket_core::SecretBytes;
use locket_core::plan::Access;
use rustix::fs::{CWD, FlockOperation, Mode};
use rustix::io::Errno;
use tempfile::TempDir;

use super::directory::{Directories, Missing};
use super::temporary::{Names, Naming, Unnamed};
use super::{Applied, Approach, Removed, Sink, SinkError, SinkErrorKind, Written, inspect};
use crate::sources::Target;

const ACCESS: Access = Access {
    file_mode: 0o640,
    dir_mode: 0o750,
    owner: None,
};

/// A destination on a disk and one in memory, since the two are written in different ways.
fn destinations() -> [TempDir; 2] {
    [
        tempfile::tempdir().unwrap(),
        tempfile::tempdir_in("/dev/shm").unwrap(),
    ]
}

fn target(root: &Path, relative: &str) -> Target {
    Target {
        root: root.into(),
        relative: Path::new(relative).into(),
    }
}

fn put(root: &Path, relative: &str, text: &str) -> Result<Written, SinkError> {
    put_with(root, relative, text, &ACCESS)
}

fn put_with(root: &Path, relative: &str, text: &str, access: &Access) -> Result<Written, SinkError> {
    let mut sink = Sink::new();
    let written = sink.apply(
        &target(root, relative),
        &SecretBytes::copy_from(text.as_bytes()),
        access,
    )?;
    assert_eq!(sink.finish(), []);
    Ok(written)
}

fn kind(result: Result<Written, SinkError>) -> SinkErrorKind {
    result.unwrap_err().kind
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn a_new_output_has_its_bytes_its_mode_and_directories_of_their_mode() {
    for root in destinations() {
        let out = root.path().join("not/yet/there");
        assert_eq!(put(&out, "a/b", "one").unwrap().applied, Applied::Created);
        assert_eq!(fs::read(out.join("a/b")).unwrap(), b"one");
        assert_eq!(mode(&out.join("a/b")), 0o640);
        for made in ["not", "not/yet", "not/yet/there", "not/yet/there/a"] {
            assert_eq!(mode(&root.path().join(made)), 0o750, "{made}");
        }
        assert_eq!(names(&out.join("a")), ["b"]);
    }
}

#[test]
fn equal_bytes_are_not_written_again() {
    for root in destinations() {
        let file = root.path().join("a");
        let first = put(root.path(), "a", "same").unwrap();
        let before = fs::metadata(&file).unwrap();
        let second = put(root.path(), "a", "same").unwrap();
        let after = fs::metadata(&file).unwrap();
        assert_eq!(second.applied, Applied::Unchanged);
        assert_eq!(second.stamp, first.stamp);
        assert_eq!(
            (before.ino(), before.mtime_nsec(), before.ctime_nsec()),
            (after.ino(), after.mtime_nsec(), after.ctime_nsec())
        );
        let third = put(root.path(), "a", "diff").unwrap();
        assert_eq!(third.applied, Applied::Replaced);
        assert_ne!(fs::metadata(&file).unwrap().ino(), before.ino(), "the control");
    }
}

#[test]
fn a_wrong_mode_is_put_right_without_a_write() {
    for root in destinations() {
        let file = root.path().join("a");
        put(root.path(), "a", "same").unwrap();
        let before = fs::metadata(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o4777)).unwrap();
        assert_eq!(put(root.path(), "a", "same").unwrap().applied, Applied::Access);
        let after = fs::metadata(&file).unwrap();
        assert_eq!(
            (before.ino(), before.mtime_nsec()),
            (after.ino(), after.mtime_nsec())
        );
        assert_eq!(mode(&file), 0o640);
    }
}

#[test]
fn contents_of_every_size_are_compared_whole() {
    let root = tempfile::tempdir_in("/dev/shm").unwrap();
    for size in [0, 1, 32 << 10, (32 << 10) + 1, 300_000] {
        let text = "x".repeat(size);
        put(root.path(), "a", &text).unwrap();
        assert_eq!(fs::read(root.path().join("a")).unwrap(), text.as_bytes());
        assert_eq!(put(root.path(), "a", &text).unwrap().applied, Applied::Unchanged);
        if size > 0 {
            let other = format!("{}y", &text[1..]);
            assert_eq!(
                put(root.path(), "a", &other).unwrap().applied,
                Applied::Replaced,
                "{size}"
            );
        }
    }
}

#[test]
fn a_link_at_the_target_is_replaced_and_never_followed() {
    for root in destinations() {
        let elsewhere = root.path().join("elsewhere");
        fs::write(&elsewhere, "precious").unwrap();
        symlink(&elsewhere, root.path().join("a")).unwrap();
        assert_eq!(put(root.path(), "a", "new").unwrap().applied, Applied::Replaced);
        assert!(
            fs::symlink_metadata(root.path().join("a"))
                .unwrap()
                .file_type()
                .is_file()
        );
        assert_eq!(fs::read(root.path().join("a")).unwrap(), b"new");
        assert_eq!(fs::read(&elsewhere).unwrap(), b"precious");
    }
}

#[test]
fn a_linked_directory_inside_the_destination_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    symlink(elsewhere.path(), root.path().join("dir")).unwrap();
    let error = put(root.path(), "dir/a", "new").unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Link);
    assert_eq!(error.at, root.path().join("dir"));
    assert_eq!(
        error.to_string(),
        format!(
            "cannot write {0}/dir/a: {0}/dir is a symbolic link that is not followed",
            root.path().display()
        )
    );
    assert_eq!(names(elsewhere.path()), Vec::<String>::new());
}

#[test]
fn a_link_in_the_path_of_the_destination_itself_is_followed_if_we_made_it() {
    let real = tempfile::tempdir().unwrap();
    let links = tempfile::tempdir().unwrap();
    symlink(real.path(), links.path().join("absolute")).unwrap();
    symlink("./absolute", links.path().join("relative")).unwrap();
    put(&links.path().join("relative/sub"), "a", "new").unwrap();
    assert_eq!(fs::read(real.path().join("sub/a")).unwrap(), b"new");

    symlink("loop", links.path().join("loop")).unwrap();
    assert_eq!(
        kind(put(&links.path().join("loop"), "a", "new")),
        SinkErrorKind::Link
    );
}

#[test]
fn a_path_that_leads_out_is_refused() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    for path in ["../a", "b/../../a", "/etc/locket-test", "", "..", "."] {
        assert_eq!(kind(put(&out, path, "new")), SinkErrorKind::Outside, "{path}");
    }
    assert_eq!(names(root.path()), Vec::<String>::new());
}

#[test]
fn what_is_no_regular_file_is_refused_without_waiting() {
    for root in destinations() {
        let fifo = root.path().join("fifo");
        rustix::fs::mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
        let _socket = std::os::unix::net::UnixListener::bind(root.path().join("socket")).unwrap();
        fs::create_dir(root.path().join("dir")).unwrap();
        symlink("/proc/self/fd/1", root.path().join("stdout")).unwrap();
        symlink("/dev/null", root.path().join("null")).unwrap();
        assert_eq!(kind(put(root.path(), "fifo", "new")), SinkErrorKind::Special);
        assert_eq!(kind(put(root.path(), "socket", "new")), SinkErrorKind::Special);
        assert_eq!(kind(put(root.path(), "dir", "new")), SinkErrorKind::Directory);
        assert_eq!(kind(put(root.path(), "stdout", "new")), SinkErrorKind::Special);
        assert_eq!(kind(put(root.path(), "null", "new")), SinkErrorKind::Special);
        assert!(fs::metadata(&fifo).unwrap().file_type().is_fifo());
        assert_eq!(names(root.path()), ["dir", "fifo", "null", "socket", "stdout"]);

        fs::write(root.path().join("file"), "x").unwrap();
        assert_eq!(
            kind(put(root.path(), "file/a", "new")),
            SinkErrorKind::NotDirectory
        );
        let long = "n".repeat(300);
        assert_eq!(kind(put(root.path(), &long, "new")), SinkErrorKind::NameTooLong);
        let reserved = ".locket-0123456789abcdef.tmp";
        assert_eq!(kind(put(root.path(), reserved, "new")), SinkErrorKind::Reserved);
    }
}

#[test]
fn a_place_that_is_taken_for_empty_is_treated_as_what_it_is() {
    let put_new = |root: &Path, name: &str| {
        let mut sink = Sink::new();
        let value = SecretBytes::copy_from(b"v");
        let written = sink.apply_by(&target(root, name), &value, &ACCESS, Approach::Create)?;
        assert_eq!(sink.finish(), []);
        Ok::<_, SinkError>(written)
    };
    for root in destinations() {
        let root = root.path();
        assert_eq!(put_new(root, "absent").unwrap().applied, Applied::Created);
        assert_eq!(mode(&root.join("absent")), 0o640);

        let before = fs::metadata(root.join("absent")).unwrap().ino();
        let again = put_new(root, "absent").unwrap();
        assert_eq!(again.applied, Applied::Unchanged);
        assert_eq!(fs::metadata(root.join("absent")).unwrap().ino(), before);
        assert_eq!(
            Sink::new().remove(&target(root, "absent"), again.stamp).unwrap(),
            Removed::Removed,
            "the stamp is that of the file"
        );

        fs::write(root.join("other"), "old").unwrap();
        assert_eq!(put_new(root, "other").unwrap().applied, Applied::Replaced);
        assert_eq!(fs::read(root.join("other")).unwrap(), b"v");

        fs::write(root.join("far"), "far").unwrap();
        symlink("far", root.join("link")).unwrap();
        assert_eq!(put_new(root, "link").unwrap().applied, Applied::Replaced);
        assert_eq!(fs::read(root.join("far")).unwrap(), b"far");
        assert!(fs::symlink_metadata(root.join("link")).unwrap().is_file());

        fs::create_dir(root.join("directory")).unwrap();
        assert_eq!(
            put_new(root, "directory").unwrap_err().kind,
            SinkErrorKind::Directory
        );
        rustix::fs::mknodat(CWD, root.join("pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0).unwrap();
        assert_eq!(put_new(root, "pipe").unwrap_err().kind, SinkErrorKind::Special);
        assert_eq!(names(root), ["directory", "far", "link", "other", "pipe"]);
    }
}

#[test]
fn what_is_put_where_nothing_is_can_be_seen_only_when_it_is_whole() {
    let root = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut directories = Directories::default();
    let directory = directories.get(
        &root.path().into(),
        Path::new(""),
        Missing::Leave,
        &mut Names::new(),
    );
    let directory = directory.unwrap().unwrap();
    for (way, name) in [(Naming::Descriptor, "a"), (Naming::Proc, "b")] {
        let before = names(root.path());
        let mut unnamed = Unnamed::create(&directory, &ACCESS).unwrap();
        rustix::io::write(&unnamed.file, name.as_bytes()).unwrap();
        assert_eq!(names(root.path()), before, "{way:?}");
        let mut naming = way;
        unnamed.link(OsStr::new(name), &mut naming).unwrap();
        assert_eq!(
            fs::read_to_string(root.path().join(name)).unwrap(),
            name,
            "{way:?}"
        );
        assert_eq!(mode(&root.path().join(name)), ACCESS.file_mode);

        let found = naming;
        let mut second = Unnamed::create(&directory, &ACCESS).unwrap();
        assert_eq!(second.link(OsStr::new(name), &mut naming), Err(Errno::EXIST));
        assert_eq!(naming, found, "something being there says nothing about the way");
        drop(second);
        assert_eq!(
            fs::read_to_string(root.path().join(name)).unwrap(),
            name,
            "{way:?}"
        );
    }
    assert_eq!(names(root.path()), ["a", "b"]);
}

#[test]
fn where_files_without_a_name_cannot_get_one_outputs_are_put_in_place_as_ever() {
    let root = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut sink = Sink::new();
    sink.naming = Naming::Refused;
    let value = SecretBytes::copy_from(b"v");
    let written = sink.apply_by(&target(root.path(), "a"), &value, &ACCESS, Approach::Create);
    assert_eq!(written.unwrap().applied, Applied::Created);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"v");
    assert_eq!(names(root.path()), ["a"]);
}

#[test]
fn one_bad_output_holds_up_no_other() {
    for root in destinations() {
        fs::create_dir(root.path().join("bad")).unwrap();
        let mut sink = Sink::new();
        let value = SecretBytes::copy_from(b"v");
        for name in ["a", "bad", "c"] {
            assert_eq!(
                sink.apply(&target(root.path(), name), &value, &ACCESS).is_ok(),
                name != "bad"
            );
        }
        assert_eq!(sink.finish(), []);
        assert_eq!(names(root.path()), ["a", "bad", "c"]);
    }
}

#[test]
fn a_failure_between_staging_and_renaming_leaves_the_old_content() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a", "old").unwrap();
    put(root.path(), "b", "old").unwrap();
    let mut sink = Sink::new();
    for name in ["a", "b"] {
        sink.apply(
            &target(root.path(), name),
            &SecretBytes::copy_from(b"new"),
            &ACCESS,
        )
        .unwrap();
    }
    assert_eq!(
        fs::read(root.path().join("a")).unwrap(),
        b"old",
        "on a disk, replacing waits for the flush"
    );
    // A directory in the place of the file makes the rename fail.
    fs::remove_file(root.path().join("a")).unwrap();
    fs::create_dir(root.path().join("a")).unwrap();
    let failed = sink.finish();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].target, root.path().join("a"));
    assert_eq!(failed[0].kind, SinkErrorKind::Directory);
    assert_eq!(fs::read(root.path().join("b")).unwrap(), b"new");
    assert_eq!(names(root.path()), ["a", "b"]);
}

#[test]
fn a_dropped_sink_takes_its_temporary_files_with_it() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a", "old").unwrap();
    let mut sink = Sink::new();
    sink.apply(
        &target(root.path(), "a"),
        &SecretBytes::copy_from(b"new"),
        &ACCESS,
    )
    .unwrap();
    assert_eq!(names(root.path()).len(), 2, "the new content waits");
    drop(sink);
    assert_eq!(names(root.path()), ["a"]);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"old");
}

/// As a child does that was forked and has not started its program yet.
#[test]
fn what_never_got_into_place_takes_up_no_room_though_somebody_holds_it_open() {
    let root = tempfile::tempdir().unwrap();
    let mut sink = Sink::new();
    sink.apply(
        &target(root.path(), "a"),
        &SecretBytes::copy_from(&[b'n'; 60_000]),
        &ACCESS,
    )
    .unwrap();
    let name = names(root.path()).pop().unwrap();
    let held = fs::File::open(root.path().join(name)).unwrap();
    assert!(held.metadata().unwrap().blocks() > 0, "it was written");
    drop(sink);
    assert_eq!(held.metadata().unwrap().nlink(), 0);
    assert_eq!(held.metadata().unwrap().blocks(), 0);
}

#[test]
fn many_outputs_in_many_directories_are_all_in_place() {
    for root in destinations() {
        for round in ["one", "two"] {
            let mut sink = Sink::new();
            for n in 0..600 {
                let path = format!("d{}/e{}/f{n}", n % 7, n % 150);
                let value = SecretBytes::copy_from(format!("{round}-{n}").as_bytes());
                sink.apply(&target(root.path(), &path), &value, &ACCESS).unwrap();
            }
            assert_eq!(sink.finish(), []);
            for n in 0..600 {
                let path = format!("d{}/e{}/f{n}", n % 7, n % 150);
                assert_eq!(
                    fs::read(root.path().join(path)).unwrap(),
                    format!("{round}-{n}").as_bytes()
                );
            }
        }
    }
}

#[test]
fn a_sweep_removes_leftovers_and_nothing_else() {
    for root in destinations() {
        let sub = root.path().join("sub");
        fs::create_dir(&sub).unwrap();
        for n in 0..3000 {
            fs::write(sub.join(format!(".locket-{n:016x}.tmp")), "half").unwrap();
        }
        fs::create_dir(sub.join(".locket-00000000000fffff.tmp")).unwrap();
        fs::create_dir(sub.join(".locket-00000000000ffffe.tmp")).unwrap();
        let kept = [
            ".locket-00000000000ffffe.tmp",
            ".locket-00000000000ffffx.tmp",
            ".locket-0123.tmp",
            ".locket-0123456789ABCDEF.tmp",
            ".locket-0123456789abcdef",
            ".locket-f123456789abcdef.tmp",
            "locket",
        ];
        fs::write(sub.join(kept[0]).join("user's"), "x").unwrap();
        for name in &kept[1..5] {
            fs::write(sub.join(name), "user's").unwrap();
        }
        symlink("locket", sub.join(kept[5])).unwrap();
        fs::write(sub.join(kept[6]), "x").unwrap();
        fs::write(root.path().join(".locket-0123456789abcdef.tmp"), "elsewhere").unwrap();

        let mut sink = Sink::new();
        assert_eq!(sink.sweep(&target(root.path(), "sub/any")).unwrap().removed, 3001);
        assert_eq!(names(&sub), kept);
        assert_eq!(names(root.path()).len(), 2, "only the directory named");
        assert_eq!(sink.sweep(&target(root.path(), "any")).unwrap().removed, 1);
        assert_eq!(
            sink.sweep(&target(root.path(), "never/made/any"))
                .unwrap()
                .removed,
            0
        );
    }
}

#[test]
fn a_sweep_spares_what_a_living_process_writes() {
    let root = tempfile::tempdir().unwrap();
    let mut writer = Sink::new();
    writer
        .apply(
            &target(root.path(), "a"),
            &SecretBytes::copy_from(b"new"),
            &ACCESS,
        )
        .unwrap();
    let abandoned = root.path().join(".locket-0123456789abcdef.tmp");
    fs::write(&abandoned, "half").unwrap();
    assert_eq!(Sink::new().sweep(&target(root.path(), "any")).unwrap().removed, 1);
    assert!(!abandoned.exists());
    assert_eq!(writer.finish(), []);
    assert_eq!(fs::read(root.path().join("a")).unwrap(), b"new");

    let file = fs::File::create(&abandoned).unwrap();
    rustix::fs::flock(&file, FlockOperation::LockExclusive).unwrap();
    assert_eq!(Sink::new().sweep(&target(root.path(), "any")).unwrap().removed, 0);
    drop(file);
    assert_eq!(Sink::new().sweep(&target(root.path(), "any")).unwrap().removed, 1);
}

#[test]
fn only_the_file_we_wrote_is_removed() {
    for root in destinations() {
        let file = root.path().join("a");
        let stamp = put(root.path(), "a", "ours").unwrap().stamp;
        let mut sink = Sink::new();
        assert_eq!(
            sink.remove(&target(root.path(), "b"), stamp).unwrap(),
            Removed::Absent
        );
        fs::rename(&file, root.path().join("kept")).unwrap();
        fs::write(&file, "theirs").unwrap();
        assert_eq!(
            sink.remove(&target(root.path(), "a"), stamp).unwrap(),
            Removed::Foreign
        );
        fs::remove_file(&file).unwrap();
        symlink("kept", &file).unwrap();
        assert_eq!(
            sink.remove(&target(root.path(), "a"), stamp).unwrap(),
            Removed::Foreign
        );
        assert_eq!(
            sink.remove(&target(root.path(), "kept"), stamp).unwrap(),
            Removed::Removed
        );
        assert_eq!(sink.finish(), []);
        assert_eq!(names(root.path()), ["a"]);
    }
}

#[test]
fn the_stamp_outlives_the_round() {
    for root in destinations() {
        let mut sink = Sink::new();
        let value = SecretBytes::copy_from(b"v");
        let first = sink.apply(&target(root.path(), "a"), &value, &ACCESS).unwrap();
        assert_eq!(sink.finish(), []);
        let mut sink = Sink::new();
        assert_eq!(
            sink.apply(&target(root.path(), "a"), &value, &ACCESS)
                .unwrap()
                .stamp,
            first.stamp
        );
        assert_eq!(
            sink.remove(&target(root.path(), "a"), first.stamp).unwrap(),
            Removed::Removed
        );
    }
}

#[test]
fn the_present_output_can_be_read_within_a_limit() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), "a", "present").unwrap();
    fs::create_dir(root.path().join("dir")).unwrap();
    symlink("a", root.path().join("link")).unwrap();
    let mut sink = Sink::new();
    assert!(
        sink.read(&target(root.path(), "a"), 7)
            .unwrap()
            .unwrap()
            .matches(b"present")
    );
    assert!(sink.read(&target(root.path(), "a"), 6).unwrap().is_none());
    for none in ["b", "dir", "link", "no/such"] {
        assert!(
            sink.read(&target(root.path(), none), 99).unwrap().is_none(),
            "{none}"
        );
    }
}

#[test]
fn the_place_of_an_output_is_described_before_it_exists() {
    use locket_sys::mount::Filesystem;
    let [disk, memory] = destinations();
    let facts = inspect(&disk.path().join("not/yet/a")).unwrap();
    assert_ne!(facts.filesystem, Filesystem::Memory);
    assert!(facts.permitted && !facts.read_only && !facts.in_place);
    assert_eq!(
        inspect(&memory.path().join("a")).unwrap().filesystem,
        Filesystem::Memory
    );
    fs::write(disk.path().join("file"), "x").unwrap();
    assert_eq!(
        inspect(&disk.path().join("file/a")).unwrap_err().kind,
        SinkErrorKind::NotDirectory
    );
}

#[test]
fn an_error_names_the_output_and_says_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("dir")).unwrap();
    let error = put(root.path(), "dir", "hunter2-canary").unwrap_err();
    let dir = root.path().join("dir");
    assert_eq!(
        error.to_string(),
        format!("cannot write {}: it is a directory", dir.display())
    );
    assert_eq!(
        error.hint(),
        format!(
            "Remove the directory {}, or map to a file inside it.",
            dir.display()
        )
    );
    assert!(!format!("{error:?}").contains("hunter2"));
}
