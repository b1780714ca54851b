//! From the plan to templates: which outputs there are at this moment, and what is in them.

mod check;
mod error;
mod listing;
mod parse;
mod pipe;
mod scan;
mod target;
#[cfg(test)]
mod tests;
mod variables;
mod walk;

pub(crate) use check::refuse_conflicts;
pub use check::{PlanError, check, settled};
pub use error::{SourceError, Trouble};
pub use listing::{Listed, Listing};
pub use parse::Parsed;
pub(crate) use parse::{Located, parse};
pub use pipe::{drain, has_pipes};
pub use scan::{Found, Role, Scan, Scanner};
pub use target::Target;
