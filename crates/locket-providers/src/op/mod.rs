//! 1Password through a service account: by the vendor's own core, hosted in this process, or by the `op` program.
//!
//! `docs.md` is the user's page.

mod config;
mod core;
mod program;
mod token;

pub use config::KIND;

#[cfg(test)]
mod tests;
