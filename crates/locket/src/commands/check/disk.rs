//! The disk as the check sees it. Of secret files it sees how they begin and end, and never keeps a byte.

use std::cell::RefCell;
use std::fs::{self, File, Metadata};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use locket_compose::check::{Edges, Git, Kind, Stat, Surroundings};
use locket_compose::{Files, Unreadable};
use locket_sys::mount::{Filesystem, filesystem};
use zeroize::Zeroizing;

use super::git;

/// Larger files are no secrets, and no texts that a person wrote.
const LARGEST: u64 = 4 << 20;

#[derive(Debug, Default)]
pub(super) struct Disk {
    notes: RefCell<Vec<String>>,
}

impl Disk {
    /// What could not be looked at, and why.
    pub(super) fn notes(&self) -> Vec<String> {
        self.notes.take()
    }
}

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        let metadata = fs::metadata(path).map_err(|error| unreadable(&error))?;
        if !metadata.is_file() {
            return Err(Unreadable::Refused("it is no file".to_owned()));
        }
        if metadata.len() > LARGEST {
            return Err(Unreadable::Refused(format!(
                "it has more than {} MiB",
                LARGEST >> 20
            )));
        }
        fs::read_to_string(path).map_err(|error| unreadable(&error))
    }

    fn exists(&self, path: &Path) -> bool {
        path.exists()
    }
}

impl Surroundings for Disk {
    fn stat(&self, path: &Path) -> Option<Stat> {
        let metadata = fs::metadata(path).ok()?;
        let kind = if metadata.is_file() {
            Kind::File
        } else if metadata.is_dir() {
            Kind::Directory
        } else {
            Kind::Other
        };
        Some(Stat {
            kind,
            mode: metadata.mode() & 0o7777,
            uid: metadata.uid(),
            gid: metadata.gid(),
            age: age(&metadata),
            is_shut: is_shut(path),
        })
    }

    fn edges(&self, path: &Path) -> Option<Edges> {
        let file = File::open(path).ok()?;
        let mut content = Zeroizing::new(Vec::new());
        let length = usize::try_from(file.metadata().ok()?.len()).ok()?;
        // One buffer that never grows leaves no copies behind.
        content.reserve_exact(length.min(1 << 20) + 1);
        file.take(1 << 20).read_to_end(&mut content).ok()?;
        Some(Edges::of(&content))
    }

    fn git(&self, paths: &[PathBuf]) -> Vec<Git> {
        match git::states(paths) {
            Ok(states) => states,
            Err(note) => {
                self.notes.borrow_mut().push(note);
                vec![Git::Outside; paths.len()]
            }
        }
    }

    fn is_memory(&self, path: &Path) -> bool {
        path.ancestors()
            .find_map(|path| File::open(path).ok())
            .is_some_and(|file| filesystem(&file).is_ok_and(|kind| kind == Filesystem::Memory))
    }

    fn real(&self, path: &Path) -> PathBuf {
        let there = path.ancestors().find_map(|above| {
            let rest = path.strip_prefix(above).ok()?;
            Some((above.canonicalize().ok()?, rest))
        });
        match there {
            Some((real, rest)) if rest.as_os_str().is_empty() => real,
            Some((real, rest)) => real.join(rest),
            None => path.to_owned(),
        }
    }

    fn user(&self) -> Option<u32> {
        Some(rustix::process::geteuid().as_raw())
    }
}

fn unreadable(error: &std::io::Error) -> Unreadable {
    match error.kind() {
        ErrorKind::NotFound => Unreadable::Missing,
        ErrorKind::InvalidData => Unreadable::Refused("it is no text".to_owned()),
        _ => Unreadable::Refused(error.to_string()),
    }
}

fn age(metadata: &Metadata) -> Duration {
    metadata
        .modified()
        .ok()
        .and_then(|written| written.elapsed().ok())
        .unwrap_or_default()
}

/// Whether some directory on the way lets only its owner and group pass.
fn is_shut(path: &Path) -> bool {
    let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    whole
        .ancestors()
        .skip(1)
        .filter_map(|directory| fs::metadata(directory).ok())
        .any(|metadata| metadata.mode() & 0o001 == 0)
}
