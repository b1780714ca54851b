//! The files as they were, where no version control finds them.

use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use locket_core::{Environment, SecretBytes};

use super::super::project::{SecretFiles, kept_apart};
use crate::report::Failure;

/// Where backups go unless somebody says otherwise.
///
/// # Errors
/// There is no home directory.
pub(super) fn place(environment: &Environment) -> Result<PathBuf, Failure> {
    kept_apart(environment, "backups").ok_or_else(|| {
        Failure::usage("there is no place for the backup")
            .help("Set HOME, or name a directory outside of any repository with `--backup DIR`.")
    })
}

/// Copies `files` of the project in `project` into a new directory below `place`, each under its path in the project.
///
/// # Errors
/// It is inside of a repository, or cannot be written.
pub(super) fn make(
    place: &Path,
    project: &Path,
    files: &[(PathBuf, String)],
    now: SystemTime,
) -> Result<PathBuf, Failure> {
    // What is not there yet has no links on the way.
    let real = place
        .ancestors()
        .find_map(|path| path.canonicalize().ok())
        .unwrap_or_else(|| place.to_owned());
    if let Some(repository) = real.ancestors().find(|path| path.join(".git").exists()) {
        return Err(Failure::usage(format!(
            "the backup would be in the repository {}",
            repository.display()
        ))
        .help("Name a directory outside of any repository with `--backup DIR`."));
    }
    let seconds = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let directory = (0..)
        .map(|number| match number {
            0 => place.join(format!("migrate-{seconds}")),
            number => place.join(format!("migrate-{seconds}-{number}")),
        })
        .find(|path| !path.exists())
        .unwrap_or_default();
    let paths: Vec<&Path> = files.iter().map(|(path, _)| path.as_path()).collect();
    for ((_, text), name) in files.iter().zip(names(project, &paths)) {
        SecretFiles::keep(&directory.join(name), &SecretBytes::copy_from(text.as_bytes()))?;
    }
    Ok(directory)
}

/// A name in the backup for each file: its path below the project, or one with a number for a file outside of it. No
/// two are the same, and none is the directory of another one.
fn names(project: &Path, paths: &[&Path]) -> Vec<PathBuf> {
    let below = |path: &Path| {
        let below = path.strip_prefix(project).ok()?;
        let is_plain = below
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        (is_plain && below.file_name().is_some()).then(|| below.to_owned())
    };
    let mut taken: BTreeSet<PathBuf> = paths
        .iter()
        .filter_map(|path| below(path))
        .flat_map(|name| name.ancestors().map(Path::to_owned).collect::<Vec<_>>())
        .collect();
    let mut outside = |path: &Path| {
        let name = path.file_name().unwrap_or_default();
        let directory = (1..)
            .map(|number| PathBuf::from(format!("outside-{number}")))
            .find(|directory| !taken.contains(directory))
            .unwrap_or_default();
        taken.insert(directory.clone());
        directory.join(name)
    };
    paths
        .iter()
        .map(|path| below(path).unwrap_or_else(|| outside(path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_same_name_have_a_copy_each() {
        let paths = [
            "/p/db/app.env",
            "/p/web/app.env",
            "/p/.env",
            "/q/app.env",
            "/p/../app.env",
            "/p/outside-1/app.env",
        ];
        let paths: Vec<&Path> = paths.iter().map(Path::new).collect();
        let kept = [
            "db/app.env",
            "web/app.env",
            ".env",
            "outside-2/app.env",
            "outside-3/app.env",
            "outside-1/app.env",
        ];
        assert_eq!(names(Path::new("/p"), &paths), kept.map(PathBuf::from));
    }
}
