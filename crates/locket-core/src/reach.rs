//! What of its machine a provider touches, so that everything else can be denied to the agent.

use std::path::PathBuf;

use crate::Locator;

/// What of its machine one provider touches. Connections to servers are not part of it.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// Files that it reads again and again, also after somebody has saved them by a rename: tokens, certificates.
    /// Absolute; they need not exist.
    pub files: Vec<PathBuf>,
    /// Files and directories of the system that it reads where they are: name servers, certificate authorities.
    pub fixed: Vec<PathBuf>,
    /// The files that references name, for a provider of files.
    pub referenced: Option<Referenced>,
    /// Whether it runs other programs, of which nobody knows what they need.
    pub runs_programs: bool,
}

/// How references name files.
#[derive(Clone, Debug)]
pub struct Referenced {
    /// Where relative paths count from.
    pub base: PathBuf,
    /// The path in a locator.
    pub path: fn(&Locator) -> Option<PathBuf>,
}

impl Reach {
    /// A provider that reads these files and nothing else.
    pub fn of_files(files: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            files: files.into_iter().collect(),
            ..Self::default()
        }
    }
}
