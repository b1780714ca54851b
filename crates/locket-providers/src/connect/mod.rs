//! 1Password through a Connect server of one's own, over its REST protocol.
//!
//! Protocol: <https://github.com/1Password/connect/blob/main/docs/openapi/spec.yaml>. `docs.md` is the user's page.

mod client;
mod config;
mod lists;
mod lookup;
mod names;
mod provider;

pub use config::KIND;

#[cfg(test)]
mod tests;
