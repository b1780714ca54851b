//! From the names of files to one tree: variables, interpolation, `include`, `extends`, override files.

mod expand;
mod extends;
mod find;
mod include;
mod loader;
#[cfg(test)]
pub(crate) mod tests;
mod variables;

pub use find::DEFAULT_FILES;
pub(crate) use loader::Loader;
pub use loader::{Files, LoadError, Mistake, Request, Unreadable, load};
pub use variables::Variables;
