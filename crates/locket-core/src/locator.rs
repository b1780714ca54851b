//! A reference as its provider understands it.

use std::any::Any;
use std::fmt;
use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::{Diagnostic, Reference};

/// Turns a reference into the form of one provider, without asking anybody.
pub type Parse = fn(&Reference) -> Result<Locator, Vec<Diagnostic>>;

/// A parsed reference: typed for its provider, opaque to everybody else.
///
/// Two locators are the same read when item and part are equal. Locators of one item are one request.
#[derive(Clone)]
pub struct Locator {
    item: Arc<str>,
    part: Arc<str>,
    typed: Arc<dyn Any + Send + Sync>,
    /// Of item and part: every table of the engine is keyed by locators.
    hash: u64,
}

/// How the part of a locator begins that asks for every part. No name begins with the character.
const EVERY: char = '\0';

impl Locator {
    /// A locator for `part` (a field, attribute, …; may be empty) of `item` (what one request reads), carrying
    /// the provider's own form.
    pub fn new<T: Any + Send + Sync>(item: impl Into<Arc<str>>, part: impl Into<Arc<str>>, typed: T) -> Self {
        let (item, part) = (item.into(), part.into());
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one((&item, &part));
        Self {
            item,
            part,
            typed: Arc::new(typed),
            hash,
        }
    }

    /// A locator for every part of `item` in `scope` (a section, a prefix; may be empty): what it reads has
    /// [`members`](crate::Fetched::members).
    pub fn every<T: Any + Send + Sync>(item: impl Into<Arc<str>>, scope: &str, typed: T) -> Self {
        Self::new(item, format!("{EVERY}{scope}"), typed)
    }

    /// Whether it asks for every part of its item.
    pub fn is_every(&self) -> bool {
        self.part.starts_with(EVERY)
    }

    /// What one request reads: all locators with this key are fetched together.
    pub fn item(&self) -> &str {
        &self.item
    }

    /// [`Locator::item`], shared.
    pub fn item_key(&self) -> Arc<str> {
        self.item.clone()
    }

    /// What is taken from the item.
    pub fn part(&self) -> &str {
        &self.part
    }

    /// The provider's own form; `None` when it was made by another provider.
    pub fn typed<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.typed.downcast_ref()
    }
}

impl PartialEq for Locator {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.item == other.item && self.part == other.part
    }
}

impl Eq for Locator {}

impl Hash for Locator {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locator")
            .field("item", &self.item)
            .field("part", &self.part)
            .finish_non_exhaustive()
    }
}
