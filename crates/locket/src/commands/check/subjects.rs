//! What each of the files that were named is.

use std::path::{Path, PathBuf};

use crate::context::Context;
use crate::report::Failure;

/// The files to be checked, by what they are.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    /// Each a directory, or Compose files of which each overrides those before it.
    pub(super) projects: Vec<Vec<PathBuf>>,
    pub(super) env_files: Vec<PathBuf>,
    pub(super) maps: Vec<PathBuf>,
    pub(super) configurations: Vec<PathBuf>,
    pub(super) templates: Vec<PathBuf>,
    /// Whether nobody named anything.
    is_default: bool,
    /// Whether a configuration lies in the caller's directory.
    has_configuration: bool,
}

impl Subjects {
    /// Sorts `files`, which count from the caller's directory.
    ///
    /// # Errors
    /// One of them does not exist.
    pub(super) fn sort(files: &[PathBuf], context: &Context) -> Result<Self, Failure> {
        let mut subjects = Self::default();
        if files.is_empty() {
            subjects.is_default = true;
            subjects.has_configuration = context.directory.join("locket.toml").exists();
            subjects.projects.push(vec![context.directory.clone()]);
            return Ok(subjects);
        }
        let mut compose = Vec::new();
        for file in files {
            let path = context.directory.join(file);
            if !path.exists() {
                return Err(Failure::usage(format!("{} does not exist", file.display()))
                    .help("Correct the path; paths count from the caller's directory."));
            }
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            let ending = path
                .extension()
                .unwrap_or_default()
                .to_string_lossy()
                .to_lowercase();
            if path.is_dir() {
                subjects.projects.push(vec![path]);
            } else if matches!(ending.as_str(), "yaml" | "yml") && is_compose(&path) {
                compose.push(path);
            } else if ending == "env" || name == ".env" || name.starts_with(".env.") {
                subjects.env_files.push(path);
            } else if ending == "csv" {
                subjects.maps.push(path);
            } else if ending == "toml" {
                subjects.configurations.push(path);
            } else {
                subjects.templates.push(path);
            }
        }
        if !compose.is_empty() {
            subjects.projects.push(compose);
        }
        Ok(subjects)
    }

    /// Whether nobody named anything.
    pub(super) fn is_default(&self) -> bool {
        self.is_default
    }

    /// Whether something else is to be checked than a project that may lie here.
    pub(super) fn has_others(&self) -> bool {
        self.has_configuration
    }
}

/// Whether a YAML file says one of the words that begin a Compose file.
fn is_compose(path: &Path) -> bool {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let begins = [
        "services:",
        "include:",
        "secrets:",
        "services :",
        "{services:",
        "{ services:",
    ];
    text.lines()
        .map(|line| line.trim_start_matches('\u{feff}').trim_start_matches('"'))
        .any(|line| begins.iter().any(|word| line.starts_with(word)))
}
