//! What others may know about the agent: its health, in a file that names references and never holds a value.

mod health;
mod status;
#[cfg(test)]
mod tests;

pub use health::{Observed, judge, observe};
pub use status::{Failing, State, Status, StatusError, StatusFile};
