//! What a provider can be told, and what it was told.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use locket_core::SecretBytes;
#[cfg(feature = "http")]
use locket_core::{FetchCx, ProviderError};

use crate::ConfigError;
#[cfg(feature = "http")]
use crate::own_file;

/// One setting of a provider: the flag `--PREFIX.NAME`, the key `NAME` in the table `[PREFIX]`, and variables.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// The variables it is read from, the first one set wins. For a credential each also has a `_FILE` form.
    pub env: &'static [&'static str],
    /// What its text means.
    pub kind: SettingKind,
    /// What it says, as a sentence without a full stop.
    pub summary: &'static str,
}

/// What a setting's text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettingKind {
    /// Any text.
    Text,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A path; relative ones count from the caller's directory or the configuration file's.
    Path,
    /// A path, as above, of a file that holds a credential: a private key, or a token that another program puts there.
    CredentialPath,
    /// A secret: flag and key give a file that holds it (their name ends in `-file`), variables the value itself
    /// or, in their `_FILE` form, a file. The configuration may give a reference under the name without `-file`.
    Credential,
    /// A duration such as `10s`.
    Duration,
    /// A whole number.
    Count,
    /// A program and its arguments, as a list; a relative path with a slash counts from the configuration file's
    /// directory. In tables of the configuration only.
    Command,
    /// Several texts. In tables of the configuration only.
    List,
    /// Texts under names of the user's own choice. In tables of the configuration only.
    Table,
}

/// Settings that every provider with a network has.
pub static NETWORK: &[Setting] = &[
    Setting {
        name: "ca-file",
        env: &[],
        kind: SettingKind::Path,
        summary: "PEM file of certificate authorities to trust beside the bundled ones",
    },
    Setting {
        name: "client-cert-file",
        env: &[],
        kind: SettingKind::Path,
        summary: "PEM certificate chain that the client shows",
    },
    Setting {
        name: "client-key-file",
        env: &[],
        kind: SettingKind::CredentialPath,
        summary: "PEM private key of the client certificate",
    },
    Setting {
        name: "timeout",
        env: &[],
        kind: SettingKind::Duration,
        summary: "Time limit of one request",
    },
    Setting {
        name: "max-concurrent",
        env: &[],
        kind: SettingKind::Count,
        summary: "Requests in flight at once",
    },
    Setting {
        name: "daily-budget",
        env: &[],
        kind: SettingKind::Count,
        summary: "Requests a day before refreshes are spread out",
    },
    Setting {
        name: "proxy",
        env: &[],
        kind: SettingKind::Text,
        summary: "URL of an HTTP proxy, or `none`",
    },
];

/// What one instance was told, from all layers; the winner of each setting.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    texts: BTreeMap<&'static str, String>,
    credentials: BTreeMap<&'static str, Credential>,
    lists: BTreeMap<&'static str, Vec<String>>,
    tables: BTreeMap<&'static str, BTreeMap<String, String>>,
}

/// Where a secret that a provider needs comes from.
#[derive(Clone, PartialEq)]
pub enum Credential {
    /// A file, read again whenever it is needed, so that a replaced token is found.
    File(PathBuf),
    /// The value itself, from a variable or another reference.
    Value(Arc<SecretBytes>),
}

impl Settings {
    /// Sets a text; for the layers of the configuration and for tests.
    #[must_use]
    pub fn with(mut self, name: &'static str, text: impl Into<String>) -> Self {
        self.texts.insert(name, text.into());
        self
    }

    /// Sets a credential; for the layers of the configuration and for tests.
    #[must_use]
    pub fn with_credential(mut self, name: &'static str, credential: Credential) -> Self {
        self.credentials.insert(name, credential);
        self
    }

    /// Sets a command or list; for the layers of the configuration and for tests.
    #[must_use]
    pub fn with_list(
        mut self,
        name: &'static str,
        texts: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let texts = texts.into_iter().map(Into::into).collect();
        self.lists.insert(name, texts);
        self
    }

