//! One service.

use std::path::PathBuf;

use super::{Definition, Grant, Mount, Text};
use crate::place::Place;

/// One service of a project, with all that it extends and every override.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// Where its name stands.
    pub place: Place,
    /// Where everything below its name stands: a good place to insert something.
    pub body: Place,
    /// Its image.
    pub image: Option<Text>,
    /// How the image is built.
    pub build: Option<Build>,
    /// Whom it runs as: `uid`, `name`, with `:gid` or without.
    pub user: Option<Text>,
    /// The name of its container, where it is given one.
    pub container_name: Option<Text>,
    /// What it starts.
    pub command: Option<Words>,
    /// What starts that.
    pub entrypoint: Option<Words>,
    /// Its variables, without those of `env_files`.
    pub environment: Vec<Variable>,
    /// Files of variables; later ones win, and `environment` beats all.
    pub env_files: Vec<EnvFile>,
    /// The variables that its container gets: `env_files`, then `environment`, inherited ones with their values. One
    /// without a value is set nowhere.
    pub resolved: Vec<Variable>,
    /// The secrets that it gets.
    pub secrets: Vec<Grant>,
    /// The configs that it gets.
    pub configs: Vec<Grant>,
    /// What is mounted into it.
    pub volumes: Vec<Mount>,
    /// Directories in memory.
    pub tmpfs: Vec<Text>,
    /// Whom it waits for.
    pub depends_on: Vec<Dependency>,
    /// How its health is asked.
    pub healthcheck: Option<Healthcheck>,
    /// Profiles that it belongs to; none means that it always runs.
    pub profiles: Vec<String>,
    /// Its labels.
    pub labels: Vec<Variable>,
    /// A program that stands in for a container.
    pub provider: Option<ProviderUse>,
}

/// One variable, build argument or label.
#[derive(Clone, Debug)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Where the name stands.
    pub place: Place,
    /// Its value; without one it is inherited from whoever calls Compose.
    pub value: Option<Text>,
}

/// One file of variables.
#[derive(Clone, Debug)]
pub struct EnvFile {
    /// The path, joined with the directory that it counts from.
    pub path: PathBuf,
    /// The path as it was written.
    pub text: Text,
    /// Whether Compose minds when it is missing.
    pub is_required: bool,
    /// Whether it is read without the grammar of Compose: `format: raw`.
    pub is_raw: bool,
}

/// A command line.
#[derive(Clone, Debug)]
pub struct Words {
    /// Its words. A command in one text is one word here, as it was written.
    pub words: Vec<Text>,
    /// Whether it was written as one text, which Compose splits as a shell does.
    pub is_text: bool,
    /// Where it stands.
    pub place: Place,
}

/// A service that another one waits for.
#[derive(Clone, Debug)]
pub struct Dependency {
    /// Its name.
    pub service: String,
    /// Where the name stands.
    pub place: Place,
    /// What is waited for.
    pub condition: Option<Condition>,
    /// Where the condition stands, with its text.
    pub condition_text: Option<Text>,
    /// Whether it must be there.
    pub is_required: bool,
    /// Whether this service starts again with it.
    pub restarts: bool,
}

/// What a dependency is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// `service_started`
    Started,
    /// `service_healthy`
    Healthy,
    /// `service_completed_successfully`
    Completed,
    /// A word that Compose does not know.
    Unknown,
}

/// How the health of a service is asked.
#[derive(Clone, Debug)]
pub struct Healthcheck {
    /// Where it stands.
    pub place: Place,
    /// The test.
    pub test: Option<Words>,
    /// Whether that of the image is switched off.
    pub is_disabled: bool,
}

/// `build:`
#[derive(Clone, Debug)]
pub struct Build {
    /// The directory with the Dockerfile, joined with the directory that it counts from; `None` when it is on another
    /// machine.
    pub context: Option<PathBuf>,
    /// Arguments, which stay in the image's history.
    pub args: Vec<Variable>,
    /// Secrets that only the build gets.
    pub secrets: Vec<Grant>,
}

/// `provider:`
#[derive(Clone, Debug)]
pub struct ProviderUse {
    /// The program: `locket` for ours.
    pub kind: Text,
    /// Its options; a list has an entry for each of its items.
    pub options: Vec<Variable>,
}

impl Service {
    /// The variable `name` as its container gets it.
    pub fn variable(&self, name: &str) -> Option<&Variable> {
        self.resolved.iter().find(|variable| variable.name == name)
    }

    /// The secret that is found at `path` in the container.
    pub fn secret_at(&self, path: &str) -> Option<&Grant> {
        self.secrets.iter().find(|grant| grant.secret_path() == path)
    }

    /// Whether it runs when the profiles `active` do; `*` stands for all.
    pub fn is_active(&self, active: &[&str]) -> bool {
        self.profiles.is_empty()
            || self
                .profiles
                .iter()
                .any(|profile| active.contains(&profile.as_str()) || active.contains(&"*"))
    }

    /// Whether it gets `definition` as a secret.
    pub fn is_granted(&self, definition: &Definition) -> bool {
        self.secrets.iter().any(|grant| grant.source == definition.name)
    }
}

impl Words {
    /// All words in one text, separated by spaces.
    pub fn text(&self) -> String {
        let words: Vec<_> = self.words.iter().map(|word| word.value.as_str()).collect();
        words.join(" ")
    }
}
