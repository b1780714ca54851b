//! `locket healthcheck`: whether an agent is as it should be, by its status file.

use std::time::{Duration, UNIX_EPOCH};

use clap::ArgMatches;
use locket_engine::state;

use super::Command;
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, Layers, table, values};
use crate::report::{Cause, Failure, Problem};
use crate::settings;

pub(super) const COMMAND: Command = Command {
    name: "healthcheck",
    about: "Say whether every secret is in place, by the status file of a running agent",
    arguments: |command| options::add_flags(options::add_flags(command, table::EVERY), table::HEALTH),
    run,
};

struct Settings {
    status_file: Option<std::path::PathBuf>,
    max_stale: Option<Duration>,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    // An agent that runs keeps the configuration of before where a new one has mistakes.
    let (loaded, mistakes) = settings::load_despite_files(matches, context, settle)?;
    let settings = loaded.open(context);
    let Some(path) = settings.status_file else {
        if !mistakes.is_empty() {
            let unknown = Problem::Told {
                message: "it is not said which agent is meant, and the configuration, which may say it, has mistakes"
                    .to_owned(),
                help: Some("Correct them, or name the status file with `--status-file` or LOCKET_STATUS_FILE.".to_owned()),
            };
            return Err(Failure::new(
                Cause::Work,
                mistakes.into_iter().chain([unknown]).collect(),
            ));
        }
        return Err(Failure::usage("it is not said which agent is meant").help(
            "Name its status file with `--status-file` or LOCKET_STATUS_FILE, here and for the agent.",
        ));
    };
    if !mistakes.is_empty() {
        tracing::warn!(
            "the configuration has mistakes, which `locket doctor` shows; an agent that runs keeps the one before"
        );
    }
    let observed = state::observe(&path).map_err(|error| {
        Failure::work(format!(
            "the status file {} cannot be read: {error}",
            path.display()
        ))
        .help("Check that the agent runs and was given the same `--status-file`.")
    })?;
    let now = context
        .clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let wrong = state::judge(&observed, now.as_secs(), settings.max_stale);
    if wrong.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(
        Cause::Work,
        wrong.into_iter().map(Problem::told).collect(),
    ))
}

fn settle(layers: &mut Layers<'_>) -> Settings {
    let limit = |text: &str| values::duration(text).map(Some);
    Settings {
        status_file: layers.path(&table::STATUS_FILE),
        max_stale: layers.settle(&table::MAX_STALE, None, limit),
    }
}
