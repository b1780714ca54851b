//! Requests to vaults: the challenge first, then the token that it asks for; and what refusals mean.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locket_core::{ErrorKind, FetchCx, ProviderError};
use reqwest::{StatusCode, Url};
use tokio::sync::OnceCell;

use super::challenge::Challenge;
use super::identity::Identity;
use super::wire::{self, SecretList};
use crate::http::{self, Authority, Request, Response, TokenCache};

/// The version of the API: what the service has spoken since 2021, in every cloud.
const API_VERSION: &str = "7.4";

/// Secrets in one page of a list, the most that there can be.
const PAGE: &str = "25";

/// Vaults of one cloud, as one identity sees them.
#[derive(Debug)]
pub(super) struct Client {
    http: http::Client,
    /// What follows the name of a vault in its host's name.
    suffix: String,
    identity: Arc<Identity>,
    /// By host.
    vaults: Mutex<HashMap<String, Arc<OnceCell<Challenge>>>>,
    tokens: Mutex<HashMap<Challenge, Tokens>>,
}

type Tokens = Arc<TokenCache<Box<dyn Authority>>>;

/// One vault.
pub(super) struct Vault<'a> {
    client: &'a Client,
    /// With a port where it is not the usual one.
    host: String,
    cx: &'a FetchCx,
}

impl Client {
    pub(super) fn new(http: http::Client, suffix: &str, identity: Arc<Identity>) -> Self {
        Self {
            http,
            suffix: suffix.to_owned(),
            identity,
            vaults: Mutex::default(),
            tokens: Mutex::default(),
        }
    }

    /// The vault of this name, or at this host.
    pub(super) fn vault<'a>(&'a self, name: &str, cx: &'a FetchCx) -> Vault<'a> {
        let host = match name.contains('.') {
            true => name.to_ascii_lowercase(),
            false => format!("{}.{}", name.to_ascii_lowercase(), self.suffix),
        };
        Vault {
            client: self,
            host,
            cx,
        }
    }

    /// Closes the connections that nobody uses now; tokens are kept.
    pub(super) fn rest(&self) {
        self.http.rest();
    }

    fn tokens(&self, challenge: &Challenge) -> Result<Tokens, ProviderError> {
        let mut tokens = locked(&self.tokens);
        if let Some(known) = tokens.get(challenge) {
            return Ok(known.clone());
        }
        let authority = self.identity.authority(challenge)?;
        let made = Arc::new(TokenCache::new(authority));
        tokens.insert(challenge.clone(), made.clone());
        Ok(made)
    }
}

