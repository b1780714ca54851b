//! `locket doctor`: whether this machine and this configuration let locket do its work. It changes nothing.

mod checks;
mod command;
mod finding;

pub(super) use command::COMMAND;
