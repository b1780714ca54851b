//! Links of a project that lead out of it. Whoever wrote the project chose them, and not whoever runs locket there: nothing
//! is written through one.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::report::Failure;

/// More than the kernel follows.
const MOST: usize = 64;

/// Refuses a path that a link within `bound` leads out of it, whether or not something is there.
///
/// # Errors
/// It is such a path.
pub(super) fn refuse_leading_out(path: &Path, bound: &Path) -> Result<(), Failure> {
    let bound = bound.canonicalize().unwrap_or_else(|_| bound.to_owned());
    match leading_out(path, &bound) {
        None => Ok(()),
        Some((link, target)) => Err(Failure::work(format!(
            "{} is a link that leads out of {}, to {}, where nothing is written",
            link.display(),
            bound.display(),
            target.display()
        ))
        .help("Name the file that is meant itself, or put a file or directory in the place of the link.")),
    }
}

/// The last link within `bound` on the way to `path`, and where that way ends, if it ends outside of `bound`.
fn leading_out(path: &Path, bound: &Path) -> Option<(PathBuf, PathBuf)> {
    let words = |path: &Path| {
        let words = path.components().map(|part| part.as_os_str().to_owned());
        words.collect::<Vec<OsString>>()
    };
    let mut left = VecDeque::from(words(path));
    let mut at = PathBuf::new();
    let mut last = None;
    let mut followed = 0;
    while let Some(word) = left.pop_front() {
        match Path::new(&word).components().next() {
            Some(Component::ParentDir) => {
                at.pop();
                continue;
            }
            Some(Component::CurDir) | None => continue,
            _ => {}
        }
        let next = at.join(&word);
        match std::fs::read_link(&next) {
            Ok(target) if followed < MOST => {
                followed += 1;
                if next.starts_with(bound) {
                    last = Some(next);
                }
                // An absolute one begins with the root, which is put in the place of everything before.
                words(&target)
                    .into_iter()
                    .rev()
                    .for_each(|word| left.push_front(word));
            }
            _ => at = next,
        }
    }
    last.filter(|_| !at.starts_with(bound)).map(|link| (link, at))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::context::Style;

    #[test]
    fn a_link_may_lead_about_in_the_project_and_not_out_of_it() {
        let directory = tempfile::tempdir().unwrap();
        let base = directory.path().canonicalize().unwrap();
        let (project, victim) = (base.join("project"), base.join("victim"));
        fs::create_dir_all(project.join("inner")).unwrap();
        fs::create_dir(&victim).unwrap();
        let link = |target: &str, name: &str| symlink(target, project.join(name)).unwrap();
        link("inner", "within");
        link("../victim", "out");
        link("out/file", "chain");
        link("../victim/none-yet", "dangling");
        link("inner/../../project/inner", "about");
        link("itself", "itself");
        symlink(&victim, project.join("absolute")).unwrap();
        symlink("project", base.join("alias")).unwrap();
        for fine in [
            "file",
            "within/file",
            "about/file",
            "itself",
            "none/file",
            "../victim/file",
        ] {
            assert!(
                refuse_leading_out(&project.join(fine), &project).is_ok(),
                "{fine}"
            );
        }
        for (bad, end) in [
            ("out/file", "victim/file"),
            ("chain", "victim/file"),
            ("dangling", "victim/none-yet"),
            ("absolute/more/file", "victim/more/file"),
        ] {
            // By whatever name of the project.
            for project in [&project, &base.join("alias")] {
                let refused = refuse_leading_out(&project.join(bad), project).unwrap_err();
                let told = refused.draw(Style::Plain);
                assert!(told.contains(&*base.join(end).to_string_lossy()), "{bad}: {told}");
            }
        }
    }
}
