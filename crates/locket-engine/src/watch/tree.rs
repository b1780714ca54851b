//! Watches for every directory that matters, kept in step with the directories: one inotify instance.
//!
//! The kernel is asked directly, since an order that loses nothing matters: a new directory is watched first, then
//! listed, then reported, so that a file in it is either there to be found or brings an event of its own.

use std::collections::{BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use locket_sys::mount::{Filesystem, filesystem};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;
use tokio::io::unix::AsyncFd;

use super::chain::{Chain, End};
use super::debounce::Change;

/// Room for some hundred events.
const BUFFER: usize = 16 << 10;

/// Buffers read in one go, so that a storm of events cannot hold up everything else.
const MOST_READS: usize = 32;

/// Another name in the directory, or another file under it.
const NAMES: WatchFlags = WatchFlags::CREATE
    .union(WatchFlags::DELETE)
    .union(WatchFlags::MOVED_FROM)
    .union(WatchFlags::MOVED_TO)
    .union(WatchFlags::ATTRIB)
    .union(WatchFlags::DELETE_SELF)
    .union(WatchFlags::MOVE_SELF);

/// Content of files in it as well.
const CONTENTS: WatchFlags = NAMES
    .union(WatchFlags::CLOSE_WRITE)
    .union(WatchFlags::MODIFY)
    .union(WatchFlags::EXCL_UNLINK);

/// Why the kernel does not watch for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// `fs.inotify.max_user_watches` is reached.
    Watches,
    /// `fs.inotify.max_user_instances` is reached, or the limit of open files.
    Instances,
    /// There is no inotify here.
    Unavailable(Errno),
}

/// The watches of one inotify instance.
#[derive(Debug)]
pub(super) struct Tree {
    inotify: AsyncFd<OwnedFd>,
    roots: Vec<Root>,
    /// The paths of the directory behind each watch: several where something is mounted in two places.
    directories: HashMap<i32, Vec<PathBuf>>,
    /// For a directory on the way to roots, the names that matter in it and to which root.
    steps: HashMap<PathBuf, Vec<(OsString, usize)>>,
}

#[derive(Debug)]
struct Root {
    path: PathBuf,
    chain: Chain,
    /// Whether the kernel's events do not tell everything about it.
    is_blind: bool,
}

/// What a look at the queue has brought.
#[derive(Debug, Default)]
struct Seen {
    paths: BTreeSet<PathBuf>,
    /// A root may lead elsewhere now.
    chains: bool,
    /// Watches may be missing.
    rebuild: bool,
    /// Events were lost.
    overflow: bool,
}

/// An event in a form that outlives the buffer.
pub(super) struct Event {
    watch: i32,
    kind: ReadFlags,
    name: Option<OsString>,
}

