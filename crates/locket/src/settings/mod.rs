//! Settled settings: everything a command was told, typed, after all layers have spoken.

mod common;
mod plan;
mod program;
mod run;
mod state_dir;
mod sync;
#[cfg(test)]
pub(crate) mod tests;
#[cfg(feature = "command-plugin")]
mod volume;

pub(crate) use common::{Common, Loaded, load, load_despite_files, load_quietly};
pub(crate) use program::{Form as VariableForm, Keys, Named, ProgramSettings, tells_somebody};
#[cfg(feature = "command-plugin")]
pub(crate) use run::audit;
pub(crate) use run::{Form, NOTIFY_TIMEOUT, RunSettings};
pub(crate) use state_dir::state_dir;
pub(crate) use sync::SyncSettings;
#[cfg(feature = "command-plugin")]
pub(crate) use volume::{Inherited, VolumeSettings, Writing, load_volume, provider_options};
