//! The folder of a secret, and what reading it brought.

use std::collections::BTreeMap;
use std::fmt;

use locket_core::suggest::nearest;
use locket_core::{Fetched, Members, ProviderError};

use super::client::not_the_protocol;
use super::wire::{self, Secret};
use crate::http::Response;

/// A folder of one environment of one project.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) project: String,
    pub(super) environment: String,
    /// Absolute, without a slash at the end.
    pub(super) path: String,
}

/// The shared secrets of a folder, imported ones among them, still in the response that brought them.
pub(super) struct Folder<'a> {
    secrets: BTreeMap<String, Secret<'a>>,
    response: &'a Response,
}

impl<'a> Folder<'a> {
    /// What a list holds.
    ///
    /// # Errors
    /// The body is not what the API promises.
    pub(super) fn new(response: &'a Response) -> Result<Self, ProviderError> {
        let listed: wire::Folder<'_> =
            serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(&response.place))?;
        let imported = listed
            .imports
            .into_iter()
            .flatten()
            .flat_map(|import| import.secrets);
        // A later one takes the place of an earlier one of its name.
        let secrets = imported
            .chain(listed.secrets)
            .filter(|secret| !secret.is_personal())
            .map(|secret| (secret.secret_key.clone().into_owned(), secret))
            .collect();
        Ok(Self { secrets, response })
    }

    /// The secret of this name.
    ///
    /// # Errors
    /// There is none, or its value may not be seen.
    pub(super) fn get(&self, key: &str, place: &Place) -> Result<Fetched, ProviderError> {
        match self.secrets.get(key) {
            Some(secret) => fetched(secret, self.response, place),
            None => Err(self.missing(key, place)),
        }
    }

    /// Every secret.
    ///
    /// # Errors
    /// A value may not be seen.
    pub(super) fn every(&self, place: &Place) -> Result<Fetched, ProviderError> {
        let members = self
            .secrets
            .iter()
            .map(|(key, secret)| Ok((key.clone(), fetched(secret, self.response, place)?)));
        Ok(Fetched::every(Members::new(
            members.collect::<Result<Vec<_>, ProviderError>>()?,
        )))
    }

    /// Whether there is a secret of this name.
    pub(super) fn has(&self, key: &str) -> bool {
        self.secrets.contains_key(key)
    }

    /// What it means that there is no such secret.
    pub(super) fn missing(&self, key: &str, place: &Place) -> ProviderError {
        let error = ProviderError::not_found(format!("{place} has no secret `{key}`"));
        match nearest(key, self.secrets.keys().map(String::as_str)) {
            Some(near) => error.hint(format!("Did you mean `{near}`?")),
            None => error,
        }
    }
}

/// The secret of a response of its own.
///
/// # Errors
/// The body is not what the API promises, or the value may not be seen.
pub(super) fn single(response: &Response, place: &Place) -> Result<Fetched, ProviderError> {
    let single: wire::Single<'_> =
        serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(&response.place))?;
    fetched(&single.secret, response, place)
}

fn fetched(secret: &Secret<'_>, response: &Response, place: &Place) -> Result<Fetched, ProviderError> {
    if secret.secret_value_hidden {
        let key = &secret.secret_key;
        return Err(ProviderError::denied(format!(
            "the identity may see that `{key}` is in {place}, and not its value"
        ))
        .hint("Give its role the action `Read Value` on secrets, beside `Describe Secret`."));
    }
    let fetched = Fetched::new(secret.value(response)?);
    Ok(match secret.version {
        Some(version) => fetched.version(version.to_string()),
        None => fetched,
    })
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            project,
            environment,
            path,
        } = self;
        write!(
            f,
            "the folder `{path}` of environment `{environment}` in project `{project}`"
        )
    }
}
