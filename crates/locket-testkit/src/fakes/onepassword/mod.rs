//! 1Password's own server, as far as a service account reads: the login, the session's cipher, keysets, vaults and items.
//!
//! Made by watching what 1Password's official client sends and accepts; the same client proves that it is right
//! (`op_official_client.rs`). It verifies the client's proof, its request signatures and its messages, and encrypts as
//! the real one does. Not from the real one: the words of its refusals, and everything that only writes.

mod cipher;
mod keys;
mod server;
mod srp;
mod token;

pub use server::{OnePassword, Trashed};
pub use token::ServiceAccount;
