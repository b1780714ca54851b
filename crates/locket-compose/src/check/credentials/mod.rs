//! Credentials in plain text: by the name of what holds them, by their own shape, in URLs and on command lines.

mod command;
mod literal;
mod look;
mod shape;
#[cfg(test)]
mod tests;
mod url;

pub use look::env_credentials;

pub(super) use look::{look, places};
