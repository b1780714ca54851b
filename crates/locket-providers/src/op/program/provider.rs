//! From references to runs of the program: one for all items whose ids are known, one each for the others.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::{BoxFuture as Boxed, FutureExt, join_all};
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Members, Provider, ProviderError,
    SecretBytes,
};

use super::refusal::is_about_one;
use super::run::Program;
use super::wire::{self, Ids, Printed, garbled};
use crate::Credential;
use crate::batch::{Answers, all_failed};
use crate::onepassword::{Chosen, Item, ItemState, OpReference, every, is_id, same_name, select};
use crate::op::token::sign_in_address;

/// Items that one call may carry: what one run reads, once their ids are known.
const ITEMS_PER_CALL: usize = 50;

/// Runs of the program at once, each of which signs in by itself.
const RUNS_AT_ONCE: usize = 4;

/// What finding an item by its name reads: the vaults, the vault's items, and the item.
const BY_NAME: usize = 3;

/// The `op` program as a provider.
#[derive(Debug)]
pub(in crate::op) struct ProgramProvider {
    program: Program,
    token: Credential,
    /// The ids of items by the key of their locators.
    known: Mutex<HashMap<String, Ids>>,
}

/// One call of the provider: the token as it is now, and what surrounds the call.
struct Call<'a> {
    program: &'a Program,
    token: SecretBytes,
    cx: &'a FetchCx,
}

/// The locators of one item, and the reference of the first, which names the item for all.
struct Wanted<'b> {
    locators: &'b [Locator],
    reference: &'b OpReference,
}

impl ProgramProvider {
    pub(in crate::op) fn new(program: Program, token: Credential) -> Self {
        Self {
            program,
            token,
            known: Mutex::default(),
        }
    }

    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let token = self.token.read(cx).await;
        let token = token.and_then(|token| sign_in_address(&token).map(|_| token));
        let call = match token {
            Ok(token) => Call {
                program: &self.program,
                token,
                cx,
            },
            Err(error) => return all_failed(batch.len(), &error),
        };
        // All locators of one item come one after another.
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
        let items = self.read(&wanted, &call).await;
        let mut answers = Answers::with_capacity(batch.len());
        for (wanted, item) in wanted.iter().zip(items) {
            let read = match &item {
                Ok(item) => call.answers(wanted, item).await,
                Err(error) => Err(error.clone()),
            };
            answers.extend(read.unwrap_or_else(|error| all_failed(wanted.locators.len(), &error)));
        }
        answers
    }

    /// Every item, in order: first those that are known, by one run; then the others by a run each.
    async fn read(&self, wanted: &[Wanted<'_>], call: &Call<'_>) -> Vec<Result<Printed, ProviderError>> {
        let mut read: Vec<Option<Result<Printed, ProviderError>>> = wanted.iter().map(|_| None).collect();
        let known: Vec<(usize, Ids)> = {
            let known = self.lock();
            let ids = |wanted: &Wanted<'_>| known.get(wanted.key()).cloned();
            let each = wanted.iter().enumerate();
            each.filter_map(|(index, wanted)| Some((index, ids(wanted)?)))
                .collect()
        };
        for (index, outcome) in call.read_known(&known).await {
            match outcome {
                Ok(item) if wanted[index].is(&item) => read[index] = Some(Ok(item)),
                // The name may stand for another item by now.
                Err(error) if is_about_one(&error) => {}
                Ok(_) => {}
                Err(error) => read[index] = Some(Err(error)),
            }
        }
        let open: Vec<usize> = (0..wanted.len()).filter(|index| read[*index].is_none()).collect();
        let mut stopped = read.iter().flatten().find_map(|outcome| {
            let error = outcome.as_ref().err()?;
            (!is_about_one(error)).then(|| error.clone())
        });
        for some in open.chunks(RUNS_AT_ONCE) {
            if let Some(error) = &stopped {
                some.iter()
                    .for_each(|index| read[*index] = Some(Err(error.clone())));
                continue;
            }
            let runs = some.iter().map(|index| call.read_named(&wanted[*index]));
            for (index, outcome) in some.iter().zip(join_all(runs).await) {
                match &outcome {
                    Ok(item) => self.remember(&wanted[*index], item),
                    // What keeps one item away keeps all of them away: nobody is asked again for nothing.
                    Err(error) if !is_about_one(error) => stopped = Some(error.clone()),
                    Err(_) => {
                        self.lock().remove(wanted[*index].key());
                    }
                }
                read[*index] = Some(outcome);
            }
        }
        let unread = || Err(ProviderError::unavailable("the `op` program was not asked"));
        read.into_iter()
            .map(|outcome| outcome.unwrap_or_else(unread))
            .collect()
    }

    fn remember(&self, wanted: &Wanted<'_>, item: &Printed) {
        if !item.ids.vault.is_empty() {
            self.lock().insert(wanted.key().to_owned(), item.ids.clone());
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Ids>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for ProgramProvider {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: ITEMS_PER_CALL,
            max_concurrent: 1,
            local: false,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.fetch_all(batch, cx))
    }
}

impl Wanted<'_> {
    /// What the item is remembered by.
    fn key(&self) -> &str {
        self.locators.first().map(Locator::item).unwrap_or_default()
    }

    /// Whether `item` is the one: the program also finds items by the addresses in them.
    fn is(&self, item: &Printed) -> bool {
        let named = same_name(&item.title, &self.reference.item) && item.state == ItemState::Active;
        named || is_id(&self.reference.item) && item.ids.item == self.reference.item
    }
}

