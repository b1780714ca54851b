//! What goes where: the outputs of a round, before anything is asked or written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::glob::{Pattern, Selection};
use crate::template::TemplateOptions;
use crate::{Action, Environment, SecretBytes};

/// Where a template comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// A text given on the command line, in the environment or in the configuration.
    Inline {
        /// The name of the secret it makes.
        name: String,
        /// The template itself.
        text: String,
    },
    /// An [env file](crate::env_file): a variable for each of its statements.
    EnvFile(PathBuf),
    /// A [wildcard](crate::Wildcard): a secret for every key of a folder, item or JSON value.
    Every {
        /// The wildcard, as it was given.
        text: String,
        /// What stands before each key in the names of the files.
        prefix: String,
    },
}

impl Source {
    /// The name of the template in messages.
    pub fn shown(&self) -> String {
        match self {
            Self::File(path) | Self::EnvFile(path) => path.display().to_string(),
            Self::Inline { name, .. } => format!("the secret `{name}`"),
            Self::Every { text, .. } => format!("every key of `{text}`"),
        }
    }
}

/// What a map or secret says about its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputSettings {
    /// Mode and owner of the files.
    pub access: Access,
    /// What happens when a reference has no value.
    pub on_error: OnError,
    /// How the template is read.
    pub template: TemplateOptions,
    /// Who is told when this output changes.
    pub notify: Vec<Action>,
    /// Which templates of a directory, or which keys of a wildcard, count.
    pub select: Selection,
    /// Whether the whole directory is switched at once.
    pub atomic: bool,
    /// What becomes of content that is in place already.
    pub equal: Equal,
}

/// What becomes of an output that is as it should be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Equal {
    /// It is not touched, and nobody is told.
    #[default]
    Keep,
    /// It is written as a new file, and its consumers are told: a drill.
    Replace,
}

/// Mode and owner, exact whatever the umask.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Access {
    /// Permission bits of files.
    pub file_mode: u32,
    /// Permission bits of directories that are made on the way.
    pub dir_mode: u32,
    /// Numeric owner; `None` leaves the agent's own.
    pub owner: Option<Owner>,
}

/// A numeric owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group; `None` leaves the agent's own.
    pub gid: Option<u32>,
}

/// What happens to an output whose references have no value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum OnError {
    /// The last good output stays, marked stale.
    #[default]
    Keep,
    /// The first round fails; later like [`OnError::Keep`].
    Error,
    /// The template's text is put out, the agent never healthy.
    Passthrough,
    /// The output is optional: skipped with a warning.
    Ignore,
}

/// One source and where its outputs go: a file to a file, or a directory to a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// A file or directory of templates.
    pub source: PathBuf,
    /// A file or directory of outputs.
    pub destination: PathBuf,
    /// How its outputs are written.
    pub settings: OutputSettings,
}

/// Where a secret of its own goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A file in the output directory.
    #[default]
    File,
    /// An environment variable of a program.
    Variable,
    /// A file that only a program can read, whose path is in an environment variable.
    VariableFile,
}

/// An inline secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The file's or variable's name, or the absolute path of a file of its own; empty for several of one source.
    pub name: String,
    /// Where it goes.
    pub place: Place,
    /// Where its template comes from.
    pub source: Source,
    /// How it is written.
    pub settings: OutputSettings,
}

impl Secret {
    /// The directory of its output, and its name there; `out` is the plan's.
    pub fn output<'a>(&'a self, out: &'a Path) -> (&'a Path, &'a Path) {
        let own = Path::new(&self.name);
        match (own.parent(), own.file_name()) {
            (Some(parent), Some(name)) if own.is_absolute() => (parent, Path::new(name)),
            _ => (out, own),
        }
    }
}

/// Everything a run is asked to put in place. Directory maps are expanded by the engine at each round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// The maps, in the order given.
    pub maps: Vec<Map>,
    /// The inline secrets, in the order given. Of variables with one name the last counts.
    pub secrets: Vec<Secret>,
    /// Variables that change what programs do, and may have a secret as their value all the same.
    pub allowed_names: Vec<Pattern>,
    /// What `${…}` in env files is looked up in.
    pub inherited: Environment,
    /// What was in those env files that are pipes: it comes once, and is no longer to be had from the path.
    pub piped: BTreeMap<PathBuf, Arc<SecretBytes>>,
    /// Where inline secrets go.
    pub out: PathBuf,
    /// Templates larger than this are refused, in bytes.
    pub max_file_size: u64,
    /// How long a template must be gone before its output follows.
    pub delete_after: Duration,
}

impl Plan {
    /// Whether anything goes into the output directory.
    pub fn writes_to_out(&self) -> bool {
        self.secret_directories().contains(self.out.as_path())
    }

    /// The directories that files of secrets go to, each once.
    pub fn secret_directories(&self) -> BTreeSet<&Path> {
        let files = self.secrets.iter().filter(|secret| secret.place == Place::File);
        files.map(|secret| secret.output(&self.out).0).collect()
    }
}

impl Default for Access {
    fn default() -> Self {
        Self {
            file_mode: 0o600,
            dir_mode: 0o700,
            owner: None,
        }
    }
}

impl OnError {
    /// Every policy with its name.
    pub const ALL: [(&'static str, Self); 4] = [
        ("keep", Self::Keep),
        ("error", Self::Error),
        ("passthrough", Self::Passthrough),
        ("ignore", Self::Ignore),
    ];
}
