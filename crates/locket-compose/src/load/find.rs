//! Which files a project consists of, as Compose looks for them.

use std::path::{Path, PathBuf};

use locket_core::Environment;

use super::loader::{Files, LoadError, Loader, Request, Unreadable};
use super::variables::Variables;
use crate::place::join;

/// The names that Compose looks for, the first one that is there; an override has `.override` before its ending.
pub const DEFAULT_FILES: [&str; 4] = [
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];

/// A project's files, the directory that they count from, and its variables.
pub(super) struct Found {
    pub(super) files: Vec<PathBuf>,
    pub(super) directory: PathBuf,
    pub(super) variables: Variables,
}

pub(super) fn find(
    request: &Request,
    files: &dyn Files,
    environment: &Environment,
    loader: &mut Loader<'_>,
) -> Result<Found, LoadError> {
    let named: Vec<_> = request
        .files
        .iter()
        .map(|file| join(&request.directory, file))
        .collect();
    let mut variables = Variables::of(environment);
    if let Some(first) = named.first() {
        let directory = parent(first);
        add_env_files(&mut variables, request, &directory, loader)?;
        return Ok(Found {
            files: named,
            directory,
            variables,
        });
    }
    // `.env` beside the caller may say which files.
    let mut early = Variables::of(environment);
    let env = request.directory.join(".env");
    if files.exists(&env) && environment.get("COMPOSE_FILE").is_none() {
        let mut scratch = Loader::new(files, None);
        let _ = early.add_file(&env, &mut scratch);
    }
    let found = match early.get("COMPOSE_FILE").filter(|list| !list.is_empty()) {
        Some(list) => {
            let separator = early
                .get("COMPOSE_PATH_SEPARATOR")
                .filter(|text| !text.is_empty());
            list.split(separator.unwrap_or(":"))
                .filter(|file| !file.is_empty())
                .map(|file| join(&request.directory, Path::new(file)))
                .collect()
        }
        None => default_files(&request.directory, files)
            .ok_or_else(|| LoadError::NoFile(request.directory.clone()))?,
    };
    let directory = found
        .first()
        .map(|file: &PathBuf| parent(file))
        .unwrap_or_default();
    add_env_files(&mut variables, request, &directory, loader)?;
    Ok(Found {
        files: found,
        directory,
        variables,
    })
}

/// The first usual name in `directory` or above, with its override.
fn default_files(directory: &Path, files: &dyn Files) -> Option<Vec<PathBuf>> {
    directory.ancestors().find_map(|directory| {
        let there = |names: &[String]| {
            let paths = names.iter().map(|name| directory.join(name));
            paths.into_iter().find(|path| files.exists(path))
        };
        let main = there(&DEFAULT_FILES.map(str::to_owned))?;
        let overrides = DEFAULT_FILES.map(|name| name.replace(".y", ".override.y"));
        Some([Some(main), there(&overrides)].into_iter().flatten().collect())
    })
}

fn add_env_files(
    variables: &mut Variables,
    request: &Request,
    directory: &Path,
    loader: &mut Loader<'_>,
) -> Result<(), LoadError> {
    if request.env_files.is_empty() {
        let path = directory.join(".env");
        if loader.files.exists(&path) && variables.get("COMPOSE_DISABLE_ENV_FILE").is_none() {
            // A directory of this name is no file of variables.
            let _ = variables.add_file(&path, loader);
        }
        return Ok(());
    }
    // Of several files the last one counts.
    for file in request.env_files.iter().rev() {
        let path = join(&request.directory, file);
        let read = variables.add_file(&path, loader);
        read.map_err(|why: Unreadable| LoadError::Unreadable(path, why))?;
    }
    Ok(())
}

pub(super) fn parent(file: &Path) -> PathBuf {
    file.parent().map(PathBuf::from).unwrap_or_default()
}
