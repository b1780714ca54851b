//! Bitwarden Secrets Manager, read with the access token of a machine account. Everything that the server stores is
//! encrypted; it is opened here.
//!
//! Written from public documentation: <https://bitwarden.com/help/secret-decryption/>, the API's own description, and
//! <https://bitwarden.com/help/bitwarden-security-white-paper/>. The vendor's program and library are run against the
//! same fake server as this provider. `docs.md` is the user's page.

mod account;
mod client;
mod config;
mod crypto;
mod names;
mod provider;
mod reference;
mod session;
mod token;
mod wire;

pub(crate) use config::KIND;

#[cfg(test)]
mod tests;
