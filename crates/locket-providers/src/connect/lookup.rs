//! From names to ids, by asking the server.

use locket_core::suggest::nearest;
use locket_core::{ErrorKind, ProviderError};

use super::client::Session;
use super::lists::Lists;
use crate::onepassword::{ItemState, ItemSummary, OpReference, Vault, is_id, same_name};

/// Asks for the id of the vault `name`.
pub(super) async fn vault_id(name: &str, session: &Session<'_>) -> Result<String, ProviderError> {
    let pick = |vaults: Vec<Vault>| named(vaults, name, |vault| &vault.name);
    let mut found = pick(session.vaults(Some(name)).await.or_else(unfit_filter)?);
    if found.is_empty() && !is_id(name) {
        let all = session.vaults(None).await?;
        let names: Vec<_> = all.iter().map(|vault| vault.name.clone()).collect();
        found = pick(all);
        if found.is_empty() {
            return Err(with_nearest(no_vault(name), name, &names));
        }
    }
    match found.as_slice() {
        [] => Err(no_vault(name)),
        [only] => Ok(only.id.clone()),
        more => {
            let ids = more.iter().map(|vault| vault.id.as_str());
            Err(several("the access token sees", ids, "vaults named", name))
        }
    }
}

/// Asks for the id of the item that `reference` names in `vault`, or finds it in the list that others asked for.
///
/// # Errors
/// Not found when the vault has no such item, denied when there is no such vault any more.
pub(super) async fn item_id(
    vault: &str,
    reference: &OpReference,
    lists: &Lists,
    session: &Session<'_>,
) -> Result<String, ProviderError> {
    let title = &reference.item;
    let pick = |items: &[ItemSummary]| -> Vec<String> {
        let active = items.iter().filter(|item| item.state == ItemState::Active);
        let found = named(active.collect(), title, |item| &item.title);
        found.into_iter().map(|item| item.id.clone()).collect()
    };
    let no_such_vault = |error: ProviderError| match error.kind {
        // The vault is gone, which says nothing about the item.
        ErrorKind::NotFound => no_vault(&reference.vault),
        _ => error,
    };
    let listed = lists.of(vault, session).await;
    let mut found = listed.map_or_else(Vec::new, |all| pick(&all));
    if found.is_empty() {
        let filtered = session.items(vault, Some(title)).await.or_else(unfit_filter);
        found = pick(&filtered.map_err(no_such_vault)?);
    }
    if found.is_empty() && !is_id(title) {
        let all = session.items(vault, None).await.map_err(no_such_vault)?;
        found = pick(&all);
        if found.is_empty() {
            let titles: Vec<_> = all.into_iter().map(|item| item.title).collect();
            return Err(with_nearest(no_item(reference), title, &titles));
        }
    }
    match found.as_slice() {
        [] => Err(no_item(reference)),
        [only] => Ok(only.clone()),
        more => {
            let place = format!("vault `{}` has", reference.vault);
            let ids = more.iter().map(String::as_str);
            Err(several(&place, ids, "items titled", title))
        }
    }
}

/// A server that cannot read a filter is asked for the whole list.
fn unfit_filter<T>(error: ProviderError) -> Result<Vec<T>, ProviderError> {
    match error.kind {
        ErrorKind::Invalid => Ok(Vec::new()),
        _ => Err(error),
    }
}

/// Those of exactly this name, else those that differ in case alone.
fn named<T>(mut all: Vec<T>, name: &str, name_of: fn(&T) -> &str) -> Vec<T> {
    if all.iter().any(|one| name_of(one) == name) {
        all.retain(|one| name_of(one) == name);
    } else {
        all.retain(|one| same_name(name_of(one), name));
    }
    all
}

/// Whether an error can mean that an id is no longer, or never was, the right one.
pub(super) fn is_gone(error: &ProviderError) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::Denied)
}

pub(super) fn no_item(reference: &OpReference) -> ProviderError {
    ProviderError::not_found(format!(
        "vault `{}` has no item `{}`",
        reference.vault, reference.item
    ))
}

/// A vault out of the token's scope looks like one that does not exist; that it exists is the safer guess, since
/// nothing may stand in for a secret that is merely withheld.
fn no_vault(name: &str) -> ProviderError {
    ProviderError::denied(format!("the access token sees no vault `{name}`")).hint(
        "Check the name, or use an access token that may read this vault; its vaults are chosen when it is made.",
    )
}

fn several<'i>(place: &str, ids: impl Iterator<Item = &'i str>, what: &str, name: &str) -> ProviderError {
    let ids: Vec<_> = ids.map(|id| format!("`{id}`")).collect();
    ProviderError::invalid(format!(
        "{place} {} {what} `{name}`: {}",
        ids.len(),
        ids.join(", ")
    ))
    .hint("Write the id of the one you mean in place of the name.")
}

fn with_nearest(error: ProviderError, name: &str, names: &[String]) -> ProviderError {
    match nearest(name, names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error,
    }
}
