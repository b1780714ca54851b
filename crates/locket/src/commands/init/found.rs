//! What is in the directory already: Compose files of others, and the override that an earlier run made.

use std::path::{Path, PathBuf};

use locket_compose::init::{Earlier, Stamp, stamp};
use locket_compose::{DEFAULT_FILES, LoadError, Project, Request, load};
use locket_core::Environment;

use super::super::files::read_text;
use super::super::project::Disk;
use crate::report::{Cause, Failure, Problem};

/// The files of a project.
#[derive(Debug)]
pub(super) struct Found {
    /// Those of others, in their order; none where there is no project yet.
    pub(super) base: Vec<PathBuf>,
    /// Where our override is, or goes.
    pub(super) place: PathBuf,
    /// What is there.
    pub(super) present: Option<(Stamp, String)>,
    /// Whether Compose reads it without being told.
    pub(super) is_read: bool,
}

impl Found {
    /// Looks in `directory`. Files that were named are taken instead of the usual ones.
    ///
    /// # Errors
    /// A file cannot be read.
    pub(super) fn look(directory: &Path, named: &[PathBuf]) -> Result<Self, Failure> {
        if let Some(first) = named.first() {
            let base: Vec<_> = named.iter().map(|file| directory.join(file)).collect();
            let place = directory.join(first).with_extension("secrets.yaml");
            return Self::with(base, place, false);
        }
        let there = |name: String| Some(directory.join(name)).filter(|path| path.exists());
        let Some(main) = DEFAULT_FILES.iter().find_map(|name| there((*name).to_owned())) else {
            return Self::with(Vec::new(), directory.join("compose.override.yaml"), true);
        };
        let overrides = DEFAULT_FILES.map(|name| name.replace(".y", ".override.y"));
        match overrides.into_iter().find_map(there) {
            None => {
                let name = main
                    .file_name()
                    .map(|name| name.to_string_lossy().replace(".y", ".override.y"));
                let place = directory.join(name.unwrap_or_default());
                Self::with(vec![main], place, true)
            }
            Some(path) => {
                let text = read_text(&path)?.unwrap_or_default();
                match stamp(&text) {
                    Stamp::Foreign => {
                        Self::with(vec![main, path], directory.join("compose.secrets.yaml"), false)
                    }
                    _ => Self::with(vec![main], path, true),
                }
            }
        }
    }

    fn with(base: Vec<PathBuf>, place: PathBuf, is_read: bool) -> Result<Self, Failure> {
        let present = read_text(&place)?.map(|text| (stamp(&text), text));
        Ok(Self {
            base,
            place,
            present,
            is_read,
        })
    }

    /// What an earlier run decided.
    pub(super) fn earlier(&self, disk: &Disk, environment: &Environment) -> Earlier {
        if self.present.is_none() {
            return Earlier::default();
        }
        let request = Request {
            files: vec![self.place.clone()],
            ..Request::default()
        };
        load(&request, disk, environment)
            .map(|project| Earlier::of(&project))
            .unwrap_or_default()
    }
}

/// The project of `files`.
///
/// # Errors
/// A file cannot be read, or Compose would refuse what is in it.
pub(in super::super) fn project(
    files: &[PathBuf],
    directory: &Path,
    disk: &Disk,
    environment: &Environment,
) -> Result<Project, Failure> {
    let request = Request {
        directory: directory.to_owned(),
        files: files.to_vec(),
        ..Request::default()
    };
    let project = load(&request, disk, environment).map_err(|error| Failure::usage(error.to_string()))?;
    without_mistakes(project)
}

/// The same; `None` where there is no Compose file and none was named.
///
/// # Errors
/// As for [`project`].
#[cfg(feature = "command-rotate")]
pub(in super::super) fn project_if_any(
    files: &[PathBuf],
    directory: &Path,
    environment: &Environment,
) -> Result<Option<Project>, Failure> {
    let request = Request {
        directory: directory.to_owned(),
        files: files.to_vec(),
        ..Request::default()
    };
    match load(&request, &Disk::default(), environment) {
        Ok(project) => without_mistakes(project).map(Some),
        Err(LoadError::NoFile(_)) => Ok(None),
        Err(error) => Err(Failure::usage(error.to_string())),
    }
}

fn without_mistakes(project: Project) -> Result<Project, Failure> {
    let mistakes: Vec<_> = project
        .mistakes
        .iter()
        .filter(|mistake| !mistake.is_unset)
        .map(|mistake| {
            let source = project.sources.get(mistake.source);
            let line = source.text[..mistake.diagnostic.span.start.min(source.text.len())]
                .lines()
                .count()
                .max(1);
            // The line itself may hold a password.
            Problem::Told {
                message: format!("{}:{line}: {}", source.path.display(), mistake.diagnostic.message),
                help: mistake.diagnostic.help.clone(),
            }
        })
        .collect();
    match mistakes.is_empty() {
        true => Ok(project),
        false => Err(Failure::new(Cause::Usage, mistakes)),
    }
}
