//! From settings to places: which file, and which identity.

use std::path::{Path, PathBuf};

use locket_core::Environment;

use super::Store;
use super::identity::IdentitySource;
use crate::{Credential, Setting, SettingKind, Settings};

/// The store's settings.
pub(super) static SETTINGS: &[Setting] = &[
    Setting {
        name: "file",
        env: &["LOCKET_STORE_FILE"],
        kind: SettingKind::Path,
        summary: "The encrypted file; `locket.store` unless given",
    },
    Setting {
        name: "identity-file",
        env: &["LOCKET_IDENTITY"],
        kind: SettingKind::Credential,
        summary: "age identity that opens it; `~/.config/locket/identity.txt` unless given",
    },
];

const STORE: &str = "locket.store";
const IDENTITY: &str = "locket/identity.txt";

impl Store {
    /// The store that these settings name. Looks at nothing.
    pub fn from_settings(settings: &Settings, environment: &Environment, base_dir: &Path) -> Self {
        let path = settings
            .path("file", base_dir)
            .unwrap_or_else(|| base_dir.join(STORE));
        let identity = match settings.credential("identity-file") {
            Some(Credential::File(path)) => IdentitySource::Named(base_dir.join(path)),
            Some(Credential::Value(text)) => IdentitySource::Text(text.clone()),
            None => match default_identity(environment) {
                Some(path) => IdentitySource::Default(path),
                None => IdentitySource::Nowhere,
            },
        };
        Self::new(path, identity)
    }
}

/// `$XDG_CONFIG_HOME`, if absolute as its specification wants, else `~/.config`.
fn default_identity(environment: &Environment) -> Option<PathBuf> {
    let absolute = |name| {
        environment
            .get_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    absolute("XDG_CONFIG_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".config")))
        .map(|config| config.join(IDENTITY))
}
