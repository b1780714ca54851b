//! `locket providers`: which there are, what each was told, and whether they answer. No value is ever shown.

mod check;
mod command;
mod list;

pub(super) use check::{Tried, every_instance};
pub(super) use command::COMMAND;
