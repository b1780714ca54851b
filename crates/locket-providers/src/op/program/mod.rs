//! The `op` program: one run reads an item by its name, or any number of items by the ids that earlier runs told.

mod home;
mod provider;
mod refusal;
mod run;
mod wire;

pub(super) use provider::ProgramProvider;
pub(super) use run::Program;
