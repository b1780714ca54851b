//! What a check may know of the machine. Contents of secrets it never sees.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::load::Files;

/// The disk, and what git thinks of it.
pub trait Surroundings: Files {
    /// What is at `path`, behind links; `None` where nothing is.
    fn stat(&self, path: &Path) -> Option<Stat>;

    /// How the content of the file at `path` begins and ends; `None` where it cannot be read.
    fn edges(&self, path: &Path) -> Option<Edges>;

    /// What git thinks of each of `paths`, in their order.
    fn git(&self, paths: &[PathBuf]) -> Vec<Git>;

    /// Whether `path`, or what is there of the way to it, is in memory.
    fn is_memory(&self, path: &Path) -> bool;

    /// `path` without links, as far as there is anything.
    fn real(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }

    /// The user whose the files are that we make; `None` where nobody makes any.
    fn user(&self) -> Option<u32> {
        None
    }
}

/// What something on the disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// File or directory.
    pub kind: Kind,
    /// Its mode, permissions alone.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// How long ago it was written.
    pub age: Duration,
    /// Whether a directory above lets nobody pass but its owner and group.
    pub is_shut: bool,
}

/// File or directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A pipe, a socket, a device.
    Other,
}

/// How a content begins and ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Edges {
    /// There is none, or white space alone.
    pub is_blank: bool,
    /// It has white space before its first character.
    pub is_led: bool,
    /// It has white space behind its last character.
    pub is_trailed: bool,
    /// It is a text of several lines, a JSON document or no text at all: white space belongs to it.
    pub is_document: bool,
}

/// What git thinks of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Git {
    /// It is in no work tree, or there is no git.
    Outside,
    /// It is in the index.
    Tracked,
    /// It is left out.
    Ignored,
    /// The next `git add` would take it.
    New,
}

impl Edges {
    /// Looks at `content`.
    pub fn of(content: &[u8]) -> Self {
        let inner = content.trim_ascii();
        Self {
            is_blank: inner.is_empty(),
            is_led: content.first().is_some_and(u8::is_ascii_whitespace),
            is_trailed: content.last().is_some_and(u8::is_ascii_whitespace),
            is_document: inner.contains(&b'\n')
                || inner.starts_with(b"{")
                || inner.starts_with(b"[")
                || std::str::from_utf8(content).is_err(),
        }
    }
}
