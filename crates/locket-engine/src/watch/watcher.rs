//! Brings together what the kernel tells, what a look finds, and the quiet time.

use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::debounce::{Change, Debounce};
use super::mounts::Mounts;
use super::poll::Poll;
use super::tree::{Event, Refused, Tree};

/// Follows files and directories, which may also be missing for now.
///
/// Directories are followed with all below them. It holds one inotify instance and costs nothing while nothing
/// happens; where the kernel's limits do not suffice it looks every two seconds instead.
#[derive(Debug)]
pub struct Watcher {
    roots: Vec<PathBuf>,
    tree: Option<Tree>,
    mounts: Option<Mounts>,
    poll: Option<Poll>,
    debounce: Debounce,
    mode: WatchMode,
}

/// How changes are noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WatchMode {
    /// The kernel tells of them.
    Events,
    /// The kernel tells of most; these roots are looked at every two seconds besides, since others than this machine
    /// may write there, or their directories may not be listed.
    Mixed(Vec<PathBuf>),
    /// Every two seconds all files are looked at.
    Polling,
}

impl Watcher {
    /// Follows `roots`. A change is told when none has come for `debounce`, or ten times that after the first.
    ///
    /// It must be made inside a runtime with timers and I/O, before the files are read for the first time: what
    /// changes after that is told.
    pub fn new(roots: Vec<PathBuf>, debounce: Duration) -> Self {
        let mut watcher = Self {
            roots,
            tree: None,
            mounts: None,
            poll: None,
            debounce: Debounce::new(debounce),
            mode: WatchMode::Events,
        };
        if watcher.roots.is_empty() {
            return watcher;
        }
        match Tree::new(&watcher.roots) {
            Ok(tree) => {
                watcher.mounts = Mounts::new(&tree.places());
                watcher.tree = Some(tree);
                watcher.look_where_blind();
            }
            Err(refused) => watcher.fall_back(refused),
        }
        watcher
    }

    /// How changes are noticed at present.
    pub fn mode(&self) -> &WatchMode {
        &self.mode
    }

    /// The next change. May be dropped and called again without losing one.
    pub async fn changed(&mut self) -> Change {
        loop {
            let change = tokio::select! {
                biased;
                () = until(self.debounce.due()) => match self.debounce.take() {
                    Some(change) => return change,
                    None => continue,
                },
                events = events(self.tree.as_ref()) => self.follow(events),
                () = mounted(self.mounts.as_ref()) => self.on_mount(),
                change = looked(self.poll.as_mut()) => Some(change),
            };
            if let Some(change) = change {
                self.debounce.add(change, Instant::now());
            }
        }
    }

    fn follow(&mut self, events: Vec<Event>) -> Option<Change> {
        match self.tree.as_mut()?.follow(events) {
            Ok(change) => {
                if change.is_some() {
                    self.look_where_blind();
                }
                change
            }
            Err(refused) => {
                self.fall_back(refused);
                Some(Change::All)
            }
        }
    }

    fn on_mount(&mut self) -> Option<Change> {
        let tree = self.tree.as_mut()?;
        if !self.mounts.as_mut()?.has_changed(&tree.places()) {
            return None;
        }
        tracing::debug!("a file system came or went where templates are");
        match tree.rebuild() {
            Ok(()) => self.look_where_blind(),
            Err(refused) => self.fall_back(refused),
        }
        Some(Change::All)
    }

    /// Looks at the roots of which the kernel does not tell everything.
    fn look_where_blind(&mut self) {
        let blind = self.tree.as_ref().map(Tree::blind).unwrap_or_default();
        if self.poll.as_ref().is_some_and(|poll| poll.is_of(&blind)) {
            return;
        }
        if blind.is_empty() {
            self.poll = None;
            self.mode = WatchMode::Events;
        } else {
            for root in &blind {
                tracing::info!("{} is looked at every 2 s for edits", root.display());
            }
            self.poll = Some(Poll::new(blind.clone()));
            self.mode = WatchMode::Mixed(blind);
        }
    }

    /// Goes over to looking. What happened before the first look is for the caller to find: the roots are told as
    /// changed, or not yet read.
    fn fall_back(&mut self, refused: Refused) {
        let advice = match refused {
            Refused::Watches => {
                "the limit of inotify watches is reached. \
                 Raise it with `sysctl fs.inotify.max_user_watches=524288`, then restart or send SIGHUP."
            }
            Refused::Instances => {
                "the limit of inotify instances is reached. \
                 Raise it with `sysctl fs.inotify.max_user_instances=1024`, then restart or send SIGHUP."
            }
            Refused::Unavailable(_) => "the kernel offers no inotify here.",
        };
        tracing::warn!("edits of templates are looked for every 2 s, since {advice}");
        // The watches go first: they are what others may be lacking.
        self.tree = None;
        self.mounts = None;
        self.poll = Some(Poll::new(self.roots.clone()));
        self.mode = WatchMode::Polling;
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => pending().await,
    }
}

async fn events(tree: Option<&Tree>) -> Vec<Event> {
    match tree {
        Some(tree) => tree.events().await,
        None => pending().await,
    }
}

async fn mounted(mounts: Option<&Mounts>) {
    match mounts {
        Some(mounts) => mounts.changed().await,
        None => pending().await,
    }
}

async fn looked(poll: Option<&mut Poll>) -> Change {
    match poll {
        Some(poll) => poll.changed().await,
        None => pending().await,
    }
}
