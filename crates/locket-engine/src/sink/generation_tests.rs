use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use locket_core::SecretBytes;
use locket_core::plan::Access;
use rustix::fs::FlockOperation;
use tempfile::TempDir;

use super::{Applied, Generation, LINK, Member, Removed, Sink, SinkError, SinkErrorKind};

const ACCESS: Access = Access {
    file_mode: 0o640,
    dir_mode: 0o750,
    owner: None,
};

fn destinations() -> [TempDir; 2] {
    [
        tempfile::tempdir().unwrap(),
        tempfile::tempdir_in("/dev/shm").unwrap(),
    ]
}

fn switch(root: &Path, files: &[(&str, &str)]) -> Result<(Vec<Applied>, Generation), SinkError> {
    let root: Arc<Path> = root.into();
    let values: Vec<_> = files
        .iter()
        .map(|(_, text)| SecretBytes::copy_from(text.as_bytes()))
        .collect();
    let members: Vec<_> = files
        .iter()
        .zip(&values)
        .map(|((relative, _), bytes)| Member {
            relative: Path::new(relative),
            bytes,
            access: &ACCESS,
        })
        .collect();
    let mut sink = Sink::new();
    let applied = sink.apply_directory(&root, &members, &ACCESS)?;
    assert_eq!(sink.finish(), []);
    Ok(applied)
}

fn applied(root: &Path, files: &[(&str, &str)]) -> Vec<Applied> {
    switch(root, files).unwrap().0
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with("..locket-"))
        .collect();
    names.sort();
    names
}

fn generations(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("..locket-")).collect()
}

fn sweep(root: &Path) -> usize {
    Sink::new().sweep_directory(&root.into()).unwrap()
}

#[test]
fn names_lead_through_one_link_and_the_step_replaces_that() {
    for directory in destinations() {
        let root = directory.path().join("app");
        let first = [("a", "1"), ("sub/b", "1"), ("sub/c", "1")];
        assert_eq!(applied(&root, &first), [Applied::Created; 3]);
        assert_eq!(names(&root), ["..data", "a", "sub"]);
        assert_eq!(fs::read_to_string(root.join("sub/b")).unwrap(), "1");
        assert_eq!(fs::read_link(root.join("a")).unwrap(), Path::new("..data/a"));
        assert_eq!(fs::metadata(root.join("a")).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(fs::metadata(root.join(LINK)).unwrap().mode() & 0o7777, 0o750);
        let second = [("a", "2"), ("sub/b", "1"), ("new", "2")];
        let expected = [Applied::Replaced, Applied::Unchanged, Applied::Created];
        assert_eq!(applied(&root, &second), expected);
        assert_eq!(names(&root), ["..data", "a", "new", "sub"]);
        assert_eq!(fs::read_to_string(root.join("new")).unwrap(), "2");
        assert!(!root.join("sub/c").exists(), "what is no longer wanted is gone");
        assert_eq!(generations(&root).len(), 1, "the old files are removed");
    }
}

#[test]
fn an_unchanged_directory_is_not_touched() {
    for directory in destinations() {
        let files = [("a", "1"), ("sub/b", "1")];
        switch(directory.path(), &files).unwrap();
        let before = (
            generations(directory.path()),
            fs::metadata(directory.path()).unwrap().mtime_nsec(),
        );
        assert_eq!(applied(directory.path(), &files), [Applied::Unchanged; 2]);
        let after = (
            generations(directory.path()),
            fs::metadata(directory.path()).unwrap().mtime_nsec(),
        );
        assert_eq!(before, after);
        let file = directory.path().join("a");
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        assert_eq!(applied(directory.path(), &files)[0], Applied::Access);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
    }
}

#[test]
fn files_of_an_earlier_run_become_links_and_a_directory_in_the_way_is_refused_before_anything() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    fs::write(root.join("a"), "old").unwrap();
    fs::write(root.join("foreign"), "mine").unwrap();
    symlink("/etc/passwd", root.join("b")).unwrap();
    switch(root, &[("a", "1"), ("b", "1")]).unwrap();
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
    assert_eq!(fs::read_to_string(root.join("b")).unwrap(), "1");
    assert_eq!(fs::read_to_string(root.join("foreign")).unwrap(), "mine");

    fs::create_dir(root.join("sub")).unwrap();
    let error = switch(root, &[("a", "2"), ("sub/x", "2")]).unwrap_err();
    assert_eq!(
        (error.kind, error.at),
        (SinkErrorKind::Directory, root.join("sub"))
    );
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
    assert_eq!(generations(root).len(), 1);
}

