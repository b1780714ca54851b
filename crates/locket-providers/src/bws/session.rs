//! What is asked of the API, and what comes back, opened. One request each.

use std::sync::Arc;

use locket_core::{FetchCx, ProviderError, SecretBytes};
use serde::de::DeserializeOwned;

use super::account::{MachineAccount, Organization};
use super::client::{Api, not_the_protocol};
use super::names::Named;
use super::reference::Uuid;
use super::wire;
use crate::http::{Response, TokenCache};

/// A Bitwarden and the session with it.
#[derive(Debug)]
pub(super) struct Session {
    api: Arc<Api>,
    tokens: TokenCache<MachineAccount>,
}

/// One secret, opened.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) id: Uuid,
    pub(super) key: String,
    pub(super) value: SecretBytes,
    /// When it was changed last, as the server writes it.
    pub(super) revision: Option<String>,
    /// The projects it is in, with their names where the server tells them.
    pub(super) projects: Vec<(Uuid, Option<String>)>,
}

impl Session {
    pub(super) fn new(api: Arc<Api>, account: MachineAccount) -> Self {
        Self {
            api,
            tokens: TokenCache::new(account),
        }
    }

    /// Closes the connections that nobody uses now; the session is kept.
    pub(super) fn rest(&self) {
        self.api.rest();
    }

    /// The projects that the machine account sees.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub(super) async fn projects(&self, cx: &FetchCx) -> Result<Vec<Named>, ProviderError> {
        let (response, organization) = self
            .list(|id| ["organizations", id, "projects"].map(str::to_owned), cx)
            .await?;
        let list: wire::List<wire::Project> = parsed(&response)?;
        list.data
            .iter()
            .map(|project| {
                let name = project
                    .name
                    .as_deref()
                    .ok_or_else(|| not_the_protocol(&response.place))?;
                named(&project.id, name, &organization, &response)
            })
            .collect()
    }

    /// The secrets of a project, without values.
    ///
    /// # Errors
    /// Not found where the machine account sees no such project; there is no answer, or another refusal.
    pub(super) async fn secrets_of(&self, project: &Uuid, cx: &FetchCx) -> Result<Vec<Named>, ProviderError> {
        let (response, organization) = self
            .list(
                |_| ["projects", project.as_str(), "secrets"].map(str::to_owned),
                cx,
            )
            .await?;
        let list: wire::Secrets = parsed(&response)?;
        list.secrets
            .iter()
            .map(|secret| named(&secret.id, &secret.key, &organization, &response))
            .collect()
    }

    /// The ids of all secrets that the machine account may read.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub(super) async fn readable(&self, cx: &FetchCx) -> Result<Vec<Uuid>, ProviderError> {
        let (response, _) = self
            .list(|id| ["organizations", id, "secrets"].map(str::to_owned), cx)
            .await?;
        let list: wire::Secrets = parsed(&response)?;
        list.secrets
            .iter()
            .map(|secret| id(&secret.id, &response))
            .collect()
    }

    /// The secrets of these ids. Each fails by itself when it does not open.
    ///
    /// # Errors
    /// Not found when any of them cannot be read; there is no answer, or another refusal.
    pub(super) async fn secrets(
        &self,
        ids: &[Uuid],
        cx: &FetchCx,
    ) -> Result<Vec<(Uuid, Result<Secret, ProviderError>)>, ProviderError> {
        let (response, organization) = self
            .tokens
            .with(cx, async |token| {
                let organization = self.tokens.authority().organization(&token)?;
                let response = self.api.by_ids(ids, token.value(), cx).await?;
                Ok((response, organization))
            })
            .await?;
        let list: wire::List<wire::Secret<'_>> =
            serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(&response.place))?;
        list.data
            .iter()
            .map(|secret| {
                let id = id(&secret.id, &response)?;
                Ok((id.clone(), opened(id, secret, &organization, &response)))
            })
            .collect()
    }

    async fn list(
        &self,
        path: impl Fn(&str) -> [String; 3],
        cx: &FetchCx,
    ) -> Result<(Response, Arc<Organization>), ProviderError> {
        self.tokens
            .with(cx, async |token| {
                let organization = self.tokens.authority().organization(&token)?;
                let path = path(&organization.id);
                let response = self.api.get(&path, token.value(), cx).await?;
                Ok((response, organization))
            })
            .await
    }
}

fn opened(
    id: Uuid,
    secret: &wire::Secret<'_>,
    organization: &Organization,
    response: &Response,
) -> Result<Secret, ProviderError> {
    let value = organization.key.open(&secret.value).map_err(|_| unopened(&id))?;
    let projects = secret.projects.iter().flatten().map(|project| {
        let name = project.name.as_deref().map(|name| text(name, organization));
        Ok((self::id(&project.id, response)?, name.flatten()))
    });
    Ok(Secret {
        key: text(&secret.key, organization).ok_or_else(|| unopened(&id))?,
        value: SecretBytes::copy_from(&value),
        revision: secret.revision_date.clone(),
        projects: projects.collect::<Result<_, ProviderError>>()?,
        id,
    })
}

fn named(
    id: &str,
    name: &str,
    organization: &Organization,
    response: &Response,
) -> Result<Named, ProviderError> {
    let id = self::id(id, response)?;
    // What does not open has no name that anybody could ask for.
    let name = text(name, organization).unwrap_or_default();
    Ok(Named { id, name })
}

fn text(sealed: &str, organization: &Organization) -> Option<String> {
    let plain = organization.key.open(sealed).ok()?;
    std::str::from_utf8(&plain).ok().map(str::to_owned)
}

fn id(text: &str, response: &Response) -> Result<Uuid, ProviderError> {
    Uuid::parse(text).ok_or_else(|| not_the_protocol(&response.place))
}

fn parsed<T: DeserializeOwned>(response: &Response) -> Result<T, ProviderError> {
    serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(&response.place))
}

/// Asking again brings the same text; whoever changed it has to change it back.
fn unopened(id: &Uuid) -> ProviderError {
    ProviderError::invalid(format!(
        "the secret `{id}` does not open: it is sealed with another key, or was changed on its way"
    ))
    .hint("Look at the secret in the web vault, and save it again if it is readable there.")
}
