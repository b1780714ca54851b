//! The places where a value is kept, each with what a rotation needs of it.

mod file;
#[cfg(feature = "store")]
mod store;
mod swarm;

pub(super) use file::File;
#[cfg(feature = "store")]
pub(super) use store::Stored;
pub(super) use swarm::{Followed, Swarm};

use locket_core::SecretBytes;

use super::journal::Shelf;
use crate::report::Failure;

/// Where the value of one secret is kept.
pub(super) trait Keeper {
    /// The value that is kept there.
    ///
    /// # Errors
    /// It cannot be had.
    fn value(&self) -> Result<SecretBytes, Failure>;

    /// Keeps `value` instead, and gives it to everybody whom this place gives it to by itself.
    ///
    /// # Errors
    /// It is not kept, or somebody is not well with it.
    fn keep(&self, value: &SecretBytes) -> Result<(), Failure>;

    /// Where both values are kept meanwhile.
    fn shelf(&self) -> &dyn Shelf;

    /// What [`Keeper::keep`] would do, a line each.
    ///
    /// # Errors
    /// It cannot be known.
    fn rehearse(&self) -> Result<Vec<String>, Failure>;
}
