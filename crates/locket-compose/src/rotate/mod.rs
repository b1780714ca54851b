//! What a rotation has to do: where the value is kept, where it is in force, and who has to start again, in which order.

mod kept;
mod plan;
#[cfg(test)]
mod tests;

pub use kept::{Extent, Kept, References, kept, referred};
pub use plan::{Asked, Dependent, EXEC_LABEL, Inside, Refused, Rotation, Way, plan};