    /// Sets a table; for the layers of the configuration and for tests.
    #[must_use]
    pub fn with_table(
        mut self,
        name: &'static str,
        texts: impl IntoIterator<Item = (impl Into<String>, impl Into<String>)>,
    ) -> Self {
        let texts = texts.into_iter().map(|(name, text)| (name.into(), text.into()));
        self.tables.insert(name, texts.collect());
        self
    }

    /// The texts of a command or list; none when it is not given.
    pub fn list(&self, name: &str) -> &[String] {
        self.lists.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The texts of a table, by their names; none when it is not given.
    pub fn table(&self, name: &str) -> impl Iterator<Item = (&str, &str)> {
        let table = self.tables.get(name).into_iter().flatten();
        table.map(|(name, text)| (name.as_str(), text.as_str()))
    }

    /// The text of a setting.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The path of a setting, relative ones under `base_dir`.
    pub fn path(&self, name: &str, base_dir: &Path) -> Option<PathBuf> {
        self.text(name).map(|text| base_dir.join(text))
    }

    /// A credential.
    pub fn credential(&self, name: &str) -> Option<&Credential> {
        self.credentials.get(name)
    }

    /// The duration of a setting.
    ///
    /// # Errors
    /// The text is no duration.
    pub fn duration(&self, name: &str) -> Result<Option<Duration>, ConfigError> {
        self.parsed(
            name,
            "a duration",
            "Write it like `500ms`, `10s` or `6h`.",
            |text| humantime::parse_duration(text).ok(),
        )
    }

    /// The number of a setting.
    ///
    /// # Errors
    /// The text is no whole number.
    pub fn count(&self, name: &str) -> Result<Option<usize>, ConfigError> {
        self.parsed(name, "a whole number", "Write it in digits.", |text| {
            text.parse().ok()
        })
    }

    fn parsed<T>(
        &self,
        name: &str,
        what: &str,
        hint: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match parse(text) {
            Some(value) => Ok(Some(value)),
            None => Err(ConfigError::new(
                format!("`{text}` in `{name}` is not {what}"),
                hint,
            )),
        }
    }
}

#[cfg(feature = "http")]
impl Credential {
    /// The file that it is in, whose change is a change of the secret; none for a value.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Value(_) => None,
        }
    }

    /// The secret of one that need not be given.
    ///
    /// # Errors
    /// As for [`Credential::read`].
    #[cfg(feature = "signing")]
    pub(crate) async fn read_if_given(
        credential: Option<&Self>,
        cx: &FetchCx,
    ) -> Result<Option<SecretBytes>, ProviderError> {
        match credential {
            Some(credential) => credential.read(cx).await.map(Some),
            None => Ok(None),
        }
    }

    /// The secret, without the line ending that editors and `echo` leave.
    ///
    /// # Errors
    /// The file cannot be read in the time there is, or holds nothing.
    pub async fn read(&self, cx: &FetchCx) -> Result<SecretBytes, ProviderError> {
        match self {
            #[expect(
                clippy::disallowed_methods,
                reason = "a credential goes to the provider that asked for it"
            )]
            Self::Value(value) => Ok(SecretBytes::copy_from(value.expose())),
            Self::File(path) => {
                let shown = path.display();
                let body = own_file::read(path, cx).await.map_err(|why| {
                    let error = format!("the credential file {shown} cannot be read: {why}");
                    let hint = "Check that the file exists and that this user may read it.";
                    ProviderError::new(why.kind(), error).hint(why.advice(path, hint))
                })?;
                match body.bytes().trim_ascii_end() {
                    [] => Err(ProviderError::auth(format!(
                        "the credential file {shown} is empty"
                    ))),
                    secret => Ok(SecretBytes::copy_from(secret)),
                }
            }
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(…)"),
        }
    }
}
