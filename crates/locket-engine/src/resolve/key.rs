//! What makes two references the same read.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use locket_core::Locator;

/// One secret value: an instance and what it reads there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretKey {
    /// The instance's name.
    pub instance: Arc<str>,
    /// The value within it.
    pub locator: Locator,
}

/// What one request reads.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ItemKey {
    pub(crate) instance: Arc<str>,
    pub(crate) item: Arc<str>,
}

impl Hash for SecretKey {
    /// By the locator alone, which knows its hash: hardly ever do two instances read the same.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.locator.hash(state);
    }
}

impl SecretKey {
    pub(super) fn item(&self) -> ItemKey {
        ItemKey {
            instance: self.instance.clone(),
            item: self.locator.item_key(),
        }
    }
}
