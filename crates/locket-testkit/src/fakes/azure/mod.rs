//! A tenant of Azure: key vaults, the service that logs applications in, and those that give machines their tokens.
//!
//! Assertions are verified, tokens and the resource they are for as well. Microsoft's Python clients are the judges of the
//! protocol, in `tests/it` of the crate `locket`.

mod logins;
mod server;
mod vault;

pub use logins::Application;
pub use server::Azure;
