//! What Docker and its tools say and expect. It knows no provider by name.

pub mod allow;
pub mod build;
pub mod cli_plugin;
pub mod compose;
pub mod engine;
pub mod labels;
pub mod notify;
pub mod plugin;
pub mod swarm;
