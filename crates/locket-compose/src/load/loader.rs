//! What is read in which order, and everything that is wrong with it at once.

use std::fmt;
use std::path::{Path, PathBuf};

use locket_core::{Diagnostic, Environment, Span};

use super::expand::expand_tree;
use super::find;
use super::variables::Variables;
use crate::merge::{canonical_service, merge_files, without_resets};
use crate::model::{EnvText, Project};
use crate::place::{Place, Source, SourceId, Sources, join};
use crate::read;
use crate::yaml::{self, Map, Node, Value};

/// What the loader may know of a disk.
pub trait Files {
    /// The text of the file at `path`.
    ///
    /// # Errors
    /// There is none, or it cannot be read as text.
    fn read(&self, path: &Path) -> Result<String, Unreadable>;

    /// Whether something is at `path`.
    fn exists(&self, path: &Path) -> bool;
}

/// Why a file has no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// It is not there.
    Missing,
    /// It is there and cannot be read, for this reason: a lower-case fragment.
    Refused(String),
}

/// Which project.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Where the caller is: relative paths of `files` count from here, and the project is looked for here when there
    /// are none.
    pub directory: PathBuf,
    /// Compose files, each overriding those before it; none means `COMPOSE_FILE`, then the usual names.
    pub files: Vec<PathBuf>,
    /// Files of variables instead of the project's `.env`.
    pub env_files: Vec<PathBuf>,
    /// The name of the project, where the files are not asked.
    pub name: Option<String>,
}

/// Why there is no project at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// No Compose file in this directory or above.
    NoFile(PathBuf),
    /// A file that was named cannot be read.
    Unreadable(PathBuf, Unreadable),
}

/// Something in a file that Compose would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// The file.
    pub source: SourceId,
    /// What is wrong there.
    pub diagnostic: Diagnostic,
    /// Whether only a variable that must have a value has none, so that the project may well be right elsewhere.
    pub is_unset: bool,
}

/// Reads a project with everything that it includes and extends.
///
/// What Compose would refuse is a [`Mistake`] of the project, which then holds what can be read all the same.
///
/// # Errors
/// There is no Compose file, or one that was named cannot be read.
pub fn load(request: &Request, files: &dyn Files, environment: &Environment) -> Result<Project, LoadError> {
    let mut loader = Loader::new(files, environment.get("HOME").map(PathBuf::from));
    let found = find::find(request, files, environment, &mut loader)?;
    let scope = Scope {
        base: found.directory.clone(),
        variables: found.variables,
    };
    let root = loader.merged(&found.files, &scope, &mut Vec::new())?;
    let name = request
        .name
        .clone()
        .or_else(|| scope.variables.get("COMPOSE_PROJECT_NAME").map(str::to_owned))
        .filter(|name| !name.is_empty());
    Ok(read::project(
        loader,
        &root,
        found.directory,
        name,
        scope.variables,
    ))
}

/// What a file's relative paths and variables count from.
#[derive(Clone)]
pub(crate) struct Scope {
    pub(crate) base: PathBuf,
    pub(crate) variables: Variables,
}

pub(crate) struct Loader<'a> {
    pub(crate) files: &'a dyn Files,
    pub(crate) sources: Sources,
    pub(crate) mistakes: Vec<Mistake>,
    /// What `~` stands for.
    pub(crate) home: Option<PathBuf>,
    /// Every file of variables that was read.
    pub(crate) env_texts: Vec<EnvText>,
    /// How many files were included, each as often as it was.
    pub(super) included: usize,
}

impl<'a> Loader<'a> {
    /// A loader that has read nothing yet.
    pub(super) fn new(files: &'a dyn Files, home: Option<PathBuf>) -> Self {
        Self {
            files,
            sources: Sources::default(),
            mistakes: Vec::new(),
            home,
            env_texts: Vec::new(),
            included: 0,
        }
    }

