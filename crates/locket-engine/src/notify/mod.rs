//! Telling consumers, once each, after everything that changed is in place.

mod batch;
mod deliver;
mod journal;
#[cfg(test)]
mod tests;

pub use batch::Batch;
pub use deliver::{CHANGED_VARIABLE, Courier, Delivery, LocalCourier, Notifier, Precedence};
pub use journal::{Fingerprint, Journal, Promise, Word};
