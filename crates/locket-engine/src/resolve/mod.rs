//! From references to values: every distinct item asked once, whoever wants it.

mod backoff;
mod board;
#[cfg(test)]
mod board_tests;
mod budget;
mod cost;
#[cfg(test)]
mod cost_tests;
mod key;
mod probe;
mod resolver;
#[cfg(test)]
mod resolver_tests;
mod silence;

pub use backoff::Backoff;
pub use budget::Budgets;
pub use cost::{Cost, costs};
pub(crate) use key::ItemKey;
pub use key::SecretKey;
pub use probe::{Probe, probe};
pub use resolver::{Answer, Resolver, Timing};
