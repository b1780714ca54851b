//! Why an output could not be written, and what a person can do about it. Never a word of the content.

use std::path::{Path, PathBuf};

use locket_sys::landlock;
use rustix::io::Errno;

/// Why one output is not in place. What was there before still is, and no temporary file is left.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot write {}: {} {kind}", target.display(), Subject { at, target })]
pub struct SinkError {
    /// The output.
    pub target: PathBuf,
    /// The path that is in the way: the output itself, or a directory on the way to it.
    pub at: PathBuf,
    /// What is wrong with it.
    pub kind: SinkErrorKind,
}

/// What is wrong with a path, as the end of a sentence that the path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SinkErrorKind {
    /// No space, or no inodes.
    #[error("is on a file system without space left")]
    Full,
    /// The owner's quota.
    #[error("is past the disk quota")]
    Quota,
    /// A mount that refuses writing.
    #[error("is on a read-only mount")]
    ReadOnly,
    /// The modes refuse it.
    #[error("may not be written by this user")]
    Denied,
    /// The mode or owner asked for cannot be set.
    #[error("cannot be given the owner or mode asked for")]
    AccessRefused,
    /// Longer than the file system allows.
    #[error("has a name that is too long")]
    NameTooLong,
    /// A directory where the output should be.
    #[error("is a directory")]
    Directory,
    /// A FIFO, socket or device, or a link to one, where the output should be.
    #[error("is a FIFO, a socket or a device")]
    Special,
    /// A symbolic link where a directory should be.
    #[error("is a symbolic link that is not followed")]
    Link,
    /// A file where a directory should be.
    #[error("is not a directory")]
    NotDirectory,
    /// A path with `..`, an absolute one, or none at all.
    #[error("leads out of the destination")]
    Outside,
    /// Something that another program switches, where `..data` should be.
    #[error("is not a link that locket made")]
    Occupied,
    /// A name that temporary files have.
    #[error("has a name that is kept for temporary files")]
    Reserved,
    /// Anything else.
    #[error("cannot be written: {0}")]
    Io(Errno),
}

/// A failure whose output is not yet named; `at` is relative to nothing and complete.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) at: Option<PathBuf>,
    pub(super) kind: SinkErrorKind,
}

struct Subject<'a> {
    at: &'a Path,
    target: &'a Path,
}

impl SinkError {
    /// What to do, in full sentences.
    pub fn hint(&self) -> String {
        let at = self.at.display();
        let directory = self.at.parent().unwrap_or(&self.at).display();
        match self.kind {
            SinkErrorKind::Full => format!(
                "Free space or inodes on the file system of {directory}, or make it larger (`size=` of a tmpfs). \
                 Whatever was in place before still is."
            ),
            SinkErrorKind::Quota => format!(
                "Raise the quota of the agent's user on the file system of {directory}, or free some of it. \
                 Whatever was in place before still is."
            ),
            SinkErrorKind::ReadOnly => format!(
                "Mount the file system of {directory} writable for the agent: no `:ro` on a destination. \
                 Consumers may mount it read-only."
            ),
            SinkErrorKind::Denied if landlock::denies_writing(self.at.parent().unwrap_or(&self.at)) => {
                landlock::ADVICE.to_owned()
            }
            SinkErrorKind::Denied => {
                format!(
                    "Let the agent's user write to the directory {directory}, or choose another destination."
                )
            }
            SinkErrorKind::AccessRefused => {
                "Only root, or a process with CAP_CHOWN and CAP_FOWNER, may give files to others. \
                 Run the agent so, or leave out `--user`."
                    .to_owned()
            }
            SinkErrorKind::NameTooLong => {
                "Shorten the name: most file systems allow 255 bytes a component and 4095 a path.".to_owned()
            }
            SinkErrorKind::Directory => {
                format!("Remove the directory {at}, or map to a file inside it.")
            }
            SinkErrorKind::Special => {
                format!("Only regular files are written. Remove {at}, or choose another destination.")
            }
            SinkErrorKind::Link => format!(
                "Nothing is written through a link that another user could turn elsewhere. \
                 Name the directory that {at} points to as the destination."
            ),
            SinkErrorKind::NotDirectory => {
                format!("Remove the file {at}, or choose another destination.")
            }
            SinkErrorKind::Outside => {
                "Give a path below the destination, without `..` and without a leading `/`.".to_owned()
            }
            SinkErrorKind::Occupied => {
                "Name a directory that nothing else writes to as the destination of a map with `atomic`."
                    .to_owned()
            }
            SinkErrorKind::Reserved => {
                "Choose a name that does not look like `.locket-0123456789abcdef.tmp`.".to_owned()
            }
            SinkErrorKind::Io(_) => {
                format!("Check the file system of {directory}; the system's log may say more.")
            }
        }
    }
}

impl Fault {
    pub(super) fn named(self, target: &Path) -> SinkError {
        SinkError {
            target: target.to_owned(),
            at: self.at.unwrap_or_else(|| target.to_owned()),
            kind: self.kind,
        }
    }

    /// The same with a place, unless it has one.
    pub(super) fn at(mut self, path: &Path) -> Self {
        self.at.get_or_insert_with(|| path.to_owned());
        self
    }

    pub(super) fn is_lack_of_space(&self) -> bool {
        matches!(self.kind, SinkErrorKind::Full | SinkErrorKind::Quota)
    }
}

impl From<SinkErrorKind> for Fault {
    fn from(kind: SinkErrorKind) -> Self {
        Self { at: None, kind }
    }
}

impl From<Errno> for Fault {
    fn from(errno: Errno) -> Self {
        let kind = match errno {
            Errno::NOSPC => SinkErrorKind::Full,
            Errno::DQUOT => SinkErrorKind::Quota,
            Errno::ROFS => SinkErrorKind::ReadOnly,
            Errno::ACCESS | Errno::PERM => SinkErrorKind::Denied,
            Errno::NAMETOOLONG => SinkErrorKind::NameTooLong,
            Errno::ISDIR => SinkErrorKind::Directory,
            Errno::LOOP => SinkErrorKind::Link,
            Errno::NOTDIR => SinkErrorKind::NotDirectory,
            other => SinkErrorKind::Io(other),
        };
        kind.into()
    }
}

impl std::fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.at == self.target {
            f.write_str("it")
        } else {
            write!(f, "{}", self.at.display())
        }
    }
}
