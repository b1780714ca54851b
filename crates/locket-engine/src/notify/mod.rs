//! Telling consumers, once each, after everything that changed is in place.

mod deliver;
mod journal;
#[cfg(test)]
mod tests;

pub use deliver::{CHANGED_VARIABLE, Delivery, Notifier};
pub use journal::{Journal, Promise};
