//! Where a value was written, when it may come from any of several files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::Span;

/// One of the texts of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SourceId(usize);

/// A place in one of the texts of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The text.
    pub source: SourceId,
    /// The bytes in it.
    pub span: Span,
}

/// A text of a project: a Compose file, or a file of variables.
#[derive(Clone, Debug)]
pub struct Source {
    /// Where it was read from.
    pub path: PathBuf,
    /// What relative paths in it count from.
    pub base: PathBuf,
    /// All of it.
    pub text: Arc<str>,
}

/// All texts of a project.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// The text that `id` stands for.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.0[id.0]
    }

    /// Every text, in the order in which they were read. A file that was reached in two ways may be there twice.
    pub fn iter(&self) -> impl Iterator<Item = (SourceId, &Source)> {
        self.0
            .iter()
            .enumerate()
            .map(|(at, source)| (SourceId(at), source))
    }

    /// `path` as it counts for somebody who wrote it in the text `id`.
    pub fn resolve(&self, id: SourceId, path: impl AsRef<Path>) -> PathBuf {
        join(&self.get(id).base, path.as_ref())
    }

    pub(crate) fn add(&mut self, source: Source) -> SourceId {
        self.0.push(source);
        SourceId(self.0.len() - 1)
    }
}

impl Place {
    pub(crate) const fn new(source: SourceId, span: Span) -> Self {
        Self { source, span }
    }

    /// The bytes `from..to` of this place, in bytes from its start.
    pub(crate) const fn part(self, from: usize, to: usize) -> Self {
        let start = self.span.start;
        Self::new(self.source, Span::new(start + from, start + to))
    }
}

/// `path` below `base`, without the `.` and `..` that can be resolved without looking at the disk.
pub(crate) fn join(base: &Path, path: &Path) -> PathBuf {
    use std::path::Component;

    let mut joined = PathBuf::new();
    for component in base.join(path).components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(joined.components().next_back(), Some(Component::Normal(_))) => {
                joined.pop();
            }
            other => joined.push(other),
        }
    }
    joined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_without_detours() {
        for (base, path, joined) in [
            ("/a/b", "./c.txt", "/a/b/c.txt"),
            ("/a/b", "../c.txt", "/a/c.txt"),
            ("/a", "/x/./y", "/x/y"),
            ("", "../c", "../c"),
            ("/", "../c", "/../c"),
        ] {
            assert_eq!(
                join(Path::new(base), Path::new(path)),
                Path::new(joined),
                "{base} {path}"
            );
        }
    }
}
