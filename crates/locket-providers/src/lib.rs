//! The secret managers that locket reads: a folder each, and one line in [`registry`].

mod bao;
mod batch;
mod bws;
pub mod connect;
pub mod env;
pub mod exec;
pub mod file;
mod http;
mod infisical;
mod onepassword;
pub mod op;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod registry;
pub mod settings;
pub mod store;
#[cfg(test)]
mod testing;

pub use registry::{BuildCx, ConfigError, Facts, KINDS, ProviderKind, SchemeSpec, schemes, touches_nothing};
pub use settings::{Credential, Setting, SettingKind, Settings};
