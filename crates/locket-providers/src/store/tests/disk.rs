use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use locket_core::ErrorKind;

use super::super::disk::{Locked, create, in_place, lock};
use super::{filled, name, now, secret, store};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn writers_at_once_lose_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[]).with_patience(Duration::from_secs(120));
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let store = &store;
            scope.spawn(move || {
                for turn in 0..5 {
                    let key = name(&format!("w{writer}/{turn}"));
                    store
                        .set(&key, secret(format!("{writer}-{turn}").as_bytes()), now())
                        .unwrap();
                }
            });
        }
    });
    assert_eq!(store.list().unwrap().len(), 40);
    assert!(store.get(&name("w7/4")).unwrap().matches(b"7-4"));
    assert_eq!(names(dir.path()), ["identity.txt", "locket.store"]);
}

#[test]
fn a_writer_gives_up_on_a_lock_that_is_never_released() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", b"x")]).with_patience(Duration::from_millis(20));
    let held = Locked::acquire(store.path(), Duration::ZERO).ok().unwrap();
    let error = store.set(&name("b"), secret(b"y"), now()).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("another process"));
    assert!(
        store.get(&name("a")).unwrap().matches(b"x"),
        "readers do not wait"
    );
    drop(held);
    store.set(&name("b"), secret(b"y"), now()).unwrap();
}

#[test]
fn a_lock_on_a_file_that_was_replaced_meanwhile_is_none() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[]);
    let early = lock(store.path()).unwrap();
    assert!(in_place(&early, store.path()).unwrap().is_some());
    std::fs::write(dir.path().join("next"), "").unwrap();
    std::fs::rename(dir.path().join("next"), store.path()).unwrap();
    assert!(in_place(&early, store.path()).unwrap().is_none());
}

#[test]
fn a_rewrite_keeps_mode_and_link_and_clears_what_killed_writers_left() {
    let dir = tempfile::tempdir().unwrap();
    let real = dir.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let store = store(dir.path());
    store.init(&[], now()).unwrap();
    std::fs::rename(store.path(), real.join("locket.store")).unwrap();
    std::os::unix::fs::symlink("real/locket.store", store.path()).unwrap();
    std::fs::set_permissions(real.join("locket.store"), std::fs::Permissions::from_mode(0o640)).unwrap();
    let leftover = real.join(".locket-locket.store-0123456789abcdef");
    let not_ours = [
        ".locket-locket.store-0123",
        ".locket-other.store-0123456789abcdef",
    ];
    std::fs::write(&leftover, "torn").unwrap();
    for name in not_ours {
        std::fs::write(real.join(name), "kept").unwrap();
    }

    store.set(&name("a"), secret(b"x"), now()).unwrap();
    assert!(std::fs::symlink_metadata(store.path()).unwrap().is_symlink());
    assert_eq!(std::fs::metadata(store.path()).unwrap().mode() & 0o7777, 0o640);
    assert_eq!(names(&real), [not_ours[0], not_ours[1], "locket.store"]);
    assert!(store.get(&name("a")).unwrap().matches(b"x"));
}

#[test]
fn creating_never_replaces_and_leaves_no_trace_when_it_fails() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x");
    assert!(create(&path, b"first").unwrap());
    assert!(!create(&path, b"second").unwrap());
    assert_eq!(std::fs::read(&path).unwrap(), b"first");
    assert_eq!(names(dir.path()), ["x"]);
    let error = create(&dir.path().join("missing/x"), b"").unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(error.context.contains("missing"));
}

#[test]
fn readers_during_writes_see_old_or_new() {
    let dir = tempfile::tempdir().unwrap();
    let store = filled(dir.path(), &[("a", &[b'0'; 5000])]);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for turn in 0..40_u8 {
                store
                    .set(&name("a"), secret(&[b'0' + turn % 2; 5000]), now())
                    .unwrap();
            }
        });
        while !writer.is_finished() {
            let value = store.get(&name("a")).unwrap();
            assert!(value.matches(&[b'0'; 5000]) || value.matches(&[b'1'; 5000]));
        }
    });
}
