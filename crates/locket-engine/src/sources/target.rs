//! Where outputs go.

use std::cmp::Ordering;
use std::hash::{Hash, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The root of variables. Those of files are absolute paths.
const VARIABLES: &str = "environment:";

/// Where an output goes: `relative` below `root`, outside of which nothing is written.
///
/// Every table of the engine is keyed by targets, so they compare as bytes and not component by component: both
/// paths are built in one way only.
#[derive(Clone, Debug)]
pub struct Target {
    /// A directory that the user named, or the parent of a file that the user named.
    pub root: Arc<Path>,
    /// The path below it, without `..`.
    pub relative: Arc<Path>,
}

impl Target {
    /// The place of a variable, which is no path.
    pub(crate) fn variable(name: &str) -> Self {
        Self {
            root: Path::new(VARIABLES).into(),
            relative: Path::new(name).into(),
        }
    }

    /// Whether it is a variable and no file.
    pub fn is_variable(&self) -> bool {
        self.root.as_os_str() == VARIABLES
    }

    /// What it is called in messages.
    pub fn shown(&self) -> String {
        match self.is_variable() {
            true => format!("the variable {}", self.relative.display()),
            false => self.path().display().to_string(),
        }
    }

    /// The whole path.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.relative)
    }

    fn bytes(&self) -> (&[u8], &[u8]) {
        (
            self.root.as_os_str().as_bytes(),
            self.relative.as_os_str().as_bytes(),
        )
    }
}

impl PartialEq for Target {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Target {}

impl Hash for Target {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl PartialOrd for Target {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Target {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes().cmp(&other.bytes())
    }
}

/// A single file's target: its parent directory is the root.
pub(super) fn root_of(destination: &Path, source: &Path) -> Target {
    let fallback = || Path::new(source.file_name().unwrap_or_default()).into();
    match (destination.parent(), destination.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            Target {
                root: parent.into(),
                relative: Path::new(name).into(),
            }
        }
        _ => Target {
            root: destination.into(),
            relative: fallback(),
        },
    }
}
