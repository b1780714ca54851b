//! Plain files and Docker secret files: `file:///run/secrets/x`, `file://relative`.

mod locator;
mod provider;
mod read;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use provider::KIND;
pub(crate) use read::{ReadError, RegularFile, Stamp, read_regular};
