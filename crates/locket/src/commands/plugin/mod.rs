//! `locket plugin`: a plugin of Docker Engine for volumes whose files are secrets, and for Swarm secrets.

mod command;
mod expanded;
mod look;
mod machine;
mod places;
mod secrets;
mod settle;
mod writer;

pub(super) use command::{COMMAND, VOLUME};
