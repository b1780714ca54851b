//! `locket plan`: what a run would do. It writes nothing and shows no value.

mod command;
mod json;
mod text;

pub(super) use command::COMMAND;
pub(super) use json::provider;
pub(super) use text::{budget, interval, over_budget};
