use std::collections::BTreeSet;
use std::fs;
use std::future::{Future, poll_fn};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;
use tokio::time::timeout;

use super::{Change, WatchMode, Watcher};

const QUIET: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(20);

/// A watcher and what it has told.
struct Following {
    watcher: Watcher,
    told: BTreeSet<PathBuf>,
}

fn follow(roots: &[&Path]) -> Following {
    let watcher = Watcher::new(roots.iter().map(|root| root.to_path_buf()).collect(), QUIET);
    assert_eq!(watcher.mode(), &WatchMode::Events);
    Following {
        watcher,
        told: BTreeSet::new(),
    }
}

impl Following {
    /// The next change's paths.
    async fn next(&mut self) -> BTreeSet<PathBuf> {
        let change = timeout(PATIENCE, self.watcher.changed())
            .await
            .expect("no change was told");
        match change {
            Change::Paths(paths) => paths,
            Change::All => panic!("everything was told, where paths were expected"),
        }
    }

    /// Waits until each path, or a directory below `root` that it is in, has been told.
    async fn hears(&mut self, root: &Path, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            let is_told = |told: &BTreeSet<PathBuf>| {
                path.ancestors()
                    .take_while(|above| *above != root)
                    .any(|above| told.contains(above))
            };
            while !is_told(&self.told) {
                let next = self.next().await;
                self.told.extend(next);
            }
        }
    }

    /// Waits until nothing more is told.
    async fn settles(&mut self) {
        while timeout(QUIET * 10, self.watcher.changed()).await.is_ok() {}
    }

    /// Waits until `path` itself is told, whatever was told before.
    async fn hears_of(&mut self, path: &Path) {
        while !self.next().await.contains(path) {}
    }
}

fn source() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("template");
    fs::write(&file, "one").unwrap();
    (directory, file)
}

fn run(program: &str, arguments: &[&str], directory: &Path) {
    let status = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .status()
        .unwrap();
    assert!(status.success(), "{program} {arguments:?}");
}

/// Saves a file whose content was `one` as `two`.
type Saving = fn(&Path);

