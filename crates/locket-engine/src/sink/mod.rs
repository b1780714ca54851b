//! The only writer of outputs. After any failure, at any instant, an output is what it was or what it should be.

mod directory;
mod error;
mod file;
mod generation;
mod inspect;
mod phase;
mod session;
mod sweep;
mod temporary;

pub use error::{SinkError, SinkErrorKind};
pub use file::Stamp;
pub(crate) use generation::place;
pub use generation::{Generation, LINK, Member};
pub use inspect::{Facts, inspect};
pub use phase::Phase;
pub use session::{Applied, Approach, Removed, Sink, Written};
pub use sweep::Swept;

#[cfg(test)]
mod generation_tests;
#[cfg(test)]
mod tests;
