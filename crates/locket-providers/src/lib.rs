//! The secret managers that locket reads: a folder each, and one line in [`registry`].
//!
//! Each folder is a feature of its own, but for files and variables, which hold the credentials of the others.

#[cfg(feature = "azkv")]
mod azkv;
#[cfg(feature = "bao")]
mod bao;
mod batch;
#[cfg(feature = "bws")]
mod bws;
#[cfg(feature = "connect")]
pub mod connect;
pub mod env;
#[cfg(feature = "exec")]
pub mod exec;
pub mod file;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "infisical")]
mod infisical;
#[cfg(feature = "oci")]
mod oci;
#[cfg(feature = "onepassword")]
mod onepassword;
#[cfg(feature = "op")]
pub mod op;
#[cfg(feature = "http")]
mod own_file;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod registry;
#[cfg(any(feature = "http", feature = "exec"))]
mod retry_after;
pub mod settings;
#[cfg(any(feature = "signing", feature = "onepassword"))]
mod signing;
#[cfg(feature = "store")]
pub mod store;
#[cfg(test)]
mod testing;
#[cfg(feature = "http")]
mod turn;

#[cfg(feature = "http")]
pub use http::outbound;
pub use registry::{BuildCx, ConfigError, Facts, KINDS, ProviderKind, SchemeSpec, schemes, touches_nothing};
pub use settings::{Credential, Setting, SettingKind, Settings};
