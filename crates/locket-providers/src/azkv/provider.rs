//! Reads secrets: each is one request. All secrets of a vault are its list, then one request for each.

use futures_util::stream::{self, StreamExt, TryStreamExt};
use locket_core::{BoxFuture, Capability, FetchCx, Fetched, Locator, Members, Provider, ProviderError};

use super::client::{Client, Vault};
use super::locator::{Item, What};
use super::wire;
use crate::batch::{Answers, once_more};

/// Requests in flight at once. A vault takes 4,000 in ten seconds from all its clients.
const MAX_CONCURRENT: usize = 16;

/// Reads of one vault's secrets in flight at once, when all of them are wanted.
const EVERY_CONCURRENT: usize = 8;

/// Key vaults, as one identity sees them.
#[derive(Debug)]
pub(super) struct KeyVault {
    client: Client,
    /// Where names without a vault are.
    vault: Option<String>,
    max_concurrent: usize,
}

impl KeyVault {
    pub(super) fn new(client: Client, vault: Option<String>, max_concurrent: Option<usize>) -> Self {
        Self {
            client,
            vault,
            max_concurrent: max_concurrent.unwrap_or(MAX_CONCURRENT),
        }
    }

    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let mut answers = Answers::with_capacity(batch.len());
        // All locators of one item come one after another, and a secret has no parts: they are equal.
        for same in batch.chunk_by(|one, other| one.item() == other.item()) {
            let read = self.fetch_one(&same[0], cx).await;
            for _ in &same[1..] {
                answers.push(match &read {
                    Ok(fetched) => Ok(once_more(fetched)),
                    Err(error) => Err(error.clone()),
                });
            }
            answers.push(read);
        }
        answers
    }

    async fn fetch_one(&self, locator: &Locator, cx: &FetchCx) -> Result<Fetched, ProviderError> {
        let Some(item) = locator.typed::<Item>() else {
            return Err(ProviderError::invalid(
                "this reference was read by another provider",
            ));
        };
        let Some(name) = item.vault.as_ref().or(self.vault.as_ref()) else {
            return Err(ProviderError::invalid(format!(
                "`{item}` names no vault, and `azkv.vault` is not set"
            ))
            .hint("Set `azkv.vault` to the vault's name, or write `azkv://vault-name/secret`."));
        };
        let vault = self.client.vault(name, cx);
        match &item.what {
            What::Secret { name, version } => wire::secret(&vault.secret(name, version.as_deref()).await?),
            What::Every => every(&vault, self.max_concurrent.clamp(1, EVERY_CONCURRENT)).await,
        }
    }
}

/// All secrets of a vault that are enabled, by the order of its list, `at_once` of them in flight.
async fn every(vault: &Vault<'_>, at_once: usize) -> Result<Fetched, ProviderError> {
    let mut names = Vec::new();
    let mut link = None;
    loop {
        let page = vault.list(link.as_deref()).await?;
        names.extend(
            page.value
                .iter()
                .filter_map(|item| item.name())
                .map(str::to_owned),
        );
        match page.next_link {
            Some(next) if Some(&next) != link.as_ref() => link = Some(next),
            _ => break,
        }
    }
    let reads = stream::iter(names).map(|name| member(vault, name));
    let members: Vec<_> = reads.buffered(at_once).try_collect().await?;
    Ok(Fetched::every(Members::new(members.into_iter().flatten())))
}

/// One secret of a vault's list; `None` when it was deleted since, which makes it no member and leaves the others be.
async fn member(vault: &Vault<'_>, name: String) -> Result<Option<(String, Fetched)>, ProviderError> {
    let Some(response) = vault.find(&name, None).await? else {
        return Ok(None);
    };
    Ok(Some((name, wire::secret(&response)?)))
}

impl Provider for KeyVault {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1,
            max_concurrent: self.max_concurrent,
            local: false,
        }
    }

    fn rest(&self) {
        self.client.rest();
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.fetch_all(batch, cx))
    }
}
