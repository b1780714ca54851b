//! What is on disk at one instant. A process that is killed cleans nothing up: what its destructors do to the files
//! while the simulation clears it away is undone with this.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// The trees below some directories.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Snapshot(BTreeMap<PathBuf, Node>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Directory(u32),
    File(u32, Vec<u8>),
    Link(PathBuf),
}

impl Snapshot {
    /// Takes in `roots`, which are directories or are not there.
    pub(super) fn take(roots: &[PathBuf]) -> Self {
        let mut nodes = BTreeMap::new();
        let mut open: Vec<_> = roots.to_vec();
        while let Some(path) = open.pop() {
            let Ok(metadata) = fs::symlink_metadata(&path) else {
                continue;
            };
            let mode = metadata.permissions().mode() & 0o7777;
            let node = if metadata.is_dir() {
                open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                Node::Directory(mode)
            } else if metadata.is_symlink() {
                Node::Link(fs::read_link(&path).unwrap())
            } else {
                Node::File(mode, fs::read(&path).unwrap())
            };
            nodes.insert(path, node);
        }
        Self(nodes)
    }

    /// Puts `roots` back to how they were.
    pub(super) fn restore(&self, roots: &[PathBuf]) {
        let present = Self::take(roots);
        for (path, node) in present.0.iter().rev() {
            match (self.0.get(path), node) {
                (Some(before), node) if before == node => {}
                (Some(Node::Directory(_)), Node::Directory(_)) => {}
                (_, Node::Directory(_)) => fs::remove_dir(path).unwrap(),
                _ => fs::remove_file(path).unwrap(),
            }
        }
        for (path, node) in &self.0 {
            if present.0.get(path) != Some(node) {
                make(path, node);
            }
        }
    }

    /// The files and their contents.
    pub(super) fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().filter_map(|(path, node)| match node {
            Node::File(_, bytes) => Some((path.as_path(), bytes.as_slice())),
            _ => None,
        })
    }
}

fn make(path: &Path, node: &Node) {
    match node {
        Node::Link(to) => symlink(to, path).unwrap(),
        Node::Directory(mode) => {
            if !path.is_dir() {
                fs::create_dir(path).unwrap();
            }
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
        Node::File(mode, bytes) => {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }
}
