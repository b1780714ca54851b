//! What Docker and its tools say and expect. It knows no provider by name.

pub mod build;
pub mod compose;
pub mod engine;
pub mod notify;
pub mod plugin;
