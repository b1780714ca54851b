//! The round: what every command does with a plan. It resolves, renders, applies and notifies, and knows what
//! starts the next round. It knows no provider by name.

pub mod agent;
mod chance;
pub mod instances;
mod lease;
pub mod mask;
pub mod notify;
pub mod once;
pub mod preview;
pub mod resolve;
pub mod serve;
#[cfg(test)]
mod simulation;
pub mod sink;
pub mod sources;
pub mod state;
pub mod state_dir;
pub mod supervise;
pub mod tasks;
pub mod telemetry;
#[cfg(test)]
mod testing;
pub mod watch;

pub use instances::{Instance, InstanceLimits, Instances};
