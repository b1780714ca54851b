//! `locket migrate`: plain values of a project move into secret files or the store, and references take their place.

mod backup;
mod command;
mod diff;

pub(super) use command::COMMAND;
