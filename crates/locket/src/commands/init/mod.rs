//! `locket init`: secret files for a Compose project, and an override that has its services read them.

mod apply;
mod ask;
mod command;
mod found;

pub(super) use apply::{IGNORED_BY, ignore};
pub(super) use command::COMMAND;
pub(super) use found::project;
#[cfg(feature = "command-rotate")]
pub(super) use found::project_if_any;
