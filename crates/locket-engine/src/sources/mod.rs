//! From the plan to templates: which outputs there are at this moment, and what is in them.

mod check;
mod error;
mod listing;
mod scan;
#[cfg(test)]
mod tests;
mod variables;
mod walk;

pub use check::{PlanError, check};
pub use error::{SourceError, Trouble};
pub use listing::{Listed, Listing};
pub use scan::{Found, Parsed, Role, Scan, Scanner, Target};
pub(crate) use scan::{Located, parse};
