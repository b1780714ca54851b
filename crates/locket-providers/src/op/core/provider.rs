//! From references to calls of the core: names by lists where they are not known, then all items of a vault at once.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture as Boxed, FutureExt};
use locket_core::suggest::nearest;
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Members, Provider, ProviderError,
    SecretBytes,
};
use reqwest::Url;
use ring::digest::{SHA256, digest};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::engine::Code;
use super::invocation::{Call, FileAttributes, Individuals, Overview, garbled};
use super::item::CoreItem;
use super::session::{Failed, Fault, Session, Text};
use super::traffic::Traffic;
use crate::Credential;
use crate::batch::{Answers, all_failed};
use crate::http::Client;
use crate::onepassword::{Chosen, Item, OpReference, every, is_id, same_name, select};
use crate::op::token::sign_in_address;

/// Items that one call may carry, which is also the most that the core reads at once.
const ITEMS_PER_CALL: usize = 50;

/// How long a vault's title is believed. An item tells its own title with each read; its vault's it does not. To ask
/// costs a request of those that an account has for a day, and is done seldom for that.
const VAULT_TITLE_LIFETIME: Duration = Duration::from_secs(60 * 60);

/// The hosted core as a provider.
pub(in crate::op) struct CoreProvider {
    code: Arc<Code>,
    http: Client,
    token: Credential,
    /// One call at a time: the core has one thread, and one session serves all.
    kept: Mutex<Kept>,
}

/// What stays from call to call.
#[derive(Default)]
struct Kept {
    session: Option<Session>,
    /// Of the token that the rest belongs to.
    digest: Vec<u8>,
    names: Names,
}

/// Ids by names.
#[derive(Default)]
struct Names {
    /// By title, for titles that one vault alone has, and by what references write for them.
    vaults: HashMap<String, String>,
    /// When they were listed, on the monotonic clock.
    vaults_listed: Duration,
    /// By vault id and title, and by what references write for it.
    items: HashMap<(String, String), String>,
}

/// The locators of one item, and the reference of the first, which names the item for all.
struct Wanted<'b> {
    locators: &'b [Locator],
    reference: &'b OpReference,
}

/// The ids of an item.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ids {
    vault: String,
    item: String,
}

/// One item in the core's JSON.
struct Read {
    ids: Ids,
    json: Zeroizing<String>,
}

type Outcome = Result<Read, ProviderError>;

/// One call of the provider.
struct Talk<'a> {
    code: &'a Arc<Code>,
    token: &'a SecretBytes,
    traffic: Traffic<'a>,
    session: Option<Session>,
    /// Whether the session was made by this call, so that another login would not help.
    is_fresh: bool,
}

impl CoreProvider {
    pub(in crate::op) fn new(path: PathBuf, http: Client, token: Credential) -> Self {
        Self {
            code: Arc::new(Code::at(path)),
            http,
            token,
            kept: Mutex::default(),
        }
    }

    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let of_items = batch.chunk_by(|one, other| one.item() == other.item());
        let wanted: Option<Vec<_>> = of_items
            .map(|locators| {
                let reference = locators.first()?.typed()?;
                Some(Wanted { locators, reference })
            })
            .collect();
        let Some(wanted) = wanted else {
            let error = ProviderError::invalid("this reference was read by another provider");
            return all_failed(batch.len(), &error);
        };
        if wanted.is_empty() {
            return Answers::new();
        }
        let token = match self.token.read(cx).await {
            Ok(token) => token,
            Err(error) => return all_failed(batch.len(), &error),
        };
        let home = match home(&token) {
            Ok(home) => home,
            Err(error) => return all_failed(batch.len(), &error),
        };
        let mut kept = self.kept.lock().await;
        #[expect(clippy::disallowed_methods, reason = "a token is known again by its digest")]
        let digest = digest(&SHA256, token.expose()).as_ref().to_vec();
        if kept.digest != digest {
            *kept = Kept {
                digest,
                ..Kept::default()
            };
        }
        let mut talk = Talk {
            code: &self.code,
            token: &token,
            traffic: Traffic {
                http: &self.http,
                home: &home,
                cx,
            },
            // A call that is given up takes its session with it.
            session: kept.session.take(),
            is_fresh: false,
        };
        let items = talk.items(&wanted, &mut kept.names).await;
        let mut answers = Answers::with_capacity(batch.len());
        for (wanted, item) in wanted.iter().zip(items) {
            let read = match &item {
                Ok(item) => talk.answers(wanted, item).await,
                Err(error) => Err(error.clone()),
            };
            answers.extend(read.unwrap_or_else(|error| all_failed(wanted.locators.len(), &error)));
        }
        kept.session = talk.session;
        answers
    }
}

