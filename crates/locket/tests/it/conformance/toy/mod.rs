//! A small provider over HTTP with a server of its own, and one deliberate flaw for every way to break a promise:
//! the proof that the suite can fail.

mod backend;
mod flaws;
mod provider;
#[cfg(test)]
mod tests;
mod wire;

pub(crate) use backend::FLAWLESS;
pub(crate) use provider::KIND;
