//! What `init` sets up: secret files for the plain values of a project, and an override that has every service read them.
//!
//! Here it is only decided, from what the project says and the images are known to read; nothing is written.

mod decision;
mod earlier;
mod override_file;
mod plan;
mod start;
mod starter;

pub use decision::{
    Change, DIRECTORY, Fresh, ImageFacts, Left, Options, Plan, Planned, Unset, Value, Variable,
};
pub use earlier::Earlier;
pub use override_file::{Stamp, stamp, write};
pub use plan::plan;
pub use start::Start;
pub use starter::{DEFAULT_PROGRAMS, programs, starter};

#[cfg(test)]
mod tests;