impl Provider for CoreProvider {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: ITEMS_PER_CALL,
            max_concurrent: 1,
            local: false,
        }
    }

    fn rest(&self) {
        self.http.rest();
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.fetch_all(batch, cx))
    }
}

impl Talk<'_> {
    /// Every item, in order: first those whose ids are known; then, by the lists, what is not there any more or was
    /// never looked up.
    async fn items(&mut self, wanted: &[Wanted<'_>], names: &mut Names) -> Vec<Outcome> {
        if let Err(error) = self.check_vaults(wanted, names).await {
            return wanted.iter().map(|_| Err(error.clone())).collect();
        }
        let mut read: Vec<Option<Outcome>> = wanted.iter().map(|_| None).collect();
        let known: Vec<_> = wanted.iter().map(|wanted| names.ids(wanted.reference)).collect();
        let by_ids = places(&known);
        for (place, outcome) in self.of_all_vaults(by_ids).await {
            match outcome {
                Ok(item) if wanted[place].is(&item) => read[place] = Some(Ok(item)),
                Err(error) if !is_about_one(&error) => read[place] = Some(Err(error)),
                // The name may stand for another item by now, and what looks like an id may be a name.
                Ok(_) | Err(_) => {}
            }
        }
        let stopped = read
            .iter()
            .flatten()
            .find_map(|outcome| outcome.as_ref().err().cloned());
        let open: Vec<usize> = (0..wanted.len()).filter(|place| read[*place].is_none()).collect();
        let found = match stopped {
            Some(error) => open.iter().map(|_| Err(error.clone())).collect(),
            None => self.look_up(&open, wanted, names).await,
        };
        let mut looked_up: Vec<_> = wanted.iter().map(|_| None).collect();
        for (place, found) in open.iter().zip(found) {
            match found {
                Ok(ids) => looked_up[*place] = Some(ids),
                Err(error) => read[*place] = Some(Err(error)),
            }
        }
        for (place, outcome) in self.of_all_vaults(places(&looked_up)).await {
            // The list had it a moment ago.
            read[place] = Some(outcome.map_err(not_missing));
        }
        let unread = || Err(ProviderError::unavailable("1Password's core was not asked"));
        read.into_iter()
            .map(|outcome| outcome.unwrap_or_else(unread))
            .collect()
    }

    /// Lists the vaults anew where a reference goes by a title that was learnt too long ago: a vault may have been
    /// renamed, and another may have its title now. What is known of the items stays.
    async fn check_vaults(&mut self, wanted: &[Wanted<'_>], names: &mut Names) -> Result<(), ProviderError> {
        let now = self.traffic.cx.clock.monotonic();
        let is_old = now.saturating_sub(names.vaults_listed) >= VAULT_TITLE_LIFETIME;
        let goes_by_title = |wanted: &Wanted<'_>| names.vaults.contains_key(&wanted.reference.vault);
        if is_old && wanted.iter().any(goes_by_title) {
            let vaults = self.list(Call::VaultsList {}).await?;
            names.remember_vaults(&vaults, now);
        }
        Ok(())
    }

    /// Looks names up in the lists of vaults and items, each asked for once.
    async fn look_up(
        &mut self,
        open: &[usize],
        wanted: &[Wanted<'_>],
        names: &mut Names,
    ) -> Vec<Result<Ids, ProviderError>> {
        if open.is_empty() {
            return Vec::new();
        }
        let vaults = match self.list(Call::VaultsList {}).await {
            Ok(vaults) => vaults,
            Err(error) => return open.iter().map(|_| Err(error.clone())).collect(),
        };
        names.remember_vaults(&vaults, self.traffic.cx.clock.monotonic());
        let mut lists: HashMap<String, Result<Vec<Overview>, ProviderError>> = HashMap::new();
        let mut found = Vec::with_capacity(open.len());
        for place in open {
            let reference = wanted[*place].reference;
            let vault = match pick(
                &vaults,
                &reference.vault,
                "the service account sees",
                "vaults named",
            ) {
                Ok(Some(vault)) => {
                    // In whichever case it is written, the next round needs no list for it. An id needs none at all.
                    if reference.vault != vault.id {
                        let name = reference.vault.clone();
                        names.vaults.insert(name, vault.id.clone());
                    }
                    vault.id.clone()
                }
                Ok(None) => {
                    found.push(Err(no_vault(reference, &vaults)));
                    continue;
                }
                Err(error) => {
                    found.push(Err(error));
                    continue;
                }
            };
            if !lists.contains_key(&vault) {
                let call = Call::ItemsList {
                    vault_id: &vault,
                    filters: [],
                };
                let list = self.list(call).await;
                if let Ok(list) = &list {
                    names.remember(&vault, list);
                }
                lists.insert(vault.clone(), list);
            }
            let list = match lists.get(&vault) {
                Some(Ok(list)) => list,
                Some(Err(error)) => {
                    found.push(Err(error.clone()));
                    continue;
                }
                None => continue,
            };
            let place = format!("vault `{}` has", reference.vault);
            found.push(match pick(list, &reference.item, &place, "items titled") {
                Ok(Some(item)) => {
                    let key = (vault.clone(), reference.item.clone());
                    names.items.insert(key, item.id.clone());
                    Ok(Ids {
                        vault,
                        item: item.id.clone(),
                    })
                }
                Ok(None) => Err(with_nearest(no_item(reference), &reference.item, list)),
                Err(error) => Err(error),
            });
        }
        found
    }

    /// Makes a call that gives a list. A list is always there: an answer that denies it says nothing of any secret.
    async fn list(&mut self, call: Call<'_>) -> Result<Vec<Overview>, ProviderError> {
        let text = self.call(call).await.map_err(|(error, _)| not_missing(error))?;
        serde_json::from_str(&text).map_err(|_| garbled())
    }

    /// Reads items, those of one vault together.
    async fn of_all_vaults(&mut self, items: Vec<(usize, Ids)>) -> Vec<(usize, Outcome)> {
        let mut vaults: Vec<(String, Vec<(usize, Ids)>)> = Vec::new();
        for (place, ids) in items {
            match vaults.iter_mut().find(|(vault, _)| *vault == ids.vault) {
                Some((_, of_vault)) => of_vault.push((place, ids)),
                None => vaults.push((ids.vault.clone(), vec![(place, ids)])),
            }
        }
        let mut read = Vec::new();
        let mut stopped: Option<ProviderError> = None;
        for (_, items) in &vaults {
            if let Some(error) = &stopped {
                read.extend(items.iter().map(|(place, _)| (*place, Err(error.clone()))));
                continue;
            }
            let of_vault = self.of_vault(items).await;
            let mut errors = of_vault.iter().filter_map(|(_, outcome)| outcome.as_ref().err());
            stopped = errors.find(|error| !is_about_one(error)).cloned();
            read.extend(of_vault);
        }
        read
    }

    /// Reads items of one vault in one call. Where the core refuses all for one of them, each half is tried by itself.
    fn of_vault<'s>(&'s mut self, items: &'s [(usize, Ids)]) -> Boxed<'s, Vec<(usize, Outcome)>> {
        async move {
            let Some((_, Ids { vault, .. })) = items.first() else {
                return Vec::new();
            };
            let mut item_ids: Vec<&str> = items.iter().map(|(_, ids)| ids.item.as_str()).collect();
            // Two titles may stand for one item.
            item_ids.sort_unstable();
            item_ids.dedup();
            let call = Call::ItemsGetAll {
                vault_id: vault,
                item_ids: &item_ids,
            };
            let error = match self.call(call).await {
                Ok(text) => match individuals(&text, items) {
                    Ok(read) => return read,
                    Err(error) => error,
                },
                Err((_, Fault::Question)) if items.len() > 1 => {
                    let (first, second) = items.split_at(items.len() / 2);
                    let mut read = self.of_vault(first).await;
                    read.extend(self.of_vault(second).await);
                    return read;
                }
                Err((error, _)) => error,
            };
            items
                .iter()
                .map(|(place, _)| (*place, Err(error.clone())))
                .collect()
        }
        .boxed()
    }

    /// The answers for the locators of one item.
    async fn answers(&mut self, wanted: &Wanted<'_>, read: &Read) -> Result<Answers, ProviderError> {
        let item: CoreItem<'_> = serde_json::from_str(&read.json).map_err(|_| garbled())?;
        let (item, files) = item.into_item();
        let mut answers = Answers::with_capacity(wanted.locators.len());
        for locator in wanted.locators {
            let reference = locator.typed::<OpReference>().ok_or_else(garbled)?;
            answers.push(match locator.is_every() {
                true => self.members(&item, &files, &read.ids, reference).await,
                false => match select(&item, reference) {
                    Ok(chosen) => self.content(&chosen, &item, &files, &read.ids, reference).await,
                    Err(error) => Err(error),
                },
            });
        }
        Ok(answers)
    }

    async fn members(
        &mut self,
        item: &Item<'_>,
        files: &[FileAttributes],
        ids: &Ids,
        reference: &OpReference,
    ) -> Result<Fetched, ProviderError> {
        let mut members = Vec::new();
        for (name, chosen) in every(item, reference)? {
            let fetched = self.content(&chosen, item, files, ids, reference).await?;
            members.push((name.to_owned(), fetched));
        }
        Ok(Fetched::every(Members::new(members)))
    }

    async fn content(
        &mut self,
        chosen: &Chosen<'_, '_>,
        item: &Item<'_>,
        files: &[FileAttributes],
        ids: &Ids,
        reference: &OpReference,
    ) -> Result<Fetched, ProviderError> {
        let fetched = match chosen {
            Chosen::Field(field) => field.view(reference.view)?,
            Chosen::File(file) => match file.view(reference.view)? {
                Some(text) => Fetched::new(SecretBytes::copy_from(text.as_bytes())),
                None => {
                    let attributes = files
                        .iter()
                        .find(|known| known.id == file.id)
                        .ok_or_else(garbled)?;
                    let call = Call::ItemsFilesRead {
                        vault_id: &ids.vault,
                        item_id: &ids.item,
                        attr: attributes,
                    };
                    // The item had it a moment ago.
                    let text = self.call(call).await.map_err(|(error, _)| not_missing(error))?;
                    let bytes: Zeroizing<Vec<u8>> = serde_json::from_str::<Vec<u8>>(&text)
                        .map(Zeroizing::new)
                        .map_err(|_| garbled())?;
                    Fetched::new(SecretBytes::copy_from(&bytes))
                }
            },
        };
        Ok(match item.version {
            Some(version) => fetched.version(version.to_string()),
            None => fetched,
        })
    }

    /// Makes one call, logging in where there is no session or where the one that was kept has ended.
    async fn call(&mut self, call: Call<'_>) -> Result<Text, (ProviderError, Fault)> {
        loop {
            let session = match self.session.take() {
                Some(session) => session,
                None => {
                    self.is_fresh = true;
                    let opened = Session::open(self.code, self.token, &self.traffic).await;
                    opened.map_err(|error| (not_missing(error), Fault::Server))?
                }
            };
            match session.call(call, &self.traffic).await {
                Ok((session, text)) => {
                    self.session = Some(session);
                    return Ok(text);
                }
                Err(Failed {
                    fault: Fault::Login, ..
                }) if !self.is_fresh => {}
                Err(Failed {
                    error,
                    session,
                    fault,
                }) => {
                    self.session = session.filter(|_| fault != Fault::Login);
                    return Err((error, fault));
                }
            }
        }
    }
}

impl Names {
    /// Takes in the list of vaults as it was `now`.
    fn remember_vaults(&mut self, vaults: &[Overview], now: Duration) {
        let before = std::mem::take(&mut self.vaults);
        let mut several = HashSet::new();
        for vault in vaults {
            let known = self.vaults.insert(vault.title.clone(), vault.id.clone());
            if known.is_some() {
                several.insert(vault.title.as_str());
            }
        }
        // Which of them is meant is for `pick` to refuse.
        self.vaults.retain(|title, _| !several.contains(title.as_str()));
        // What is left are names that are no titles: in another case, or gone.
        for name in before.into_keys().filter(|name| !several.contains(name.as_str())) {
            if !self.vaults.contains_key(&name)
                && let Some(vault) = means(vaults, &name)
            {
                self.vaults.insert(name, vault);
            }
        }
        self.vaults_listed = now;
    }

    /// Takes in a vault's list, so that the next title of it is read together with those that were looked up before.
    fn remember(&mut self, vault: &str, list: &[Overview]) {
        let before: Vec<_> = self.items.extract_if(|(of, _), _| of == vault).collect();
        let mut several = HashSet::new();
        for item in list {
            let key = (vault.to_owned(), item.title.clone());
            if self.items.insert(key.clone(), item.id.clone()).is_some() {
                several.insert(key);
            }
        }
        // Which of them is meant is for `pick` to refuse.
        self.items.retain(|key, _| !several.contains(key));
        for (key, _) in before.into_iter().filter(|(key, _)| !several.contains(key)) {
            if !self.items.contains_key(&key)
                && let Some(item) = means(list, &key.1)
            {
                self.items.insert(key, item);
            }
        }
    }

    /// The ids of an item, where no list has to be asked for them.
    fn ids(&self, reference: &OpReference) -> Option<Ids> {
        let own = |name: &String| is_id(name).then(|| name.clone());
        let vault = self.vaults.get(&reference.vault).cloned();
        let vault = vault.or_else(|| own(&reference.vault))?;
        let item = self.items.get(&(vault.clone(), reference.item.clone())).cloned();
        let item = item.or_else(|| own(&reference.item))?;
        Some(Ids { vault, item })
    }
}

impl Wanted<'_> {
    /// Whether `item` is the one.
    fn is(&self, item: &Read) -> bool {
        let name = &self.reference.item;
        let titled = || {
            serde_json::from_str::<CoreItem<'_>>(&item.json).is_ok_and(|item| same_name(&item.title, name))
        };
        item.ids.item == *name || titled()
    }
}

/// The places that have ids.
fn places(ids: &[Option<Ids>]) -> Vec<(usize, Ids)> {
    let each = ids.iter().enumerate();
    each.filter_map(|(place, ids)| Some((place, ids.clone()?)))
        .collect()
}

/// What a call about several items gave for each place. The core leaves out what the server left out.
fn individuals(text: &str, items: &[(usize, Ids)]) -> Result<Vec<(usize, Outcome)>, ProviderError> {
    let answers: Individuals<'_> = serde_json::from_str(text).map_err(|_| garbled())?;
    let mut found = HashMap::new();
    let mut is_partial = false;
    for answer in &answers.individual_responses {
        match (answer.content, &answer.error) {
            (Some(content), _) => {
                let item: CoreItem<'_> = serde_json::from_str(content.get()).map_err(|_| garbled())?;
                found.insert(item.id, content);
            }
            (None, Some(failure)) if failure.kind == "itemNotFound" => {}
            (None, _) => is_partial = true,
        }
    }
    let outcome = |ids: &Ids| match found.get(&ids.item) {
        Some(content) => Ok(Read {
            ids: ids.clone(),
            json: Zeroizing::new(content.get().to_owned()),
        }),
        None if is_partial => Err(ProviderError::unavailable(
            "1Password's core could not read this item",
        )),
        None => Err(ProviderError::not_found("1Password has no such item")),
    };
    Ok(items.iter().map(|(place, ids)| (*place, outcome(ids))).collect())
}

/// The id of the one that `name` means, where it means one.
fn means(all: &[Overview], name: &str) -> Option<String> {
    let found = pick(all, name, "", "").ok().flatten();
    found.map(|one| one.id.clone())
}

/// The one of `all` that `name` means by its title or its id.
fn pick<'o>(
    all: &'o [Overview],
    name: &str,
    place: &str,
    what: &str,
) -> Result<Option<&'o Overview>, ProviderError> {
    let tiers: [fn(&Overview, &str) -> bool; 3] = [
        |one, name| one.title == name,
        |one, name| one.id == name,
        |one, name| same_name(&one.title, name),
    ];
    for tier in tiers {
        let found: Vec<_> = all.iter().filter(|one| tier(one, name)).collect();
        match found.as_slice() {
            [] => {}
            [only] => return Ok(Some(only)),
            several => {
                let ids: Vec<_> = several.iter().map(|one| format!("`{}`", one.id)).collect();
                let error = format!("{place} {} {what} `{name}`: {}", ids.len(), ids.join(", "));
                return Err(ProviderError::invalid(error)
                    .hint("Write the id of the one you mean in place of the name."));
            }
        }
    }
    Ok(None)
}

