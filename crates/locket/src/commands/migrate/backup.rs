//! The files as they were, where no version control finds them.

use std::path::{Path, PathBuf};
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

/// Copies `files` into a new directory below `place`.
///
/// # Errors
/// It is inside of a repository, or cannot be written.
pub(super) fn make(place: &Path, files: &[(PathBuf, String)], now: SystemTime) -> Result<PathBuf, Failure> {
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
    for (path, text) in files {
        let name = path.file_name().unwrap_or_default();
        SecretFiles::keep(&directory.join(name), &SecretBytes::copy_from(text.as_bytes()))?;
    }
    Ok(directory)
}
