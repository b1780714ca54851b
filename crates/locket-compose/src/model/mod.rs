//! What a project says about secrets and those who read them.

mod mount;
mod project;
mod secret;
mod service;
mod text;

pub use mount::{Mount, MountKind};
pub use project::{EnvText, Project, VolumeDefinition};
pub use secret::{Definition, Grant, Origin};
pub use service::{
    Build, Condition, Dependency, EnvFile, Healthcheck, ProviderUse, Service, Variable, Words,
};
pub use text::Text;
