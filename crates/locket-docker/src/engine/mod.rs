//! The API of a container engine, as far as consumers are told through it.

mod client;
mod endpoint;
mod error;
mod swarm;
mod wire;

pub use client::{Changes, Client};
pub use endpoint::{Endpoint, Tls};
pub use error::EngineError;
pub use swarm::{SecretObject, SwarmError, SwarmService, SwarmTask};
pub use wire::{Container, Listed};
