//! What `locket sync` was told, beside its map.

use locket_core::plan::{OnError, OutputSettings, Plan};

use super::plan;
use super::run::{Form, RunSettings};
use crate::context::Context;
use crate::options::{Layers, Notice, table};

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
        match layers.path(&table::SYNC_STATE_DIR) {
            Some(given) => run.state_dir = given,
            // An agent of this machine keeps its own there.
            None => run.state_dir.push("sync"),
        }
        layers.notices.extend(of_an_agent(layers));
        Self {
            run,
            output: OutputSettings {
                on_error: OnError::Keep,
                ..plan::defaults(layers)
            },
        }
    }
}

/// What the files give to an agent alone, since two processes cannot hold it.
fn of_an_agent(layers: &Layers<'_>) -> Vec<Notice> {
    let held = [&table::STATUS_FILE, &table::METRICS].into_iter();
    let given = held.filter_map(|opt| {
        let given = layers.files().find_map(|file| file.text(opt))?;
        Some(Notice::Detail(format!(
            "{}: what {} says is for `run`; `sync` takes it from `--{0}` and {} alone",
            opt.name,
            given.origin,
            opt.variables.join(", "),
        )))
    });
    given.collect()
}
