//! Hiding secrets in what a program puts out.

mod forms;
mod masker;
mod sieve;
#[cfg(test)]
mod tests;

pub use masker::{Masker, Masks, STARS};
