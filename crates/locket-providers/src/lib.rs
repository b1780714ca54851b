//! The secret managers that locket reads: a folder each, and one line in [`registry`].

mod batch;
pub mod connect;
pub mod env;
pub mod file;
pub(crate) mod http;
mod onepassword;
pub mod registry;
pub mod settings;
pub mod store;

pub use registry::{BuildCx, ConfigError, KINDS, ProviderKind, SchemeSpec, schemes};
pub use settings::{Credential, Setting, SettingKind, Settings};