#[test]
fn a_directory_that_another_program_switches_is_left_alone() {
    for target in ["..2026_11_22_06", "/somewhere"] {
        let directory = tempfile::tempdir().unwrap();
        symlink(target, directory.path().join(LINK)).unwrap();
        let error = switch(directory.path(), &[("a", "1")]).unwrap_err();
        assert_eq!(error.kind, SinkErrorKind::Occupied);
        assert_eq!(names(directory.path()), [LINK]);
    }
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join(LINK)).unwrap();
    let error = switch(directory.path(), &[("a", "1")]).unwrap_err();
    assert_eq!(error.kind, SinkErrorKind::Occupied);
}

#[test]
fn leftovers_are_swept_and_what_is_in_use_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    switch(root, &[("a", "1")]).unwrap();
    let dead = root.join("..locket-00000000000000aa");
    let alive = root.join("..locket-00000000000000bb");
    for generation in [&dead, &alive] {
        fs::create_dir_all(generation.join("sub")).unwrap();
        fs::write(generation.join("sub/a"), "half").unwrap();
    }
    fs::set_permissions(&dead, fs::Permissions::from_mode(0o500)).unwrap();
    symlink(
        "..locket-00000000000000aa",
        root.join(".locket-00000000000000cc.tmp"),
    )
    .unwrap();
    fs::create_dir(root.join("..locket-mine")).unwrap();
    let lock = fs::File::open(&alive).unwrap();
    rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(sweep(root), 2);
    assert!(!dead.exists() && alive.exists() && root.join("..locket-mine").exists());
    assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "1");
    drop(lock);
    assert_eq!(sweep(root), 1);
}

#[test]
fn a_directory_is_removed_only_as_it_was_written() {
    for directory in destinations() {
        let root: Arc<Path> = directory.path().into();
        fs::write(root.join("foreign"), "mine").unwrap();
        let (_, first) = switch(&root, &[("a", "1"), ("sub/b", "1")]).unwrap();
        let (_, second) = switch(&root, &[("a", "2"), ("sub/b", "1")]).unwrap();
        assert_eq!(
            Sink::new().remove_directory(&root, &first).unwrap(),
            Removed::Foreign
        );
        let (_, same) = switch(&root, &[("a", "2"), ("sub/b", "1")]).unwrap();
        assert_eq!(second, same);
        assert_eq!(
            Sink::new().remove_directory(&root, &same).unwrap(),
            Removed::Removed
        );
        assert_eq!(names(&root), ["foreign"]);
        assert_eq!(generations(&root).len(), 0);
        let (_, third) = switch(&root, &[("a", "3")]).unwrap();
        fs::write(root.join("a"), "3!").unwrap();
        assert_eq!(
            Sink::new().remove_directory(&root, &third).unwrap(),
            Removed::Foreign
        );
        assert_eq!(fs::read_to_string(root.join("a")).unwrap(), "3!");
    }
}

#[test]
fn paths_that_lead_out_and_reserved_names_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    for (relative, kind) in [
        ("../a", SinkErrorKind::Outside),
        ("/a", SinkErrorKind::Outside),
        ("..data", SinkErrorKind::Reserved),
        ("..locket-00000000000000aa/x", SinkErrorKind::Reserved),
    ] {
        let error = switch(directory.path(), &[(relative, "1")]).unwrap_err();
        assert_eq!(error.kind, kind, "{relative}");
    }
}

#[test]
fn a_reader_never_sees_two_generations_behind_the_link() {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let root = directory.path().to_owned();
    let files = |generation: usize| {
        let text = generation.to_string();
        (0..8)
            .map(|n| (format!("f{n}"), text.clone()))
            .collect::<Vec<_>>()
    };
    let put = |root: &Path, generation| {
        let files = files(generation);
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        switch(root, &files).unwrap();
    };
    put(&root, 0);
    let over = std::sync::atomic::AtomicBool::new(false);
    let seen = std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut seen = std::collections::BTreeSet::new();
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                let generation = root.join(fs::read_link(root.join(LINK)).unwrap());
                let texts: Result<Vec<_>, _> = (0..8)
                    .map(|n| fs::read_to_string(generation.join(format!("f{n}"))))
                    .collect();
                // Removed while it was read: the next look finds the next one.
                let Ok(texts) = texts else { continue };
                assert!(
                    texts.iter().all(|text| *text == texts[0] && !text.is_empty()),
                    "{texts:?}"
                );
                seen.insert(texts[0].clone());
            }
            seen
        });
        for generation in 1..300 {
            put(&root, generation);
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        reader.join().unwrap()
    });
    assert!(!seen.is_empty(), "the reader did read");
}
