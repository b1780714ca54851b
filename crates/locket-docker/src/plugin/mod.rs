//! A plugin of the engine: volumes whose files are secrets, and the values of Swarm secrets.

mod registry;
#[cfg(test)]
mod registry_tests;
mod server;
mod socket;
mod state;
mod volume;
mod wire;

pub use registry::{Host, PATIENCE, Registry, Run};
pub use server::{Call, Calls, serve};
pub use socket::{Lock, Socket, SocketError};
pub use state::{State, StateError, StoredVolume};
pub use wire::{Health, Options, SecretRequest, SecretValue, VolumeDetails};
