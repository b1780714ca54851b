//! From references to values: vault and item by name or id, one read of the item, then its fields and files.

use std::sync::Arc;
use std::time::Duration;

use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Members, Provider, ProviderError,
    SecretBytes,
};

use super::client::{Client, Session, not_the_protocol};
use super::lists::Lists;
use super::lookup::{is_gone, item_id, no_item, vault_id};
use super::names::Names;
use crate::batch::{Answers, all_failed};
use crate::http::Body;
use crate::onepassword::{
    Chosen, Item, ItemState, ItemSummary, OpReference, every, is_id, same_name, select,
};

/// Requests in flight at once unless the user says otherwise. Connect answers from its own copy of the vaults.
const MAX_CONCURRENT: usize = 8;
/// How long a vault's name is believed. An item tells its own title with each read; its vault's name it does not.
const VAULT_NAME_LIFETIME: Duration = Duration::from_secs(5 * 60);

/// One Connect server as a provider.
#[derive(Debug)]
pub(super) struct ConnectProvider {
    client: Client,
    /// Vault ids by name.
    vaults: Names,
    /// Item ids by vault id and title.
    items: Names,
    lists: Lists,
    max_concurrent: usize,
}

/// The ids of an item.
struct Address {
    vault: Arc<str>,
    item: Arc<str>,
    /// Whether the item was found by its title, which can pass to another item.
    item_by_title: bool,
}

/// An item as it was read.
struct Found {
    address: Address,
    body: Body,
}

/// How the two names of a reference are read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// What has the form of an id is one.
    Ids,
    /// Everything is a name.
    Names,
}

impl ConnectProvider {
    pub(super) fn new(client: Client, max_concurrent: Option<usize>) -> Self {
        Self {
            client,
            vaults: Names::for_at_most(VAULT_NAME_LIFETIME),
            items: Names::until_forgotten(),
            lists: Lists::default(),
            max_concurrent: max_concurrent.unwrap_or(MAX_CONCURRENT),
        }
    }

    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let session = match self.client.session(cx).await {
            Ok(session) => session,
            Err(error) => return all_failed(batch.len(), &error),
        };
        let mut answers = Answers::with_capacity(batch.len());
        // All locators of one item come one after another.
        for of_item in batch.chunk_by(|one, other| one.item() == other.item()) {
            let read = self.fetch_item(of_item, &session).await;
            answers.extend(read.unwrap_or_else(|error| all_failed(of_item.len(), &error)));
        }
        answers
    }

    /// The answers for locators of one item; the error is the answer for all of them.
    async fn fetch_item(
        &self,
        locators: &[Locator],
        session: &Session<'_>,
    ) -> Result<Answers, ProviderError> {
        let references: Option<Vec<&OpReference>> = locators.iter().map(Locator::typed).collect();
        let references = references.ok_or_else(foreign_locator)?;
        let Some(first) = references.first() else {
            return Ok(Answers::new());
        };
        let found = self.find(first, session).await?;
        let item: Item<'_> = serde_json::from_slice(found.body.bytes()).map_err(|_| garbled(first))?;
        let mut answers = Answers::with_capacity(references.len());
        for (locator, reference) in locators.iter().zip(references) {
            answers.push(match locator.is_every() {
                true => members(&item, &found.address, reference, session).await,
                false => value(&item, &found.address, reference, session).await,
            });
        }
        Ok(answers)
    }

    /// Reads the item that a reference names.
    async fn find(&self, reference: &OpReference, session: &Session<'_>) -> Result<Found, ProviderError> {
        let outcome = self.find_reading(reference, Reading::Ids, session).await;
        let maybe_names = is_id(&reference.vault) || is_id(&reference.item);
        if !maybe_names || !outcome.as_ref().is_err_and(is_gone) {
            return outcome;
        }
        // A name may have the form of an id. Where it has not, the first answer is the better one to report.
        match self.find_reading(reference, Reading::Names, session).await {
            Err(second) if is_gone(&second) => outcome,
            other => other,
        }
    }

    /// Reads the item at the ids that are remembered; where that fails, at those that the server gives now.
    async fn find_reading(
        &self,
        reference: &OpReference,
        reading: Reading,
        session: &Session<'_>,
    ) -> Result<Found, ProviderError> {
        let now = session.cx.clock.monotonic();
        if let Some(address) = self.remembered(reference, reading, now) {
            let (vault, item) = (Arc::clone(&address.vault), Arc::clone(&address.item));
            match read(address, reference, session).await {
                Err(error) if is_gone(&error) => self.forget(reference, &vault, &item),
                other => return other,
            }
        }
        let address = self.look_up(reference, reading, session).await?;
        let (vault, item) = (Arc::clone(&address.vault), Arc::clone(&address.item));
        let item_by_title = address.item_by_title;
        match read(address, reference, session).await {
            // The list that others asked for may be older than the item.
            Err(error) if item_by_title && is_gone(&error) && self.lists.forget(&vault) => {
                self.forget(reference, &vault, &item);
                let address = self.look_up(reference, reading, session).await?;
                read(address, reference, session).await
            }
            outcome => outcome,
        }
    }

    /// Both ids, where no request is needed for them and at least one of them may be out of date.
    fn remembered(&self, reference: &OpReference, reading: Reading, now: Duration) -> Option<Address> {
        let vault = reading.given(&reference.vault);
        let item = reading.given(&reference.item);
        if vault.is_some() && item.is_some() {
            return None;
        }
        let item_by_title = item.is_none();
        let vault = vault.or_else(|| self.vaults.known(&reference.vault, now))?;
        let item = item.or_else(|| self.items.known(&item_key(&vault, &reference.item), now))?;
        Some(Address {
            vault,
            item,
            item_by_title,
        })
    }

    fn forget(&self, reference: &OpReference, vault: &str, item: &str) {
        self.items.forget(&item_key(vault, &reference.item), item);
        self.lists.forget(vault);
        self.vaults.forget(&reference.vault, vault);
    }

    async fn look_up(
        &self,
        reference: &OpReference,
        reading: Reading,
        session: &Session<'_>,
    ) -> Result<Address, ProviderError> {
        let now = session.cx.clock.monotonic();
        let vault = match reading.given(&reference.vault) {
            Some(vault) => vault,
            None => {
                let name = &reference.vault;
                self.vaults
                    .id(name, now, async || vault_id(name, session).await)
                    .await?
            }
        };
        if let Some(item) = reading.given(&reference.item) {
            return Ok(Address {
                vault,
                item,
                item_by_title: false,
            });
        }
        let key = item_key(&vault, &reference.item);
        let found = self
            .items
            .id(&key, now, async || {
                item_id(&vault, reference, &self.lists, session).await
            })
            .await;
        if matches!(&found, Err(error) if error.kind == ErrorKind::Denied) {
            // The name may belong to another vault by now; the next try asks.
            self.vaults.forget(&reference.vault, &vault);
        }
        Ok(Address {
            item: found?,
            vault,
            item_by_title: true,
        })
    }
}

