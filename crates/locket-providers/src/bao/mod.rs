//! OpenBao and HashiCorp Vault: one protocol, two names.
//!
//! Source: the HTTP API as documented by OpenBao (`/api-docs`) and as a real server of version 2.7 answers.

mod auth;
mod client;
mod config;
mod lease;
mod locator;
mod mounts;
mod provider;
mod session;
mod wire;

pub(crate) use config::{BAO, VAULT};

#[cfg(test)]
mod tests;
