//! The directories and links that a path leads through. A change of any of them can turn the path elsewhere, so each
//! is watched for the one name that matters in it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

/// As many links as the kernel follows in one path.
const MOST_LINKS: usize = 40;

/// Where a path leads at one moment. Two equal chains lead to the same place in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// Every name that was looked up, in order.
    pub(super) steps: Vec<Step>,
    /// What the last of them led to.
    pub(super) end: End,
}

/// A name looked up in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Without links in it.
    pub(super) directory: PathBuf,
    pub(super) name: OsString,
    identity: Option<Identity>,
}

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// A directory, by its path without links.
    Directory(PathBuf, Option<Identity>),
    /// Anything else, content not considered.
    File,
    /// Nothing.
    Nothing,
}

/// A file as the kernel knows it: device and inode.
pub(super) type Identity = (u64, u64);

impl Chain {
    /// Follows `path`.
    pub(super) fn of(path: &Path) -> Self {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        let mut steps = Vec::new();
        let mut at = PathBuf::from("/");
        let mut rest = names(&path);
        let mut links = 0;
        while let Some(name) = rest.pop() {
            if name == "/" {
                at = PathBuf::from("/");
                continue;
            }
            if name == ".." {
                at.pop();
                continue;
            }
            let next = at.join(&name);
            steps.push(Step {
                identity: identity(&at),
                directory: at.clone(),
                name,
            });
            let end = match fs::symlink_metadata(&next) {
                Ok(metadata) if metadata.is_symlink() && links < MOST_LINKS => {
                    links += 1;
                    match fs::read_link(&next) {
                        Ok(target) => {
                            rest.extend(names(&target));
                            continue;
                        }
                        Err(_) => End::Nothing,
                    }
                }
                Ok(metadata) if metadata.is_dir() => {
                    at = next;
                    continue;
                }
                Ok(metadata) if !metadata.is_symlink() && rest.is_empty() => End::File,
                _ => End::Nothing,
            };
            return Self { steps, end };
        }
        let end = End::Directory(at.clone(), identity(&at));
        Self { steps, end }
    }

    /// The path without links, where it leads to a directory.
    pub(super) fn directory(&self) -> Option<&Path> {
        match &self.end {
            End::Directory(path, _) => Some(path),
            End::File | End::Nothing => None,
        }
    }
}

/// The components in reverse.
fn names(path: &Path) -> Vec<OsString> {
    path.components()
        .rev()
        .filter(|component| !matches!(component, Component::CurDir))
        .map(|component| component.as_os_str().to_owned())
        .collect()
}

fn identity(path: &Path) -> Option<Identity> {
    let metadata = fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn every_link_on_the_way_is_a_step() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        fs::create_dir_all(root.join("..2024/sub")).unwrap();
        fs::write(root.join("..2024/file"), "x").unwrap();
        symlink("..2024", root.join("..data")).unwrap();
        symlink("..data/file", root.join("file")).unwrap();
        let chain = Chain::of(&root.join("file"));
        let steps: Vec<_> = chain
            .steps
            .iter()
            .filter_map(|step| Some(step.directory.strip_prefix(&root).ok()?.join(&step.name)))
            .collect();
        let expected = ["file", "..data", "..2024", "..2024/file"].map(PathBuf::from);
        assert_eq!(steps, expected);
        assert_eq!(chain.end, End::File);
        assert_eq!(chain, Chain::of(&root.join("file")));

        let directory = Chain::of(&root.join("..data/../..data/sub"));
        assert_eq!(directory.directory(), Some(root.join("..2024/sub").as_path()));
    }

    #[test]
    fn a_path_to_nothing_ends_where_it_breaks_off() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path().canonicalize().unwrap();
        let before = Chain::of(&root.join("a/b"));
        assert_eq!(before.end, End::Nothing);
        assert_eq!(before.steps.last().unwrap().directory, root);
        fs::create_dir(root.join("a")).unwrap();
        assert_ne!(Chain::of(&root.join("a/b")), before);
        symlink("loop", root.join("loop")).unwrap();
        assert_eq!(Chain::of(&root.join("loop")).end, End::Nothing);
        fs::write(root.join("file"), "x").unwrap();
        assert_eq!(Chain::of(&root.join("file/b")).end, End::Nothing);
    }
}
