//! Options: one table of them, the layers that give them a value, and where each value came from.

#[cfg(feature = "command-rotate")]
mod again;
mod flags;
mod layers;
mod opt;
mod origin;
pub(crate) mod table;
pub(crate) mod values;

#[cfg(feature = "command-rotate")]
pub(crate) use again::again;
pub(crate) use flags::add_flags;
#[cfg(feature = "command-plugin")]
pub(crate) use layers::Beforehand;
pub(crate) use layers::{Layers, NOT_UTF8, Notice, Syntax};
pub(crate) use opt::{Key, Opt, Shape};
pub(crate) use origin::{Given, Origin};
