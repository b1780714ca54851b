//! What is decided for a project, and what was decided before: the words between the user, the plan and the override.

use std::collections::BTreeSet;
use std::fmt;

use locket_core::suggest;
use zeroize::Zeroizing;

use super::earlier::Earlier;
use super::start::Start;
use crate::model::Project;

/// The directory of the secret files, beside the Compose file.
pub const DIRECTORY: &str = "secrets";

/// What the user decided.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Only these services; none means all.
    pub only: Vec<String>,
    /// Secrets that get a new value although the project has one.
    pub fresh: Fresh,
    /// Secrets that are left as they are.
    pub skip: Vec<String>,
    /// Services that get a secret even where the image would do without.
    pub protect: BTreeSet<String>,
    /// More secrets, which no service is given.
    pub more: Vec<String>,
    /// What an earlier run decided.
    pub earlier: Earlier,
}

/// Which secrets get a new value.
#[derive(Clone, Debug, Default)]
pub enum Fresh {
    /// Those that have none.
    #[default]
    Missing,
    /// These, too.
    Named(Vec<String>),
    /// All of them.
    All,
}

/// What is known of an image that is on this machine.
#[derive(Clone, Debug, Default)]
pub struct ImageFacts {
    /// Whom it runs as, where that is a number.
    pub user: Option<u32>,
    /// What it starts.
    pub entrypoint: Vec<String>,
    /// What it gives that.
    pub command: Vec<String>,
}

/// What is to be done.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Secret files, those of which others are made first.
    pub secrets: Vec<Planned>,
    /// What the override says of each service, in the order of the project.
    pub changes: Vec<Change>,
    /// Plain values that stay where they are.
    pub left: Vec<Left>,
}

/// One secret file.
#[derive(Clone, Debug)]
pub struct Planned {
    /// Its name, which is that of the file without `.txt`.
    pub name: String,
    /// What it holds when it is made.
    pub value: Value,
    /// The users of the containers that read it, root left out.
    pub readers: BTreeSet<u32>,
    /// Whether some image refuses a file that others can read.
    pub owner_only: bool,
    /// The services that read it.
    pub services: Vec<String>,
    /// Where the project had its value: `SERVICE: VARIABLE`.
    pub found: Option<String>,
}

/// What a secret file holds when it is made.
#[derive(Clone)]
pub enum Value {
    /// New random bytes.
    Random,
    /// The present value, so that what it opens stays open.
    Present(Zeroizing<String>),
    /// What a template makes of another secret.
    Template {
        /// The template.
        text: String,
        /// The secret in it.
        of: String,
    },
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random => "Random",
            Self::Present(_) => "Present(…)",
            Self::Template { .. } => "Template",
        })
    }
}

/// What the override says of one service.
#[derive(Clone, Debug)]
pub struct Change {
    /// The service.
    pub service: String,
    /// Variables that it gets.
    pub variables: Vec<Variable>,
    /// Variables that it no longer gets.
    pub unset: Vec<Unset>,
    /// All its other variables as they were written, where the list has to be replaced as a whole.
    pub instead: Option<Vec<(String, Option<String>)>>,
    /// The secrets that it gets.
    pub secrets: Vec<String>,
    /// What it starts, where the image reads no file by itself.
    pub start: Option<Start>,
    /// The words of its health check, where that used a variable that is gone.
    pub health: Option<Vec<String>>,
}

/// A variable of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// How a variable with a plain value is taken from a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unset {
    /// It is removed.
    Removed(String),
    /// It becomes empty: Compose removes no variable of a list or of a file.
    Emptied(String),
}

/// A plain value that stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The service that gets it.
    pub service: String,
    /// The variable, or `command`.
    pub variable: String,
    /// Why, as a lower-case fragment.
    pub reason: String,
}

impl Plan {
    /// The secrets that the override declares.
    pub fn declared(&self) -> impl Iterator<Item = &Planned> {
        let is_used = |planned: &&Planned| {
            self.changes
                .iter()
                .any(|change| change.secrets.contains(&planned.name))
        };
        self.secrets.iter().filter(is_used)
    }
}

impl Options {
    /// Services that were named and are not there, each with the nearest that is.
    pub fn unknown(&self, project: &Project) -> Vec<(String, Option<String>)> {
        let names: Vec<&str> = project
            .services
            .iter()
            .map(|service| service.name.as_str())
            .collect();
        self.only
            .iter()
            .filter(|name| !names.contains(&name.as_str()))
            .map(|name| {
                (
                    name.clone(),
                    suggest::nearest(name, names.iter().copied()).map(str::to_owned),
                )
            })
            .collect()
    }
}