impl Provider for ConnectProvider {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1,
            max_concurrent: self.max_concurrent,
            local: false,
        }
    }

    fn rest(&self) {
        self.lists.clear();
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

impl Reading {
    /// `name` itself, where it is read as an id.
    fn given(self, name: &str) -> Option<Arc<str>> {
        (self == Self::Ids && is_id(name)).then(|| name.into())
    }
}

async fn read(
    address: Address,
    reference: &OpReference,
    session: &Session<'_>,
) -> Result<Found, ProviderError> {
    let body = match session.item(&address.vault, &address.item).await {
        Err(error) if error.kind == ErrorKind::NotFound => return Err(no_item(reference)),
        other => other?,
    };
    if address.item_by_title {
        // Whoever renames or archives an item and makes a new one of that title means the new one.
        let summary: ItemSummary = serde_json::from_slice(body.bytes()).map_err(|_| garbled(reference))?;
        if !same_name(&summary.title, &reference.item) || summary.state != ItemState::Active {
            return Err(no_item(reference));
        }
    }
    Ok(Found { address, body })
}

/// The value that `reference` asks for.
async fn value(
    item: &Item<'_>,
    address: &Address,
    reference: &OpReference,
    session: &Session<'_>,
) -> Result<Fetched, ProviderError> {
    content(&select(item, reference)?, item, address, reference, session).await
}

/// All fields and files that `reference` asks for. The content of each file is a request of its own.
async fn members(
    item: &Item<'_>,
    address: &Address,
    reference: &OpReference,
    session: &Session<'_>,
) -> Result<Fetched, ProviderError> {
    let mut members = Vec::new();
    for (name, chosen) in every(item, reference)? {
        let fetched = content(&chosen, item, address, reference, session).await?;
        members.push((name.to_owned(), fetched));
    }
    Ok(Fetched::every(Members::new(members)))
}

async fn content(
    chosen: &Chosen<'_, '_>,
    item: &Item<'_>,
    address: &Address,
    reference: &OpReference,
    session: &Session<'_>,
) -> Result<Fetched, ProviderError> {
    let fetched = match chosen {
        Chosen::Field(field) => field.view(reference.view)?,
        Chosen::File(file) => match file.view(reference.view)? {
            Some(text) => Fetched::new(SecretBytes::copy_from(text.as_bytes())),
            None => {
                let content = session.file(&address.vault, &address.item, &file.id).await?;
                Fetched::new(SecretBytes::copy_from(content.bytes()))
            }
        },
    };
    Ok(match item.version {
        Some(version) => fetched.version(version.to_string()),
        None => fetched,
    })
}

/// The key of an item's title among the remembered ones.
fn item_key(vault: &str, title: &str) -> String {
    format!("{vault}/{title}")
}

fn garbled(reference: &OpReference) -> ProviderError {
    not_the_protocol(&format!("the read of item `{}`", reference.item))
}

fn foreign_locator() -> ProviderError {
    ProviderError::invalid("this reference was read by another provider")
}
