//! Secrets and configs: where they come from, and who gets them.

use std::path::PathBuf;

use super::Text;
use crate::place::Place;

/// One entry of `secrets:` or `configs:` at the top.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Where its value comes from.
    pub origin: Origin,
}

/// Where a secret's or config's value comes from.
#[derive(Clone, Debug)]
pub enum Origin {
    /// A file of this machine.
    File {
        /// The path, joined with the directory that it counts from.
        path: PathBuf,
        /// The path as it was written.
        text: Text,
    },
    /// A variable of whoever calls Compose.
    Environment(Text),
    /// The Compose file itself; for configs.
    Content(Text),
    /// An object of the Swarm, under this name.
    External(String),
    /// A driver of the Swarm, under this name.
    Driver(String),
    /// Nothing that Compose knows.
    Nothing,
}

/// A secret or config that a service, or its build, gets.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The name at the top of the file.
    pub source: String,
    /// Where that name stands.
    pub place: Place,
    /// Where the service finds it, when it says so: a name or a path.
    pub target: Option<String>,
    /// The mode it asks for.
    pub mode: Option<u32>,
    /// The owner it asks for.
    pub uid: Option<String>,
    /// The group it asks for.
    pub gid: Option<String>,
}

impl Grant {
    /// The path in the container of a secret.
    pub fn secret_path(&self) -> String {
        self.path_below("/run/secrets/")
    }

    /// The path in the container of a config.
    pub fn config_path(&self) -> String {
        self.path_below("/")
    }

    fn path_below(&self, directory: &str) -> String {
        match self.target.as_deref().unwrap_or(&self.source) {
            path if path.starts_with('/') => path.to_owned(),
            name => format!("{directory}{name}"),
        }
    }
}
