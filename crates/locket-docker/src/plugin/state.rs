//! The volumes that there are, and who has mounted them, as they outlive the plugin. Holds templates and references,
//! never a value.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use locket_engine::state_dir;
use serde::{Deserialize, Serialize};

use super::wire::Options;

/// The file in the state directory.
const FILE: &str = "volumes.json";

/// The form of the file.
const VERSION: u32 = 1;

/// Everything that outlives the plugin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// The volumes by name.
    pub volumes: BTreeMap<String, StoredVolume>,
}

/// One volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredVolume {
    /// When it was made, as RFC 3339 has it.
    pub created: String,
    /// Its options, as they were given.
    pub options: Options,
    /// The ids of its mounts. The engine uses an id again whose end it could not tell: a number would not do.
    pub mounts: BTreeSet<String>,
}

/// Why the state cannot be used.
#[derive(Debug)]
pub enum StateError {
    /// It is there and cannot be read.
    Unreadable(PathBuf, io::Error),
    /// It is not what a plugin writes.
    Corrupt(PathBuf, String),
    /// A newer plugin wrote it.
    Newer(PathBuf, u32),
    /// Others could have written it.
    Exposed(PathBuf, u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    volumes: BTreeMap<String, StoredVolume>,
}

impl State {
    /// What `directory` holds; nothing where no plugin has kept anything yet.
    ///
    /// # Errors
    /// There is something, and it cannot be relied on.
    pub fn load(directory: &Path) -> Result<Self, StateError> {
        let path = directory.join(FILE);
        let metadata = match std::fs::symlink_metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(StateError::Unreadable(path, error)),
        };
        if metadata.mode() & 0o022 != 0 {
            return Err(StateError::Exposed(path, metadata.mode() & 0o7777));
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return Err(StateError::Unreadable(path, error)),
        };
        #[derive(Deserialize)]
        struct Form {
            version: u32,
        }
        let corrupt = |path, error: serde_json::Error| StateError::Corrupt(path, error.to_string());
        match serde_json::from_slice::<Form>(&bytes) {
            Ok(form) if form.version > VERSION => return Err(StateError::Newer(path, form.version)),
            Ok(_) => {}
            Err(error) => return Err(corrupt(path, error)),
        }
        match serde_json::from_slice::<Document>(&bytes) {
            Ok(document) => Ok(Self {
                volumes: document.volumes,
            }),
            Err(error) => Err(corrupt(path, error)),
        }
    }

    /// Replaces what `directory` holds, in one step.
    ///
    /// # Errors
    /// It is as it was.
    pub fn save(self, directory: &Path) -> io::Result<()> {
        let document = Document {
            version: VERSION,
            volumes: self.volumes,
        };
        state_dir::make(directory)?;
        state_dir::write(&directory.join(FILE), &serde_json::to_vec(&document)?)
    }
}

impl StateError {
    /// What to do, as sentences.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "Let the plugin read it, or name another `--state-dir`.",
            Self::Corrupt(..) => {
                "Put a copy of it back, or move it away: then containers that run keep their files, and volumes have to \
                 be made again before they are used again."
            }
            Self::Newer(..) => "Run the newer locket again, or name another `--state-dir`.",
            Self::Exposed(..) => "See whether anybody changed it, then `chmod 600` it.",
        }
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => {
                write!(f, "the volumes in {} cannot be read: {error}", path.display())
            }
            Self::Corrupt(path, error) => write!(f, "the volumes in {} are damaged: {error}", path.display()),
            Self::Newer(path, version) => write!(
                f,
                "{} was written by a newer locket (form {version}, this one knows {VERSION})",
                path.display()
            ),
            Self::Exposed(path, mode) => {
                write!(f, "others may write to {} (mode {mode:04o})", path.display())
            }
        }
    }
}

impl std::error::Error for StateError {}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn state() -> State {
        let volume = StoredVolume {
            created: "2020-01-01T00:00:00Z".into(),
            options: [("secret.a".to_owned(), "{{ file:///a }}".to_owned())].into(),
            mounts: ["x".to_owned()].into(),
        };
        State {
            volumes: [("v".to_owned(), volume)].into(),
        }
    }

    #[test]
    fn what_was_kept_comes_back_and_is_private() {
        let directory = tempfile::tempdir().unwrap();
        let inside = directory.path().join("state");
        assert_eq!(State::load(&inside).unwrap(), State::default());
        state().save(&inside).unwrap();
        assert_eq!(State::load(&inside).unwrap(), state());
        let metadata = std::fs::metadata(inside.join(FILE)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, 0o600);
    }

    #[test]
    fn what_cannot_be_relied_on_is_refused_and_left_as_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        for text in [
            "",
            "{",
            "[]",
            r#"{"version":1}"#,
            r#"{"version":1,"volumes":{"v":{"created":"","options":{}}}}"#,
            r#"{"version":1,"volumes":{},"more":1}"#,
        ] {
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
            let error = State::load(directory.path()).unwrap_err();
            assert!(matches!(error, StateError::Corrupt(..)), "{text}: {error}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        std::fs::write(&path, r#"{"version":2,"whatever":true}"#).unwrap();
        assert!(matches!(
            State::load(directory.path()),
            Err(StateError::Newer(_, 2))
        ));
        std::fs::write(&path, r#"{"version":1,"volumes":{}}"#).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(
            State::load(directory.path()),
            Err(StateError::Exposed(_, 0o666))
        ));
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        assert!(matches!(
            State::load(directory.path()),
            Err(StateError::Unreadable(..))
        ));
    }
}
