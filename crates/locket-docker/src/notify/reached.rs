//! Whom the tries of an unfinished delivery have reached, so that the next try spares them. A courier does not learn
//! whether it is called for another try or for a new delivery: the changed files say so. Whoever was told since they
//! were last written has nothing new to learn.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use locket_core::Action;

/// The containers that unfinished deliveries have reached, by action.
#[derive(Debug, Default)]
pub(super) struct Reached {
    deliveries: Mutex<BTreeMap<Action, Unfinished>>,
}

/// A delivery that some of its containers have and others may not.
#[derive(Debug)]
struct Unfinished {
    files: Vec<(PathBuf, Writing)>,
    containers: BTreeSet<String>,
}

/// What tells one writing of a file from the next, also where its content stays the same.
#[derive(Debug, PartialEq, Eq)]
struct Writing {
    device: u64,
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds of the content's last change, then those of anything's.
    times: [i64; 4],
}

impl Reached {
    /// Begins a try. Whom earlier ones have reached counts if they were about the same writings of the same files.
    pub(super) fn begin(&self, action: &Action, changed: &[PathBuf]) {
        let mut deliveries = self.lock();
        let Some(files) = writings(changed) else {
            deliveries.remove(action);
            return;
        };
        if deliveries.get(action).is_none_or(|known| known.files != files) {
            let fresh = Unfinished {
                files,
                containers: BTreeSet::new(),
            };
            deliveries.insert(action.clone(), fresh);
        }
    }

    /// Whether a container has been told already.
    pub(super) fn has(&self, action: &Action, container: &str) -> bool {
        let deliveries = self.lock();
        deliveries
            .get(action)
            .is_some_and(|known| known.containers.contains(container))
    }

    /// A container was told.
    pub(super) fn add(&self, action: &Action, container: &str) {
        if let Some(known) = self.lock().get_mut(action) {
            known.containers.insert(container.to_owned());
        }
    }

    /// The delivery is over.
    pub(super) fn forget(&self, action: &Action) {
        self.lock().remove(action);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Action, Unfinished>> {
        self.deliveries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The present writings of these files; `None` where a later one could not be told from them, as of a file that was
/// removed or of what is no file. Everybody is told again then: rather twice than never.
fn writings(changed: &[PathBuf]) -> Option<Vec<(PathBuf, Writing)>> {
    if changed.is_empty() {
        return None;
    }
    let each = changed.iter();
    each.map(|path| Some((path.clone(), Writing::of(path)?)))
        .collect()
}

impl Writing {
    fn of(path: &Path) -> Option<Self> {
        let metadata = std::fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            length: metadata.len(),
            times: [
                metadata.mtime(),
                metadata.mtime_nsec(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ],
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn action(text: &str) -> Action {
        Action::parse(text).unwrap()
    }

    /// Puts a file in the place of another, as locket does.
    fn replace(path: &Path, text: &str) {
        let fresh = path.with_extension("fresh");
        fs::write(&fresh, text).unwrap();
        fs::rename(fresh, path).unwrap();
    }

    #[test]
    fn whoever_was_told_is_known_until_the_delivery_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let changed = [directory.path().join("a")];
        replace(&changed[0], "1");
        let (reached, mail) = (Reached::default(), action("compose:shop/mail:restart"));
        reached.begin(&mail, &changed);
        reached.add(&mail, "one");
        reached.begin(&mail, &changed);
        assert!(reached.has(&mail, "one") && !reached.has(&mail, "two"));
        let web = action("compose:shop/web:restart");
        reached.begin(&web, &changed);
        assert!(!reached.has(&web, "one"), "of another action");
        reached.forget(&mail);
        reached.begin(&mail, &changed);
        assert!(!reached.has(&mail, "one"), "the next delivery tells everybody");
    }

    #[test]
    fn a_file_that_was_written_again_is_news_for_everybody() {
        let directory = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| directory.path().join(name));
        for file in [&a, &b] {
            replace(file, "1");
        }
        let (reached, mail) = (Reached::default(), action("compose:shop/mail:HUP"));
        let both = [a.clone(), b];
        reached.begin(&mail, &both);
        reached.add(&mail, "one");
        reached.begin(&mail, &both);
        assert!(reached.has(&mail, "one"), "nothing was written");
        replace(&a, "1");
        reached.begin(&mail, &both);
        assert!(!reached.has(&mail, "one"), "though with the same content");
        reached.add(&mail, "one");
        reached.begin(&mail, &[a]);
        assert!(!reached.has(&mail, "one"), "these are not the same files");
    }

    #[test]
    fn what_cannot_be_recognised_is_told_again() {
        let directory = tempfile::tempdir().unwrap();
        let [there, gone] = ["there", "gone"].map(|name| directory.path().join(name));
        replace(&there, "1");
        let (reached, mail) = (Reached::default(), action("compose:shop/mail:HUP"));
        for (changed, is_known) in [
            (vec![there.clone()], true),
            (vec![there, gone], false),
            (vec![], false),
        ] {
            reached.begin(&mail, &changed);
            reached.add(&mail, "one");
            reached.begin(&mail, &changed);
            assert_eq!(reached.has(&mail, "one"), is_known, "{changed:?}");
        }
    }
}
