//! Following files where the kernel's limits, mounts and full queues are in the way.
//!
//! Limits belong to the whole machine, so these tests run one after the other and put back what they change. They
//! need root; without it they say so and pass.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    reason = "this whole file is a test"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use locket_engine::watch::{Change, WatchMode, Watcher};
use rustix::mount::UnmountFlags;
use tokio::time::timeout;

use support::{mount_memory, private_directory};

mod support;

const QUIET: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A limit of the machine, put back at the end.
struct Limit {
    path: PathBuf,
    before: String,
}

impl Limit {
    fn lower(name: &str, value: u32) -> Option<Self> {
        let path = Path::new("/proc/sys/fs/inotify").join(name);
        let before = fs::read_to_string(&path).unwrap();
        if fs::write(&path, value.to_string()).is_err() {
            eprintln!("not tested: {name} cannot be lowered");
            return None;
        }
        Some(Self { path, before })
    }
}

impl Drop for Limit {
    fn drop(&mut self) {
        let _ = fs::write(&self.path, &self.before);
    }
}

fn follow(root: &Path) -> Watcher {
    Watcher::new(vec![root.to_owned()], QUIET)
}

async fn next(watcher: &mut Watcher) -> Change {
    timeout(PATIENCE, watcher.changed())
        .await
        .expect("no change was told")
}

/// Waits until `path`, or everything, is told.
async fn hears_of(watcher: &mut Watcher, path: &Path) {
    loop {
        match next(watcher).await {
            Change::All => return,
            Change::Paths(paths) if paths.contains(path) => return,
            Change::Paths(_) => {}
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn directories(root: &Path, numbers: std::ops::Range<u32>) {
    for n in numbers {
        fs::create_dir(root.join(format!("d{n}"))).unwrap();
        fs::write(root.join(format!("d{n}/file")), "one").unwrap();
    }
}

#[test]
fn with_too_few_watches_it_polls_and_loses_no_edit() {
    let _alone = alone();
    let root = tempfile::tempdir().unwrap();
    directories(root.path(), 0..150);
    let Some(_limit) = Limit::lower("max_user_watches", 100) else {
        return;
    };
    runtime().block_on(async {
        let mut watcher = follow(root.path());
        assert_eq!(watcher.mode(), &WatchMode::Polling);
        assert_eq!(
            next(&mut watcher).await,
            Change::All,
            "the first look is told as a whole"
        );
        for (n, text) in [(3, "two"), (149, "six"), (149, "ten")] {
            let file = root.path().join(format!("d{n}/file"));
            fs::write(&file, text).unwrap();
            let new = root.path().join(format!("d{n}/new-{text}"));
            fs::write(&new, text).unwrap();
            let mut waiting = BTreeSet::from([file, new]);
            while !waiting.is_empty() {
                match next(&mut watcher).await {
                    Change::Paths(paths) => waiting.retain(|path| !paths.contains(path)),
                    Change::All => waiting.clear(),
                }
            }
        }
        let gone = root.path().join("d7/file");
        fs::remove_file(&gone).unwrap();
        hears_of(&mut watcher, &gone).await;
    });
}

#[test]
fn a_limit_reached_on_the_way_is_noticed_and_everything_told() {
    let _alone = alone();
    let root = tempfile::tempdir().unwrap();
    directories(root.path(), 0..20);
    let Some(_limit) = Limit::lower("max_user_watches", 100) else {
        return;
    };
    runtime().block_on(async {
        let mut watcher = follow(root.path());
        assert_eq!(watcher.mode(), &WatchMode::Events);
        directories(root.path(), 20..150);
        while next(&mut watcher).await != Change::All {}
        assert_eq!(watcher.mode(), &WatchMode::Polling);
        let file = root.path().join("d140/file");
        fs::write(&file, "two").unwrap();
        hears_of(&mut watcher, &file).await;
    });
}

#[test]
fn without_an_instance_it_polls() {
    let _alone = alone();
    let root = tempfile::tempdir().unwrap();
    let Some(_limit) = Limit::lower("max_user_instances", 0) else {
        return;
    };
    runtime().block_on(async {
        let mut watcher = follow(root.path());
        assert_eq!(watcher.mode(), &WatchMode::Polling);
        assert_eq!(next(&mut watcher).await, Change::All);
        let file = root.path().join("new");
        fs::write(&file, "one").unwrap();
        hears_of(&mut watcher, &file).await;
    });
}

#[test]
fn a_full_queue_is_told_as_a_change_of_everything() {
    let _alone = alone();
    let root = tempfile::tempdir().unwrap();
    let Some(limit) = Limit::lower("max_queued_events", 16) else {
        return;
    };
    runtime().block_on(async {
        let mut watcher = follow(root.path());
        directories(root.path(), 0..100);
        assert_eq!(next(&mut watcher).await, Change::All);
        drop(limit);
        let file = root.path().join("d99/file");
        fs::write(&file, "two").unwrap();
        match next(&mut watcher).await {
            Change::Paths(paths) => assert_eq!(paths, BTreeSet::from([file]), "all is watched again"),
            Change::All => hears_of(&mut watcher, &file).await,
        }
    });
}

#[test]
fn a_source_mounted_and_unmounted_is_told() {
    let _alone = alone();
    let Some(directory) = private_directory() else {
        return;
    };
    let root = directory.path().join("source");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("file"), "below").unwrap();
    runtime().block_on(async {
        let mut watcher = follow(&root);
        for round in 0..2 {
            mount_memory(&root, "1m");
            assert_eq!(next(&mut watcher).await, Change::All, "mounted, round {round}");
            fs::write(root.join("file"), "above").unwrap();
            hears_of(&mut watcher, &root.join("file")).await;
            rustix::mount::unmount(&root, UnmountFlags::empty()).unwrap();
            assert_eq!(next(&mut watcher).await, Change::All, "unmounted, round {round}");
            fs::write(root.join("file"), "below").unwrap();
            hears_of(&mut watcher, &root.join("file")).await;
        }
        mount_memory(&root.join("inner"), "1m");
        while next(&mut watcher).await != Change::All {}
        fs::write(root.join("inner/file"), "x").unwrap();
        hears_of(&mut watcher, &root.join("inner/file")).await;
    });
}

#[test]
fn mounts_elsewhere_are_not_told() {
    let _alone = alone();
    let Some(directory) = private_directory() else {
        return;
    };
    let root = directory.path().join("source");
    fs::create_dir(&root).unwrap();
    runtime().block_on(async {
        let mut watcher = follow(&root);
        mount_memory(&directory.path().join("source-of-another"), "1m");
        fs::write(root.join("file"), "x").unwrap();
        assert_eq!(
            next(&mut watcher).await,
            Change::Paths(BTreeSet::from([root.join("file")]))
        );
    });
}
