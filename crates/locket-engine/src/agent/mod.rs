//! The loop behind every command that puts outputs in place.

mod apply;
mod dispatch;
mod outputs;
mod report;
mod setup;
#[cfg(test)]
mod tests;

pub use dispatch::run;
pub use report::{Ending, Observer};
pub use setup::{AgentCx, Command, Mode, Schedule, Setup};
