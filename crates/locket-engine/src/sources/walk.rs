//! The templates below a directory.

use std::collections::HashSet;
use std::fs::{self, FileType};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::error::Trouble;

/// The files below a directory.
#[derive(Debug)]
pub(super) struct Files {
    /// Their paths below the directory, in order.
    pub(super) relative: Vec<PathBuf>,
    /// What could not be looked at, and why: templates may be there, or below it, all the same.
    pub(super) unseen: Vec<Trouble>,
    /// Whether any link is among what was looked at, so that a file may have a second path.
    pub(super) has_links: bool,
}

/// Lists the files below `root`. Links are followed inside the root only; whatever is left out, and why, goes to
/// `trouble`, unless it is only out of sight.
///
/// # Errors
/// The root itself cannot be listed.
pub(super) fn files(root: &Path, trouble: &mut Vec<Trouble>) -> io::Result<Files> {
    let real_root = root.canonicalize()?;
    let mut walk = Walk {
        root,
        real_root: &real_root,
        trouble,
        found: Vec::new(),
        unseen: Vec::new(),
        has_links: false,
        above: HashSet::new(),
    };
    walk.directory(Path::new(""))?;
    let mut relative = walk.found;
    relative.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    Ok(Files {
        relative,
        unseen: walk.unseen,
        has_links: walk.has_links,
    })
}

struct Walk<'a> {
    root: &'a Path,
    real_root: &'a Path,
    trouble: &'a mut Vec<Trouble>,
    found: Vec<PathBuf>,
    unseen: Vec<Trouble>,
    has_links: bool,
    /// The directories on the way, so that a link to one of them ends.
    above: HashSet<(u64, u64)>,
}

impl Walk<'_> {
    fn directory(&mut self, relative: &Path) -> io::Result<()> {
        let path = self.root.join(relative);
        let metadata = fs::metadata(&path)?;
        let identity = (metadata.dev(), metadata.ino());
        if !self.above.insert(identity) {
            return Ok(());
        }
        let result = self.entries(&path, relative);
        // A directory that two ways lead to is listed under both, whichever comes first.
        self.above.remove(&identity);
        result
    }

    fn entries(&mut self, path: &Path, relative: &Path) -> io::Result<()> {
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            let name = entry.file_name();
            if is_passing(&name.to_string_lossy()) {
                continue;
            }
            let relative = relative.join(&name);
            let kind = match entry.file_type() {
                Ok(kind) if kind.is_symlink() => match self.follow(&relative) {
                    Some(kind) => kind,
                    None => continue,
                },
                Ok(kind) => kind,
                Err(error) => {
                    self.miss(&relative, "it cannot be looked at", &error);
                    continue;
                }
            };
            if kind.is_dir() {
                if let Err(error) = self.directory(&relative) {
                    self.miss(&relative, "the directory cannot be listed", &error);
                }
            } else if kind.is_file() {
                self.found.push(relative);
            } else {
                self.leave_out(&relative, "it is neither a file nor a directory".into());
            }
        }
        Ok(())
    }

    /// What a link leads to, if that is inside the root.
    fn follow(&mut self, relative: &Path) -> Option<FileType> {
        self.has_links = true;
        let path = self.root.join(relative);
        match path.canonicalize() {
            Ok(real) if real.starts_with(self.real_root) => match fs::metadata(real) {
                Ok(metadata) => Some(metadata.file_type()),
                Err(error) => {
                    self.miss(relative, "what the link leads to cannot be looked at", &error);
                    None
                }
            },
            Ok(_) => {
                self.leave_out(relative, "the link leads out of the source directory".into());
                None
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.leave_out(relative, format!("the link leads nowhere: {error}"));
                None
            }
            Err(error) => {
                self.miss(relative, "the link cannot be followed", &error);
                None
            }
        }
    }

    fn leave_out(&mut self, relative: &Path, reason: String) {
        self.trouble.push(Trouble {
            path: self.root.join(relative),
            reason,
        });
    }

    /// Passes over what cannot be looked at, unless it is gone since it was listed.
    fn miss(&mut self, relative: &Path, what: &str, error: &io::Error) {
        if error.kind() != io::ErrorKind::NotFound {
            self.unseen.push(Trouble {
                path: self.root.join(relative),
                reason: format!("{what}: {error}"),
            });
        }
    }
}

/// Names that stand for a moment while an editor saves or a volume is switched, and never for a template:
/// `..data` and its siblings, Emacs locks, vim's swap files.
fn is_passing(name: &str) -> bool {
    let is_swap = name.starts_with('.')
        && name
            .rsplit_once('.')
            .is_some_and(|(_, end)| matches!(end, "swp" | "swo" | "swx" | "swpx"));
    name.starts_with("..") || name.starts_with(".#") || is_swap
}