impl Tree {
    /// Watches `roots`, which are files or directories, there or not.
    ///
    /// # Errors
    /// The kernel refuses; nothing is watched then.
    pub(super) fn new(roots: &[PathBuf]) -> Result<Self, Refused> {
        let inotify =
            inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).map_err(|error| match error {
                Errno::MFILE | Errno::NFILE => Refused::Instances,
                other => Refused::Unavailable(other),
            })?;
        #[expect(
            deprecated,
            reason = "the new form is unsafe for the sake of types that change their descriptor; an `OwnedFd` keeps its own"
        )]
        let inotify = AsyncFd::new(inotify).map_err(|_| Refused::Unavailable(Errno::INVAL))?;
        let roots = roots.iter().map(|path| Root {
            path: path.clone(),
            chain: Chain::of(path),
            is_blind: false,
        });
        let mut tree = Self {
            inotify,
            roots: roots.collect(),
            directories: HashMap::new(),
            steps: HashMap::new(),
        };
        tree.rebuild()?;
        Ok(tree)
    }

    /// The roots whose changes the kernel does not tell: on file systems that others write to, or behind directories
    /// that may not be listed.
    pub(super) fn blind(&self) -> Vec<PathBuf> {
        self.roots
            .iter()
            .filter(|root| root.is_blind)
            .map(|root| root.path.clone())
            .collect()
    }

    /// The places that the roots lead to at present.
    pub(super) fn places(&self) -> Vec<&Path> {
        self.roots
            .iter()
            .flat_map(|root| [Some(root.path.as_path()), root.chain.directory()])
            .flatten()
            .collect()
    }

    /// Waits for events. Loses nothing when dropped half-way.
    pub(super) async fn events(&self) -> Vec<Event> {
        loop {
            let Ok(mut guard) = self.inotify.readable().await else {
                return std::future::pending().await;
            };
            // Only a queue found empty ends the readiness, which then begins with the next event.
            if let Ok(Ok(events)) = guard.try_io(|inotify| drain(inotify.get_ref())) {
                return events;
            }
        }
    }

    /// Brings the watches in step with what has happened, and says what may have changed.
    ///
    /// # Errors
    /// A new directory could not be watched.
    pub(super) fn follow(&mut self, events: Vec<Event>) -> Result<Option<Change>, Refused> {
        let mut seen = Seen::default();
        for event in events {
            self.on_event(event, &mut seen)?;
        }
        if seen.overflow {
            tracing::debug!("events of files were lost; everything is looked at again");
            self.rebuild()?;
            return Ok(Some(Change::All));
        }
        if seen.chains || seen.rebuild {
            let mut moved = false;
            for root in &self.roots {
                if Chain::of(&root.path) != root.chain {
                    moved = true;
                    seen.paths.insert(root.path.clone());
                }
            }
            if moved || seen.rebuild {
                self.rebuild()?;
            }
        }
        Ok((!seen.paths.is_empty()).then_some(Change::Paths(seen.paths)))
    }

    /// Sets all watches anew, and drops those that are no longer wanted.
    ///
    /// # Errors
    /// There are more directories than watches.
    pub(super) fn rebuild(&mut self) -> Result<(), Refused> {
        let old = std::mem::take(&mut self.directories);
        self.steps.clear();
        for index in 0..self.roots.len() {
            let chain = Chain::of(&self.roots[index].path);
            let is_watched = self.watch_chain(&chain, index)?;
            let is_remote = chain
                .directory()
                .or(chain.steps.last().map(|step| step.directory.as_path()))
                .and_then(|place| fs::File::open(place).ok())
                .is_some_and(|place| filesystem(&place).is_ok_and(|kind| kind == Filesystem::Remote));
            self.roots[index].is_blind = is_remote || !is_watched;
            self.roots[index].chain = chain;
        }
        for watch in old
            .into_keys()
            .filter(|watch| !self.directories.contains_key(watch))
        {
            let _ = inotify::remove_watch(self.inotify.get_ref(), watch);
        }
        Ok(())
    }

    /// Watches the way to a root and the root, and says whether its last directory could be.
    fn watch_chain(&mut self, chain: &Chain, index: usize) -> Result<bool, Refused> {
        let mut is_watched = false;
        for (at, step) in chain.steps.iter().enumerate() {
            let is_last = at + 1 == chain.steps.len();
            let flags = match chain.end {
                End::File if is_last => CONTENTS,
                _ => NAMES,
            };
            is_watched = self.watch(&step.directory, flags)?;
            self.steps
                .entry(step.directory.clone())
                .or_default()
                .push((step.name.clone(), index));
        }
        if let Some(directory) = chain.directory() {
            is_watched = self.watch_below(directory)?;
        }
        Ok(is_watched)
    }

    /// Watches a directory and all below it, links not followed. A directory is listed after it is watched.
    fn watch_below(&mut self, directory: &Path) -> Result<bool, Refused> {
        let is_watched = self.watch(directory, CONTENTS)?;
        let mut open = vec![directory.to_owned()];
        while let Some(directory) = open.pop() {
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            for entry in entries.flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    let path = entry.path();
                    self.watch(&path, CONTENTS.union(WatchFlags::DONT_FOLLOW))?;
                    open.push(path);
                }
            }
        }
        Ok(is_watched)
    }

    fn watch(&mut self, directory: &Path, flags: WatchFlags) -> Result<bool, Refused> {
        let flags = flags | WatchFlags::ONLYDIR | WatchFlags::MASK_ADD;
        match inotify::add_watch(self.inotify.get_ref(), directory, flags) {
            Ok(watch) => {
                let paths = self.directories.entry(watch).or_default();
                if !paths.iter().any(|path| path == directory) {
                    paths.push(directory.to_owned());
                }
                Ok(true)
            }
            Err(Errno::NOSPC | Errno::NOMEM) => Err(Refused::Watches),
            // Gone meanwhile, which brings an event, or not to be read.
            Err(error) => {
                tracing::debug!("{} is not watched: {error}", directory.display());
                Ok(false)
            }
        }
    }

    fn forget_below(&mut self, directory: &Path) {
        let inotify = self.inotify.get_ref();
        self.directories.retain(|watch, paths| {
            paths.retain(|path| !path.starts_with(directory));
            if paths.is_empty() {
                let _ = inotify::remove_watch(inotify, *watch);
            }
            !paths.is_empty()
        });
    }

    fn on_event(&mut self, event: Event, seen: &mut Seen) -> Result<(), Refused> {
        let is = |kinds: ReadFlags| event.kind.intersects(kinds);
        if is(ReadFlags::QUEUE_OVERFLOW) {
            seen.overflow = true;
            return Ok(());
        }
        let Some(directories) = self.directories.get(&event.watch).cloned() else {
            return Ok(());
        };
        if is(ReadFlags::IGNORED) {
            self.directories.remove(&event.watch);
            // What is at its place now may look the same, down to its number, and nobody watches it.
            seen.rebuild = true;
        }
        if is(ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF) {
            seen.chains = true;
        }
        let Some(name) = event.name else {
            return Ok(());
        };
        for directory in directories {
            self.on_name(&directory, &name, event.kind, seen)?;
        }
        Ok(())
    }

    /// Something happened to `name` in `directory`.
    fn on_name(
        &mut self,
        directory: &Path,
        name: &OsStr,
        kind: ReadFlags,
        seen: &mut Seen,
    ) -> Result<(), Refused> {
        let is = |kinds: ReadFlags| kind.intersects(kinds);
        for (_, root) in self
            .steps
            .get(directory)
            .into_iter()
            .flatten()
            .filter(|(step, _)| step == name)
        {
            seen.paths.insert(self.roots[*root].path.clone());
            seen.chains |= is(NAME_CHANGED);
            // A directory that could not be listed before may be readable now.
            seen.rebuild |= is(ReadFlags::ATTRIB) && is(ReadFlags::ISDIR);
        }
        let path = directory.join(name);
        let shown = self.shown(&path);
        if shown.is_empty() {
            return Ok(());
        }
        seen.paths.extend(shown);
        if is(ReadFlags::ISDIR) {
            if is(ReadFlags::MOVED_FROM) {
                self.forget_below(&path);
            }
            if is(ReadFlags::CREATE | ReadFlags::MOVED_TO | ReadFlags::ATTRIB) {
                self.watch_below(&path)?;
            }
        }
        Ok(())
    }

    /// `path` as seen from the roots whose directories it is in.
    fn shown(&self, path: &Path) -> Vec<PathBuf> {
        self.roots
            .iter()
            .filter_map(|root| {
                let below = path.strip_prefix(root.chain.directory()?).ok()?;
                Some(root.path.join(below))
            })
            .collect()
    }
}

/// What is queued, up to a limit.
fn drain(inotify: &OwnedFd) -> io::Result<Vec<Event>> {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut reader = inotify::Reader::new(inotify, &mut buffer);
    let mut events = Vec::new();
    let mut reads = 0;
    loop {
        if reader.is_buffer_empty() {
            if reads == MOST_READS {
                return Ok(events);
            }
            reads += 1;
        }
        match reader.next() {
            Ok(event) => events.push(Event {
                watch: event.wd(),
                kind: event.events(),
                name: event
                    .file_name()
                    .map(|name| OsStr::from_bytes(name.to_bytes()).to_owned()),
            }),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if !events.is_empty() => return Ok(events),
            Err(error) => return Err(error.into()),
        }
    }
}

const NAME_CHANGED: ReadFlags = ReadFlags::CREATE
    .union(ReadFlags::DELETE)
    .union(ReadFlags::MOVED_FROM)
    .union(ReadFlags::MOVED_TO);
