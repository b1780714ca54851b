//! What `${NAME}` stands for: the process environment, then the project's `.env`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use locket_core::{Environment, env_file};

use super::loader::Loader;
use crate::model::EnvText;

/// Variables for interpolation. Their values may be secrets: they are never printed.
#[derive(Clone, Default)]
pub struct Variables {
    inherited: Environment,
    files: BTreeMap<String, String>,
}

impl Variables {
    pub(crate) fn of(environment: &Environment) -> Self {
        Self {
            inherited: environment.clone(),
            files: BTreeMap::new(),
        }
    }

    /// The value of `name`, if it is set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.inherited
            .get(name)
            .or_else(|| self.files.get(name).map(String::as_str))
    }

    /// Whether `name` has its value from a file.
    pub fn is_from_file(&self, name: &str) -> bool {
        self.inherited.get(name).is_none() && self.files.contains_key(name)
    }

    /// Everything, as an env file sees what it inherits.
    pub fn environment(&self) -> Environment {
        let inherited = self
            .inherited
            .iter()
            .filter_map(|(name, value)| Some((name.to_str()?, value.to_str()?)));
        let files = self
            .files
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        files.chain(inherited).collect()
    }

    /// Adds the variables of a file; what is known already stays.
    pub(crate) fn add_file(&mut self, path: &Path, loader: &mut Loader<'_>) -> Result<(), super::Unreadable> {
        let text = loader.files.read(path)?;
        let base = path.parent().map(PathBuf::from).unwrap_or_default();
        let id = loader.add(path, &base, &text);
        match env_file::parse(&text, &self.environment()) {
            Ok(variables) => {
                loader.env_texts.push(EnvText::new(id, &text, &variables));
                for variable in variables {
                    self.files.entry(variable.name).or_insert(variable.template);
                }
            }
            Err(found) => loader.note_all(id, found),
        }
        Ok(())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}
