//! A secret of the embedded store. Both values of a rotation are kept in the store itself, which is encrypted: nothing of
//! it ever stands beside it as plain text.

use std::collections::BTreeSet;

use locket_core::{Clock, ProviderError, SecretBytes};
use locket_providers::store::{SecretName, Store};

use super::super::super::store::failed;
use super::super::journal::{Item, Shelf};
use super::Keeper;
use crate::report::Failure;

/// One secret of a store.
pub(in super::super) struct Stored<'a> {
    store: Store,
    name: SecretName,
    clock: &'a dyn Clock,
    shelf: Entries<'a>,
}

/// Entries of the store beside that of the secret.
struct Entries<'a> {
    store: Store,
    name: String,
    clock: &'a dyn Clock,
}

/// What the names of those entries begin with.
const BEFORE: &str = ".rotation";

impl<'a> Stored<'a> {
    /// The secret `name` of `store`.
    pub(in super::super) fn new(store: Store, name: SecretName, clock: &'a dyn Clock) -> Self {
        Self {
            shelf: Entries {
                store: store.clone(),
                name: name.as_str().to_owned(),
                clock,
            },
            store,
            name,
            clock,
        }
    }
}

impl Keeper for Stored<'_> {
    fn value(&self) -> Result<SecretBytes, Failure> {
        self.store.get(&self.name).map_err(failed)
    }

    fn keep(&self, value: &SecretBytes) -> Result<(), Failure> {
        self.store
            .set(&self.name, copy(value), self.clock.wall())
            .map(drop)
            .map_err(failed)
    }

    fn shelf(&self) -> &dyn Shelf {
        &self.shelf
    }

    fn rehearse(&self) -> Result<Vec<String>, Failure> {
        Ok(vec![format!(
            "would write {} into {}",
            self.name,
            self.store.path().display()
        )])
    }
}

impl Entries<'_> {
    fn entry(&self, item: Item) -> Result<SecretName, Failure> {
        let what = match item {
            Item::Record => "record",
            Item::Old => "old",
            Item::New => "new",
        };
        format!("{BEFORE}/{}/{what}", self.name)
            .parse()
            .map_err(|_| Failure::usage(format!("{} is too long a name to be rotated", self.name)))
    }

    fn present(&self) -> Result<BTreeSet<SecretName>, ProviderError> {
        Ok(self.store.list()?.into_iter().map(|listed| listed.name).collect())
    }
}

impl Shelf for Entries<'_> {
    fn get(&self, item: Item) -> Result<Option<SecretBytes>, Failure> {
        let name = self.entry(item)?;
        match self.present().map_err(failed)?.contains(&name) {
            true => self.store.get(&name).map(Some).map_err(failed),
            false => Ok(None),
        }
    }

    fn put(&self, item: Item, value: &SecretBytes) -> Result<(), Failure> {
        self.store
            .set(&self.entry(item)?, copy(value), self.clock.wall())
            .map(drop)
            .map_err(failed)
    }

    /// All at once.
    fn clear(&self) -> Result<(), Failure> {
        let names = [Item::Old, Item::New, Item::Record].map(|item| self.entry(item));
        let names: Vec<_> = names.into_iter().collect::<Result<_, _>>()?;
        let present = self.present().map_err(failed)?;
        let there: Vec<_> = names.into_iter().filter(|name| present.contains(name)).collect();
        match there.is_empty() {
            true => Ok(()),
            false => self.store.remove(&there).map_err(failed),
        }
    }

    fn shown(&self) -> String {
        self.store.path().display().to_string()
    }
}

fn copy(value: &SecretBytes) -> SecretBytes {
    #[expect(clippy::disallowed_methods, reason = "the store keeps a value of its own")]
    SecretBytes::copy_from(value.expose())
}
