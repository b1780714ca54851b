//! Secrets of a swarm kept equal to what they refer to.

mod change;
mod sync;

pub(crate) use change::uses;
pub use change::{BASE, Wanted};
pub use sync::{Outcome, Purpose, Sync};
