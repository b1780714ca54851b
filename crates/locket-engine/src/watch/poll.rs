//! Looks at files every now and then, where the kernel does not tell of their changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::debounce::Change;
use crate::tasks;

/// The time between two looks.
const INTERVAL: Duration = Duration::from_secs(2);

/// A look that takes long is followed by a pause of so many times its length.
const PAUSE: u32 = 20;

/// The files below some roots, as they were at the last look.
#[derive(Debug)]
pub(super) struct Poll {
    roots: Vec<PathBuf>,
    known: Snapshot,
    /// Told at the next look again: a second change within one tick of the file system's clock is not to be seen.
    again: Change,
    next: Instant,
    looking: Option<(Instant, JoinHandle<Snapshot>)>,
}

type Snapshot = BTreeMap<PathBuf, Signature>;

/// What differs when a file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Signature {
    device: u64,
    inode: u64,
    mode: u32,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Poll {
    /// Takes a first look at once.
    pub(super) fn new(roots: Vec<PathBuf>) -> Self {
        let known = look(&roots);
        Self {
            roots,
            known,
            again: Change::All,
            next: Instant::now() + INTERVAL,
            looking: None,
        }
    }

    /// Whether it looks at exactly these.
    pub(super) fn is_of(&self, roots: &[PathBuf]) -> bool {
        self.roots == roots
    }

    /// Waits for a look that finds a difference. Loses nothing when dropped half-way.
    pub(super) async fn changed(&mut self) -> Change {
        loop {
            let (started, looking) = match &mut self.looking {
                Some(looking) => looking,
                None => {
                    tokio::time::sleep_until(self.next).await;
                    let roots = self.roots.clone();
                    self.looking
                        .insert((Instant::now(), tasks::blocking(move || look(&roots))))
                }
            };
            let found = looking.await;
            self.next = Instant::now() + INTERVAL.max(started.elapsed() * PAUSE);
            self.looking = None;
            let Ok(found) = found else {
                continue;
            };
            let differing = Change::Paths(difference(&self.known, &found));
            self.known = found;
            let mut change = std::mem::replace(&mut self.again, differing.clone());
            change.merge(differing);
            if change != Change::Paths(BTreeSet::new()) {
                return change;
            }
        }
    }
}

fn difference(before: &Snapshot, after: &Snapshot) -> BTreeSet<PathBuf> {
    let gone = before.keys().filter(|path| !after.contains_key(*path));
    let new = after
        .iter()
        .filter(|(path, signature)| before.get(*path) != Some(signature))
        .map(|(path, _)| path);
    gone.chain(new).cloned().collect()
}

fn look(roots: &[PathBuf]) -> Snapshot {
    let mut found = Snapshot::new();
    for root in roots {
        if let Ok(metadata) = fs::metadata(root) {
            if metadata.is_dir() {
                look_below(root, &mut found);
            }
            found.insert(root.clone(), Signature::of(&metadata));
        }
    }
    found
}

/// Looks at everything below a directory. A link counts by itself and by what it leads to, and is not walked through.
fn look_below(root: &Path, found: &mut Snapshot) {
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let Ok(entries) = fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            let mut signature = Signature::of(&metadata);
            if metadata.is_symlink()
                && let Ok(target) = fs::metadata(&path)
            {
                let target = Signature::of(&target);
                signature.size ^= target.size.rotate_left(32);
                signature.inode ^= target.inode.rotate_left(32);
                signature.modified = signature.modified.max(target.modified);
                signature.changed = signature.changed.max(target.changed);
            }
            if metadata.is_dir() {
                open.push(path.clone());
            }
            found.insert(path, signature);
        }
    }
}

impl Signature {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            mode: metadata.mode(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}