/// `https://` and the address in the token.
fn home(token: &SecretBytes) -> Result<Url, ProviderError> {
    let address = sign_in_address(token)?;
    Url::parse(&format!("https://{address}/")).map_err(|_| {
        ProviderError::auth("the token of the 1Password service account names no address")
            .hint("Copy it again, whole and in one line.")
    })
}

/// Whether `error` speaks of one item; all others meet every item alike.
fn is_about_one(error: &ProviderError) -> bool {
    matches!(
        error.kind,
        ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Invalid
    )
}

/// The error of a request for something that is there for certain. What says that it is not is no answer about a
/// secret: a proxy, or a load balancer with nothing behind it, says the same of all there is.
fn not_missing(error: ProviderError) -> ProviderError {
    match error.kind {
        ErrorKind::NotFound => ProviderError {
            kind: ErrorKind::Unavailable,
            ..error
        },
        _ => error,
    }
}

fn no_item(reference: &OpReference) -> ProviderError {
    ProviderError::not_found(format!(
        "vault `{}` has no item `{}`",
        reference.vault, reference.item
    ))
}

/// A vault out of the token's scope looks like one that does not exist; that it exists is the safer guess, since
/// nothing may stand in for a secret that is merely withheld.
fn no_vault(reference: &OpReference, vaults: &[Overview]) -> ProviderError {
    let name = &reference.vault;
    let error = ProviderError::denied(format!("the service account sees no vault `{name}`")).hint(
        "Check the name, or give the service account access to this vault; its vaults are chosen when it is made.",
    );
    with_nearest(error, name, vaults)
}

fn with_nearest(error: ProviderError, name: &str, all: &[Overview]) -> ProviderError {
    match nearest(name, all.iter().map(|one| one.title.as_str())) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error,
    }
}

impl fmt::Debug for CoreProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreProvider")
            .field("code", &self.code)
            .field("http", &self.http)
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}
