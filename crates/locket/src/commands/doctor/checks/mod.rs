//! The checks, a file each. To add one: a file with a `CHECK`, and its line in the table.

mod clock;
mod configuration;
mod destinations;
mod docker;
#[cfg(feature = "store")]
mod identity;
mod landlock;
mod memory;
mod process;
mod providers;
mod resolver;
mod state;
mod watching;

use super::finding::Check;

/// Every check, in the order in which they are told.
pub(super) static CHECKS: &[Check] = &[
    process::CHECK,
    memory::CHECK,
    landlock::CHECK,
    configuration::CHECK,
    destinations::CHECK,
    docker::CHECK,
    state::CHECK,
    watching::CHECK,
    #[cfg(feature = "store")]
    identity::CHECK,
    clock::CHECK,
    resolver::CHECK,
    providers::CHECK,
];
