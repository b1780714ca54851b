//! Infisical: its cloud or a server of one's own, read as a machine identity.
//!
//! Source: the API as its documentation describes it (<https://infisical.com/docs/api-reference>), in both of its
//! generations. The vendor's library for Python is run against the same fake server. `docs.md` is the user's page.

mod auth;
mod client;
mod config;
mod folder;
mod provider;
mod reference;
mod session;
mod wire;

pub(crate) use config::KIND;

#[cfg(test)]
mod tests;
