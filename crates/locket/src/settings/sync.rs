//! What `locket sync` was told, beside its map.

use locket_core::plan::{OnError, OutputSettings, Plan};

use super::plan;
use super::run::{Form, RunSettings};
use crate::context::Context;
use crate::options::Layers;

/// Everything that `sync` was told, but for the map and what its own arguments say.
#[derive(Debug)]
pub(crate) struct SyncSettings {
    /// What it has in common with a run.
    pub(crate) run: RunSettings,
    /// What holds for every file, its mode aside.
    pub(crate) output: OutputSettings,
}

impl SyncSettings {
    /// Settles everything.
    pub(crate) fn settle(layers: &mut Layers<'_>, context: &Context) -> Self {
        let mut run = RunSettings::settle(layers, Form::Sync, context);
        run.plan = Plan {
            max_file_size: plan::MAX_FILE_SIZE,
            ..Plan::default()
        };
        let is_given = layers.text(&crate::options::table::STATE_DIR).is_some();
        if !is_given {
            // An agent of this machine keeps its own there.
            run.state_dir.push("sync");
        }
        Self {
            run,
            output: OutputSettings {
                on_error: OnError::Keep,
                ..plan::defaults(layers)
            },
        }
    }
}