/// The ways in which a file is saved.
fn ways_of_saving() -> [(&'static str, Saving); 6] {
    [
        ("in place", |file| fs::write(file, "two").unwrap()),
        ("sed -i", |file| {
            run("sed", &["-i", "s/one/two/", "template"], file.parent().unwrap());
        }),
        ("mv", |file| {
            fs::write(file.with_extension("new"), "two").unwrap();
            run("mv", &["template.new", "template"], file.parent().unwrap());
        }),
        ("vim, by a backup", |file| {
            let directory = file.parent().unwrap();
            fs::write(directory.join("4913"), "").unwrap();
            fs::remove_file(directory.join("4913")).unwrap();
            fs::rename(file, directory.join("template~")).unwrap();
            fs::write(file, "two").unwrap();
            fs::remove_file(directory.join("template~")).unwrap();
        }),
        ("deleted and written again", |file| {
            fs::remove_file(file).unwrap();
            fs::write(file, "two").unwrap();
        }),
        ("a hard link over it", |file| {
            fs::write(file.with_extension("new"), "two").unwrap();
            fs::remove_file(file).unwrap();
            fs::hard_link(file.with_extension("new"), file).unwrap();
        }),
    ]
}

#[tokio::test]
async fn every_way_of_saving_a_file_is_told_and_the_file_stays_watched() {
    for (way, save) in ways_of_saving() {
        let (directory, file) = source();
        for root in [directory.path(), file.as_path()] {
            fs::write(&file, "one").unwrap();
            let mut following = follow(&[root]);
            for round in 0..3 {
                save(&file);
                following.hears_of(&file).await;
                assert_eq!(fs::read(&file).unwrap(), b"two", "{way}, round {round}");
                fs::write(&file, "one").unwrap();
                following.hears_of(&file).await;
            }
        }
    }
}

#[tokio::test]
async fn removing_and_renaming_a_file_is_told() {
    let (directory, file) = source();
    let mut following = follow(&[directory.path()]);
    fs::rename(&file, directory.path().join("other")).unwrap();
    following
        .hears(directory.path(), [file.clone(), directory.path().join("other")])
        .await;
    fs::remove_file(directory.path().join("other")).unwrap();
    following.hears_of(&directory.path().join("other")).await;
}

#[tokio::test]
async fn neighbours_of_a_single_file_are_not_told() {
    let (directory, file) = source();
    let mut following = follow(&[&file]);
    for n in 0..50 {
        fs::write(directory.path().join(format!("output-{n}")), "secret").unwrap();
    }
    fs::write(&file, "two").unwrap();
    assert_eq!(following.next().await, BTreeSet::from([file]));
}

#[tokio::test]
async fn files_made_together_with_their_directories_are_not_lost() {
    let (directory, _) = source();
    let root = directory.path().to_owned();
    let mut following = follow(&[&root]);
    let files: Vec<_> = (0..300)
        .map(|n| root.join(format!("d{n}/{}file", "sub/".repeat(n % 4))))
        .collect();
    let making = {
        let files = files.clone();
        tokio::task::spawn_blocking(move || {
            for file in files {
                fs::create_dir_all(file.parent().unwrap()).unwrap();
                fs::write(file, "new").unwrap();
            }
        })
    };
    following.hears(&root, files.clone()).await;
    making.await.unwrap();

    following.told.clear();
    for file in &files {
        fs::write(file, "edited").unwrap();
    }
    let mut waiting: BTreeSet<_> = files.into_iter().collect();
    while !waiting.is_empty() {
        for path in following.next().await {
            waiting.remove(&path);
        }
    }
}

#[tokio::test]
async fn a_directory_moved_in_moved_about_and_moved_out_is_followed() {
    let (directory, _) = source();
    let outside = tempfile::tempdir_in(directory.path().parent().unwrap()).unwrap();
    let root = directory.path();
    fs::create_dir_all(outside.path().join("in/deep")).unwrap();
    let mut following = follow(&[root]);

    fs::rename(outside.path().join("in"), root.join("in")).unwrap();
    following.hears_of(&root.join("in")).await;
    fs::write(root.join("in/deep/file"), "x").unwrap();
    following.hears_of(&root.join("in/deep/file")).await;

    fs::rename(root.join("in"), root.join("about")).unwrap();
    following.hears_of(&root.join("about")).await;
    fs::write(root.join("about/deep/file"), "y").unwrap();
    following.hears_of(&root.join("about/deep/file")).await;

    fs::rename(root.join("about"), outside.path().join("out")).unwrap();
    following.hears_of(&root.join("about")).await;
    fs::write(outside.path().join("out/deep/file"), "z").unwrap();
    fs::write(root.join("template"), "two").unwrap();
    assert_eq!(
        following.next().await,
        BTreeSet::from([root.join("template")]),
        "what moved out is no longer told"
    );
}

#[tokio::test]
async fn a_source_that_does_not_exist_yet_is_told_when_it_comes() {
    let above = tempfile::tempdir().unwrap();
    let root = above.path().join("not/yet/there");
    let file = root.join("template");
    let single = above.path().join("other/single");
    let mut following = follow(&[&root, &single]);
    fs::create_dir_all(&root).unwrap();
    fs::write(&file, "one").unwrap();
    following.hears(above.path(), [file.clone()]).await;
    fs::write(&file, "two").unwrap();
    following.hears_of(&file).await;
    fs::create_dir(above.path().join("other")).unwrap();
    fs::write(&single, "one").unwrap();
    following.hears_of(&single).await;
    fs::write(&single, "two").unwrap();
    following.hears_of(&single).await;
}

#[tokio::test]
async fn a_source_that_goes_and_returns_is_told_both_times() {
    let above = tempfile::tempdir().unwrap();
    let root = above.path().join("a/source");
    fs::create_dir_all(&root).unwrap();
    let mut following = follow(&[&root]);
    for moved in [root.clone(), above.path().join("a")] {
        for _ in 0..2 {
            let away = above.path().join("away");
            fs::rename(&moved, &away).unwrap();
            following.hears_of(&root).await;
            fs::rename(&away, &moved).unwrap();
            following.hears_of(&root).await;
            fs::write(root.join("file"), "x").unwrap();
            following.hears_of(&root.join("file")).await;
        }
    }
    fs::remove_dir_all(&root).unwrap();
    following.hears_of(&root).await;
    fs::create_dir_all(root.join("sub")).unwrap();
    following.hears_of(&root).await;
    fs::write(root.join("sub/file"), "y").unwrap();
    following.hears_of(&root.join("sub/file")).await;
}

#[tokio::test]
async fn a_directory_that_is_replaced_by_its_like_is_followed_as_before() {
    // Between two looks; a file system may give the new directory the number of the old.
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("conf");
    let file = directory.join("file");
    let replace = || {
        fs::create_dir(&directory).unwrap();
        fs::write(&file, "new").unwrap();
    };
    replace();
    for roots in [[file.as_path()], [directory.as_path()]] {
        let mut following = follow(&roots);
        for _ in 0..5 {
            fs::remove_dir_all(&directory).unwrap();
            replace();
            following.hears_of(roots[0]).await;
            following.settles().await;
            fs::write(&file, "edited").unwrap();
            following.hears_of(&file).await;
        }
    }
}

#[tokio::test]
async fn a_volume_switched_by_a_link_is_told() {
    // As the kubelet does it: files are links through `..data`, which is replaced by a rename.
    let (directory, _) = source();
    let root = directory.path();
    let switch = |name: &str, text: &str| {
        fs::create_dir(root.join(name)).unwrap();
        fs::write(root.join(name).join("file"), text).unwrap();
        symlink(name, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    switch("..1", "one");
    symlink("..data/file", root.join("file")).unwrap();
    let mut whole = follow(&[root]);
    let mut single = follow(&[&root.join("file")]);
    for generation in 2..5 {
        switch(&format!("..{generation}"), "next");
        fs::remove_dir_all(root.join(format!("..{}", generation - 1))).unwrap();
        whole.hears_of(&root.join("..data")).await;
        single.hears_of(&root.join("file")).await;
    }
    fs::write(root.join("..4/file"), "edited").unwrap();
    single.hears_of(&root.join("file")).await;
}

#[tokio::test]
async fn a_release_switched_by_a_link_above_the_source_is_told() {
    let above = tempfile::tempdir().unwrap();
    for release in ["r1", "r2"] {
        fs::create_dir_all(above.path().join(release).join("templates")).unwrap();
    }
    symlink("r1", above.path().join("current")).unwrap();
    let root = above.path().join("current/templates");
    let mut following = follow(&[&root]);
    symlink("r2", above.path().join("next")).unwrap();
    fs::rename(above.path().join("next"), above.path().join("current")).unwrap();
    following.hears_of(&root).await;
    fs::write(above.path().join("r1/templates/old"), "x").unwrap();
    fs::write(above.path().join("r2/templates/new"), "x").unwrap();
    assert_eq!(following.next().await, BTreeSet::from([root.join("new")]));
}

#[tokio::test]
async fn overlapping_sources_are_each_told() {
    let (directory, file) = source();
    let other = tempfile::tempdir().unwrap();
    symlink(directory.path(), other.path().join("link")).unwrap();
    let linked = other.path().join("link");
    let mut following = follow(&[directory.path(), &file, &linked]);
    fs::write(&file, "two").unwrap();
    assert_eq!(
        following.next().await,
        BTreeSet::from([file, linked.join("template")])
    );
}

#[tokio::test]
async fn a_change_is_told_even_if_the_wait_was_given_up_before() {
    let (_directory, file) = source();
    let mut following = follow(&[&file]);
    fs::write(&file, "two").unwrap();
    // Given up at every point it can wait at, again and again.
    let change = loop {
        if let Ok(change) = timeout(Duration::from_millis(1), following.watcher.changed()).await {
            break change;
        }
    };
    assert_eq!(change, Change::Paths(BTreeSet::from([file])));
}

#[tokio::test]
async fn an_idle_watcher_never_wakes_up() {
    // Directories above the source are watched too, and in the usual place others make files all the time.
    let quiet = std::env::current_exe().unwrap();
    let directory = tempfile::tempdir_in(quiet.parent().unwrap()).unwrap();
    let file = directory.path().join("t");
    fs::write(&file, "one").unwrap();
    let mut following = follow(&[directory.path(), &file]);
    let mut polls = 0;
    let mut changed = pin!(following.watcher.changed());
    let mut counted = poll_fn(|cx| {
        polls += 1;
        changed.as_mut().poll(cx)
    });
    let idle = timeout(Duration::from_millis(400), &mut counted).await;
    assert!(idle.is_err(), "nothing happened");
    fs::write(&file, "two").unwrap();
    timeout(PATIENCE, &mut counted).await.unwrap();
    // The first look, the end of the time limit above; the rest is the edit.
    assert!(polls > 2, "an edit wakes it: {polls}");
    assert!(polls < 12, "{polls} wake-ups");
}
