//! Providers out of process: `exec://name/locator` asks a helper program that the configuration names.
//!
//! The protocol is documented in `docs/reference/exec-protocol.md`; whatever changes it changes its number.

mod config;
mod exchange;
mod lines;
mod locator;
mod process;
#[cfg(any(test, fuzzing))]
pub(crate) mod properties;
mod provider;
mod told;
mod wire;

#[cfg(test)]
mod tests;

pub(crate) use process::Leader;
pub use provider::KIND;
pub(crate) use told::Told;
