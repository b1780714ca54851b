//! A program that runs with the variables of a plan: started, followed, restarted when they change, and ended.
//!
//! It knows nothing of how variables come about; those come in as generations.

mod error;
mod group;
mod program;
mod relay;
mod signals;
mod supervisor;
mod terminal;

pub use error::RunError;
pub use program::{Program, VARIABLE_FILES};
pub use signals::Signals;
pub use supervisor::{OnChange, Supervision, supervise};
