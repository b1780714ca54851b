//! Hiding secrets in what a program puts out.

mod forms;
mod hidden;
mod masker;
mod sieve;
#[cfg(test)]
mod tests;

pub use hidden::Hidden;
pub use masker::{Masker, Masks, STARS};
