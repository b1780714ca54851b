//! Telling consumers, once each, after everything that changed is in place.

mod deliver;
mod journal;
#[cfg(test)]
mod tests;

pub use deliver::{CHANGED_VARIABLE, Courier, Delivery, LocalCourier, Notifier};
pub use journal::{Fingerprint, Journal, Promise, Word};