impl Call<'_> {
    /// Reads items by their ids in one run. Where the run fails for one of them, each half is tried by itself.
    fn read_known<'s>(
        &'s self,
        known: &'s [(usize, Ids)],
    ) -> Boxed<'s, Vec<(usize, Result<Printed, ProviderError>)>> {
        async move {
            if known.is_empty() {
                return Vec::new();
            }
            let ids: Vec<_> = known.iter().map(|(_, ids)| ids).collect();
            let arguments = ["item", "get", "-", "--format=json"];
            let request = wire::request(&ids);
            let run = self
                .program
                .run(&arguments, &request, ids.len(), &self.token, self.cx)
                .await;
            match run.and_then(|body| wire::items(body.bytes())) {
                Ok(printed) => {
                    let mut printed: HashMap<_, _> = printed
                        .into_iter()
                        .map(|item| (item.ids.item.clone(), item))
                        .collect();
                    let answer = |(index, ids): &(usize, Ids)| {
                        let left_out = || ProviderError::not_found("the `op` program left this item out");
                        (*index, printed.remove(&ids.item).ok_or_else(left_out))
                    };
                    known.iter().map(answer).collect()
                }
                Err(error) if is_about_one(&error) && known.len() > 1 => {
                    let (first, second) = known.split_at(known.len() / 2);
                    let mut read = self.read_known(first).await;
                    read.extend(self.read_known(second).await);
                    read
                }
                Err(error) => known
                    .iter()
                    .map(|(index, _)| (*index, Err(error.clone())))
                    .collect(),
            }
        }
        .boxed()
    }

    /// Reads the item that a reference names.
    async fn read_named(&self, wanted: &Wanted<'_>) -> Result<Printed, ProviderError> {
        let OpReference { vault, item, .. } = wanted.reference;
        let of_vault = format!("--vault={vault}");
        let arguments = ["item", "get", &of_vault, "--format=json", "--", item];
        let run = self
            .program
            .run(&arguments, b"", BY_NAME, &self.token, self.cx)
            .await;
        let body = run.map_err(|error| named(error, wanted.reference))?;
        let mut printed = wire::items(body.bytes())?;
        match (printed.pop(), printed.is_empty()) {
            (Some(only), true) if wanted.is(&only) => Ok(only),
            (Some(_), true) => Err(no_item(wanted.reference)),
            _ => Err(garbled()),
        }
    }

    /// The answers for the locators of one item.
    async fn answers(&self, wanted: &Wanted<'_>, printed: &Printed) -> Result<Answers, ProviderError> {
        let item: Item<'_> = serde_json::from_str(&printed.json).map_err(|_| garbled())?;
        let mut answers = Answers::with_capacity(wanted.locators.len());
        for locator in wanted.locators {
            answers.push(match locator.typed::<OpReference>() {
                None => Err(garbled()),
                Some(reference) if locator.is_every() => self.members(&item, &printed.ids, reference).await,
                Some(reference) => match select(&item, reference) {
                    Ok(chosen) => self.content(&chosen, &item, &printed.ids, reference).await,
                    Err(error) => Err(error),
                },
            });
        }
        Ok(answers)
    }

    async fn members(
        &self,
        item: &Item<'_>,
        ids: &Ids,
        reference: &OpReference,
    ) -> Result<Fetched, ProviderError> {
        let mut members = Vec::new();
        for (name, chosen) in every(item, reference)? {
            members.push((
                name.to_owned(),
                self.content(&chosen, item, ids, reference).await?,
            ));
        }
        Ok(Fetched::every(Members::new(members)))
    }

    async fn content(
        &self,
        chosen: &Chosen<'_, '_>,
        item: &Item<'_>,
        ids: &Ids,
        reference: &OpReference,
    ) -> Result<Fetched, ProviderError> {
        let fetched = match chosen {
            Chosen::Field(field) => field.view(reference.view)?,
            Chosen::File(file) => match file.view(reference.view)? {
                Some(text) => Fetched::new(SecretBytes::copy_from(text.as_bytes())),
                None => {
                    let address = format!("op://{}/{}/{}", ids.vault, ids.item, file.id);
                    let arguments = ["read", "--no-newline", "--", &address];
                    let body = self.program.run(&arguments, b"", 1, &self.token, self.cx).await?;
                    Fetched::new(SecretBytes::copy_from(body.bytes()))
                }
            },
        };
        Ok(match item.version {
            Some(version) => fetched.version(version.to_string()),
            None => fetched,
        })
    }
}

/// The error with the names in place of what the program said of them.
fn named(error: ProviderError, reference: &OpReference) -> ProviderError {
    let context = match error.kind {
        ErrorKind::NotFound => return no_item(reference),
        ErrorKind::Denied | ErrorKind::Invalid => {
            format!("{}: `{}/{}`", error.context, reference.vault, reference.item)
        }
        _ => return error,
    };
    ProviderError { context, ..error }
}

fn no_item(reference: &OpReference) -> ProviderError {
    ProviderError::not_found(format!(
        "vault `{}` has no item `{}`",
        reference.vault, reference.item
    ))
}
