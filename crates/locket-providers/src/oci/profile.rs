//! `~/.oci/config`: profiles of settings, in which `DEFAULT` stands behind every other.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locket_core::{FetchCx, ProviderError, SecretBytes, suggest};

use crate::http::{Body, Stamp};
use crate::own_file::{self, Unread};

/// What one profile says, with what it inherits.
#[derive(Debug, Default)]
pub(super) struct Profile {
    pub(super) tenancy: Option<String>,
    pub(super) user: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) key_file: Option<PathBuf>,
    pub(super) pass_phrase: Option<SecretBytes>,
    pub(super) region: Option<String>,
    pub(super) security_token_file: Option<PathBuf>,
}

/// One profile in a file, read again when the file changes.
#[derive(Debug)]
pub(super) struct ProfileFile {
    pub(super) path: PathBuf,
    /// Its name, and whether somebody asked for it by that.
    name: Option<String>,
    /// What `~` in a path stands for.
    home: Option<PathBuf>,
    read: Mutex<Option<(Vec<Stamp>, Arc<Profile>)>>,
}

const DEFAULT: &str = "DEFAULT";

impl ProfileFile {
    pub(super) fn new(path: PathBuf, name: Option<&str>, home: Option<&Path>) -> Self {
        Self {
            path,
            name: name.map(str::to_owned),
            home: home.map(Path::to_owned),
            read: Mutex::default(),
        }
    }

    /// The profile's name.
    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(DEFAULT)
    }

    /// What the profile says now.
    ///
    /// # Errors
    /// The file cannot be read, or has no such profile.
    pub(super) async fn profile(&self, cx: &FetchCx) -> Result<Arc<Profile>, ProviderError> {
        let stamp = Stamp::of_each(vec![self.path.clone()], cx).await?;
        let is_known = |(known, _): &&(Vec<Stamp>, Arc<Profile>)| *known == stamp;
        if let Some((_, profile)) = self.last().as_ref().filter(is_known) {
            return Ok(profile.clone());
        }
        let text = own_file::read(&self.path, cx).await;
        let profile = Arc::new(self.parse(&text.map_err(|why| self.unread(&why))?)?);
        *self.last() = Some((stamp, profile.clone()));
        Ok(profile)
    }

    /// What the profile says now, for a caller who has no loop to keep going.
    ///
    /// # Errors
    /// As for [`ProfileFile::profile`]; or the file is a pipe, which gives its content once.
    pub(super) fn profile_at_once(&self) -> Result<Profile, ProviderError> {
        let text = own_file::read_at_once(&self.path);
        self.parse(&text.map_err(|why| self.unread(&why))?)
    }

    /// What the profile said when it was last read.
    pub(super) fn known(&self) -> Option<Arc<Profile>> {
        self.last().as_ref().map(|(_, profile)| profile.clone())
    }

    fn last(&self) -> MutexGuard<'_, Option<(Vec<Stamp>, Arc<Profile>)>> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unread(&self, why: &Unread) -> ProviderError {
        let shown = self.path.display();
        let advice = "Make it with `oci setup config`, or set `oci.config-file` or `oci.auth`.";
        ProviderError::new(
            why.kind(),
            format!("the configuration {shown} cannot be read: {why}"),
        )
        .hint(why.advice(&self.path, advice))
    }

    fn parse(&self, text: &Body) -> Result<Profile, ProviderError> {
        let shown = self.path.display();
        let text = str::from_utf8(text.bytes())
            .map_err(|_| ProviderError::auth(format!("the configuration {shown} is not text")))?;
        let names: Vec<&str> = text.lines().filter_map(section).collect();
        let name = self.name();
        if !names.contains(&name) && (self.name.is_some() || names.is_empty()) {
            let error = ProviderError::auth(format!("{shown} has no profile `{name}`"));
            return Err(match suggest::nearest(name, names.iter().copied()) {
                Some(near) => error.hint(format!("Did you mean `{near}`?")),
                None => error.hint(format!("It has {}.", listed(&names))),
            });
        }
        let mut profile = Profile::default();
        for wanted in [DEFAULT, name] {
            let mut inside = false;
            for line in text.lines() {
                if let Some(found) = section(line) {
                    inside = found == wanted;
                } else if inside && let Some((key, value)) = entry(line) {
                    profile.set(&key, value, self.home.as_deref());
                }
            }
        }
        Ok(profile)
    }
}

impl Profile {
    fn set(&mut self, key: &str, value: &str, home: Option<&Path>) {
        let text = || Some(value.to_owned());
        match key {
            "tenancy" => self.tenancy = text(),
            "user" => self.user = text(),
            "fingerprint" => self.fingerprint = text(),
            "key_file" => self.key_file = Some(expanded(value, home)),
            "pass_phrase" => self.pass_phrase = Some(SecretBytes::copy_from(value.as_bytes())),
            "region" => self.region = text(),
            "security_token_file" => self.security_token_file = Some(expanded(value, home)),
            // The file serves other programs as well.
            _ => {}
        }
    }
}

/// The name in a line `[NAME]`.
fn section(line: &str) -> Option<&str> {
    line.trim().strip_prefix('[')?.strip_suffix(']')
}

/// Key and value of a line, which either of two signs divides. Nothing after the value is a comment.
fn entry(line: &str) -> Option<(String, &str)> {
    let line = line.trim();
    if line.starts_with(['#', ';']) {
        return None;
    }
    let (key, value) = line.split_at(line.find(['=', ':'])?);
    Some((key.trim().to_ascii_lowercase(), value[1..].trim()))
}

/// A path with `~` at its start taken for the user's home.
fn expanded(path: &str, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~/"), home) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(path),
    }
}

fn listed(names: &[&str]) -> String {
    match names {
        [] => "none at all".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