    /// All of `files` merged, with what they include. `trail` holds the files that are being included.
    pub(crate) fn merged(
        &mut self,
        files: &[PathBuf],
        scope: &Scope,
        trail: &mut Vec<PathBuf>,
    ) -> Result<Node, LoadError> {
        let mut root: Option<Node> = None;
        for path in files {
            for mut document in self.documents(path, scope)? {
                self.extend_services(&mut document, path, scope);
                self.include(&mut document, path, scope, trail);
                match &mut root {
                    None => root = Some(document),
                    Some(root) => merge_files(root, document),
                }
            }
        }
        let mut root = root.unwrap_or_else(|| self.empty(files, scope));
        without_resets(&mut root);
        Ok(root)
    }

    /// The documents of one file, variables resolved and services in their canonical form.
    pub(crate) fn documents(&mut self, path: &Path, scope: &Scope) -> Result<Vec<Node>, LoadError> {
        let text = self
            .files
            .read(path)
            .map_err(|why| LoadError::Unreadable(path.to_owned(), why))?;
        let id = self.add(path, &scope.base, &text);
        let (mut documents, found) = yaml::parse(&text, id);
        self.note_all(id, found);
        for document in &mut documents {
            expand_tree(document, &scope.variables, &mut self.mistakes);
            if !matches!(document.value, Value::Map(_) | Value::Null) {
                self.wrong(
                    document.place,
                    "a Compose file is a map",
                    "It begins with `services:`.",
                );
            }
            services_mut(document)
                .into_iter()
                .flat_map(|services| &mut services.0)
                .for_each(|entry| canonical_service(&mut entry.node));
        }
        documents.retain(|document| document.as_map().is_some());
        Ok(documents)
    }

    /// `path` as it counts for somebody who wrote it in the text `id`.
    pub(crate) fn resolve(&self, id: SourceId, path: &str) -> PathBuf {
        match (path.strip_prefix('~'), &self.home) {
            (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
                join(home, Path::new(rest.trim_start_matches('/')))
            }
            _ => self.sources.resolve(id, path),
        }
    }

    pub(crate) fn add(&mut self, path: &Path, base: &Path, text: &str) -> SourceId {
        self.sources.add(Source {
            path: path.to_owned(),
            base: base.to_owned(),
            text: text.into(),
        })
    }

    pub(crate) fn wrong(&mut self, place: Place, message: impl Into<String>, help: impl Into<String>) {
        let diagnostic = Diagnostic::error(place.span, message).help(help);
        self.note_all(place.source, vec![diagnostic]);
    }

    pub(crate) fn note_all(&mut self, source: SourceId, found: Vec<Diagnostic>) {
        self.mistakes.extend(found.into_iter().map(|diagnostic| Mistake {
            source,
            diagnostic,
            is_unset: false,
        }));
    }

    /// What files without any document are.
    fn empty(&mut self, files: &[PathBuf], scope: &Scope) -> Node {
        let path = files.first().cloned().unwrap_or_default();
        let known = self.sources.iter().find(|(_, source)| source.path == path);
        let id = known.map(|(id, _)| id);
        let id = id.unwrap_or_else(|| self.add(&path, &scope.base, ""));
        Node::new(Value::Map(Map::default()), Place::new(id, Span::default()))
    }
}

/// The services of a document, to be changed.
pub(crate) fn services_mut(document: &mut Node) -> Option<&mut Map> {
    let Value::Map(root) = &mut document.value else {
        return None;
    };
    match &mut root.get_mut("services")?.value {
        Value::Map(services) => Some(services),
        _ => None,
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("there is no such file"),
            Self::Refused(reason) => f.write_str(reason),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoFile(directory) => write!(f, "no Compose file in {} or above", directory.display()),
            Self::Unreadable(path, why) => write!(f, "{} cannot be read: {why}", path.display()),
        }
    }
}

impl std::error::Error for LoadError {}