impl Vault<'_> {
    /// The current value of a secret, or that of a version.
    pub(super) async fn secret(&self, name: &str, version: Option<&str>) -> Result<Response, ProviderError> {
        match self.find(name, version).await? {
            Some(response) => Ok(response),
            None => Err(self.missing(name, version).await),
        }
    }

    /// The same; `None` when the vault says that there is none.
    pub(super) async fn find(
        &self,
        name: &str,
        version: Option<&str>,
    ) -> Result<Option<Response>, ProviderError> {
        let path = ["secrets", name].into_iter().chain(version);
        let url = self.url(path)?;
        let response = self.get(&url).await?;
        match response.status {
            StatusCode::NOT_FOUND if wire::vault_error(&response).is_none() => {
                Err(wire::not_the_protocol(&response.place))
            }
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(response)),
            _ => Err(self.refused(&response, name)),
        }
    }

    /// The first page of the list of secrets, or the one behind a link.
    pub(super) async fn list(&self, link: Option<&str>) -> Result<SecretList, ProviderError> {
        let url = match link {
            None => {
                let mut url = self.url(["secrets"])?;
                url.query_pairs_mut().append_pair("maxresults", PAGE);
                url
            }
            Some(link) => self.own(link)?,
        };
        let response = self.get(&url).await?;
        match response.status.is_success() {
            true => wire::list(&response),
            false => Err(self.refused(&response, "the list of its secrets")),
        }
    }

    /// Only a link into this vault is followed: the token is for it.
    fn own(&self, link: &str) -> Result<Url, ProviderError> {
        let own = self.url(["secrets"])?;
        Url::parse(link)
            .ok()
            .filter(|url| url.origin() == own.origin())
            .ok_or_else(|| wire::not_the_protocol(&self.host))
    }

    fn url<'s>(&self, path: impl IntoIterator<Item = &'s str>) -> Result<Url, ProviderError> {
        let unfit = || ProviderError::invalid(format!("`{}` is no host", self.host));
        let base = Url::parse(&format!("https://{}", self.host)).map_err(|_| unfit())?;
        let mut url = http::Endpoint::of(base).join(path);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        Ok(url)
    }

    /// Sends a request with a token; one that the vault no longer takes is replaced, once.
    async fn get(&self, url: &Url) -> Result<Response, ProviderError> {
        let challenge = self.challenge(url).await?;
        let tokens = self.client.tokens(&challenge)?;
        let answered = tokens.with(self.cx, async |token| {
            let request = Request::get(url.clone()).bearer(token.value())?;
            let response = self.client.http.send(request, self.cx).await?;
            match response.status {
                StatusCode::UNAUTHORIZED => Err(response.error().hint(self.client.identity.advice())),
                _ => Ok(response),
            }
        });
        let answered = answered.await;
        if matches!(&answered, Err(error) if error.kind == ErrorKind::Auth) {
            // The vault may be another tenant's by now: the next read asks it again.
            locked(&self.client.vaults).remove(&self.host);
        }
        answered
    }

    /// How the vault wants to be logged in to. Whoever asks first finds out; the others wait for the answer.
    async fn challenge(&self, url: &Url) -> Result<Challenge, ProviderError> {
        let cell = locked(&self.client.vaults)
            .entry(self.host.clone())
            .or_default()
            .clone();
        let asked = cell.get_or_try_init(async || {
            let answer = self.client.http.send(Request::get(url.clone()), self.cx).await;
            let response = answer.map_err(|error| self.unreachable(error))?;
            match response.status {
                StatusCode::UNAUTHORIZED => Challenge::of(&response, &self.host),
                status if status.is_success() => Err(wire::not_the_protocol(&response.place)),
                _ => Err(self.refused(&response, "the vault")),
            }
        });
        asked.await.cloned()
    }

    /// A vault that does not exist has no address.
    fn unreachable(&self, error: ProviderError) -> ProviderError {
        match error.context.contains("has no address") {
            true => error.hint(
                "There may be no vault of this name: check it, and `azkv.cloud`. A vault with a private endpoint has an address inside its network only.",
            ),
            false => error,
        }
    }

    /// A secret that was deleted can be brought back for a while, which only whoever asks for it there learns.
    async fn missing(&self, name: &str, version: Option<&str>) -> ProviderError {
        let vault = &self.host;
        let missing = match version {
            Some(version) => ProviderError::not_found(format!(
                "{vault} has no version `{version}` of `{name}`"
            ))
            .hint(
                "`az keyvault secret list-versions` lists them; leave the version out for the current one.",
            ),
            None => ProviderError::not_found(format!("{vault} has no secret `{name}`")),
        };
        let Ok(url) = self.url(["deletedsecrets", name]) else {
            return missing;
        };
        match self.get(&url).await {
            Ok(found) if found.status.is_success() => ProviderError::not_found(format!(
                "`{name}` of {vault} is deleted, and can be recovered for a while"
            ))
            .hint(format!(
                "Bring it back with `az keyvault secret recover --vault-name {} --name {name}`.",
                self.name()
            )),
            Err(error) if error.kind.is_transient() => error,
            _ => missing,
        }
    }

    fn refused(&self, response: &Response, name: &str) -> ProviderError {
        let vault = &self.host;
        let error = response.error();
        let told = wire::vault_error(response).unwrap_or_default();
        let inner = told.inner.as_str();
        match response.status {
            StatusCode::FORBIDDEN if told.code.is_empty() => wire::not_the_protocol(&response.place),
            StatusCode::FORBIDDEN if inner == "SecretDisabled" => {
                ProviderError::denied(format!("`{name}` of {vault} is disabled")).hint(format!(
                    "Enable this version with `az keyvault secret set-attributes --enabled true --vault-name {} --name {name}`, or make a new one.",
                    self.name()
                ))
            }
            StatusCode::FORBIDDEN if inner.contains("Firewall") || inner == "ForbiddenByConnection" => {
                ProviderError::denied(format!("the firewall of {vault} does not let this machine in")).hint(
                    "Add its address or network under the vault's Networking, or reach the vault by its private endpoint.",
                )
            }
            StatusCode::FORBIDDEN => {
                ProviderError::denied(format!("{vault}: `{name}` may not be read by this identity (403)")).hint(
                    "Give it the role: `az role assignment create --role \"Key Vault Secrets User\" --assignee CLIENT-ID --scope VAULT-ID`; in a vault with access policies, `get` (and `list` for `/*`). A new role takes minutes to count.",
                )
            }
            StatusCode::BAD_REQUEST => error.hint("Check the names of vault and secret, and the version."),
            _ => error,
        }
    }

    /// The vault's own name.
    fn name(&self) -> &str {
        self.host.split('.').next().unwrap_or_default()
    }
}

fn locked<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}
