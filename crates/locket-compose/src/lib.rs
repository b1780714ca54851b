//! The Compose file as locket sees it: every value with its place, merged from several files as Compose merges them;
//! and what is wrong with the secrets in it.
//!
//! Nothing here reads a file, runs a program or asks the time; all of that comes in as arguments.

pub mod check;
pub mod credential;
pub mod images;
pub mod init;
mod load;
mod merge;
pub mod migrate;
pub mod model;
mod place;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod read;
pub mod rotate;
mod yaml;

pub use load::{DEFAULT_FILES, Files, LoadError, Mistake, Request, Unreadable, Variables, load};
pub use model::Project;
pub use place::{Place, Source, SourceId, Sources};
