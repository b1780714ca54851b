//! YAML as Compose reads it, with the place of every key and value.

mod node;
mod parse;
mod scalar;
#[cfg(test)]
mod tests;

pub(crate) use node::{Edit, Entry, Map, Node, Value};
pub(crate) use parse::parse;
pub(crate) use scalar::{Kind, Scalar};
