//! The pure half of locket: what a secret, a reference, a template and a plan are.
//!
//! Nothing here reads a file, opens a socket, asks the time or starts a task; all of that comes in as arguments.

pub mod action;
pub mod clock;
pub mod diagnostic;
pub mod env_file;
pub mod environment;
pub mod filter;
pub mod glob;
pub mod image;
pub mod json_path;
pub mod lists;
pub mod locator;
pub mod plan;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod provider;
pub mod reach;
pub mod reference;
pub mod schemes;
pub mod secret;
pub mod signal;
pub mod span;
pub mod spec;
pub mod suggest;
pub mod sync_map;
pub mod template;
pub mod wildcard;
pub mod words;

pub use action::Action;
pub use clock::Clock;
pub use diagnostic::Diagnostic;
pub use environment::Environment;
pub use image::ImageName;
pub use locator::{Locator, Parse};
pub use provider::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Lease, LeaseHandle, Leases, Login, Members, Provider,
    ProviderError, Renewal, SecretVersion,
};
pub use reach::{Reach, Referenced};
pub use reference::Reference;
pub use schemes::{Scheme, Schemes};
pub use secret::{SecretBuilder, SecretBytes};
pub use signal::Signal;
pub use span::Span;
pub use template::Template;
pub use wildcard::Wildcard;
