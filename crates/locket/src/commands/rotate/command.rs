//! What `rotate` is told.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ArgGroup, ArgMatches, Args, ValueHint};

use super::super::init::{lock, project_if_any};
use super::super::{Command, arguments, systemd};
use super::all::all;
use super::one::Rotator;
use crate::config::SwarmSecret;
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{self, Failure};
use crate::settings;
use crate::{output, providers};

pub(in super::super) const COMMAND: Command = Command {
    name: "rotate",
    about: "Change a password in its service, where it is kept, and in what depends on it",
    arguments: |command| {
        let command = RotateArgs::augment_args(command)
            .group(
                ArgGroup::new("which")
                    .args(["name", "all", "schedule"])
                    .required(true),
            )
            .group(
                ArgGroup::new("rest")
                    .args(["finish", "undo"])
                    .conflicts_with_all(["all", "schedule", "dry_run"]),
            );
        let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

#[derive(Args)]
pub(super) struct RotateArgs {
    /// A secret of the Compose project, of the embedded store (`store://NAME`), or of the swarm
    pub(super) name: Option<String>,

    /// Every secret whose value is in force in a service that can be told, or that a program changes
    #[arg(long)]
    pub(super) all: bool,

    /// With `--all`: only those that were last changed longer ago
    #[arg(long, value_name = "DUR", default_value = "90d", value_parser = humantime::parse_duration)]
    pub(super) older_than: Duration,

    /// Print units for systemd that do this every day, or write them to a directory
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = "-")]
    pub(super) schedule: Option<PathBuf>,

    /// Say what would be done, and do nothing
    #[arg(long)]
    pub(super) dry_run: bool,

    /// Go on with a rotation that was interrupted
    #[arg(long)]
    pub(super) finish: bool,

    /// Put the old value in force again after a rotation that was interrupted
    #[arg(long)]
    pub(super) undo: bool,

    /// A program that changes the value inside; both values come as JSON on its standard input
    #[arg(long, value_name = "COMMAND")]
    pub(super) exec: Option<String>,

    /// How long each service may take to be well after its restart
    #[arg(long, value_name = "DUR", default_value = "2m", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,

    /// A Compose file, instead of those that Compose finds; repeatable
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: Vec<PathBuf>,
}

/// What the configuration says of rotations.
#[derive(Clone, Debug, Default)]
pub(super) struct Configured {
    /// The secrets that `swarm sync` keeps.
    pub(super) swarm: Vec<SwarmSecret>,
    /// The program for what has neither a recipe nor a label.
    pub(super) exec: Option<String>,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: RotateArgs = arguments(matches)?;
    let project = project_if_any(&args.file, &context.directory, &context.environment)?;
    let name = project.as_ref().map(|project| project.name.as_str());
    if let Some(place) = &args.schedule {
        return schedule(place, name.unwrap_or_default(), &args, context);
    }
    let configured = settings::load_quietly(matches, context, |layers| Configured {
        swarm: layers
            .files()
            .find(|file| !file.swarm.secrets.is_empty())
            .map(|file| file.swarm.secrets.clone())
            .unwrap_or_default(),
        exec: layers
            .files()
            .find_map(|file| Some(file.rotate.exec.as_ref()?.text.clone())),
    })?;
    let directory = match &project {
        Some(project) => project.directory.clone(),
        None => context.directory.clone(),
    };
    // Two at once would each put another value in force.
    let _only = lock(&directory);
    let rotator = Rotator {
        args: &args,
        matches,
        context,
        configured: configured.open(context),
        project: project.as_ref(),
        directory: &directory,
    };
    match &args.name {
        Some(name) => rotator.one(name).map(|()| Exit::Done),
        None => all(&rotator),
    }
}

fn schedule(place: &Path, project: &str, args: &RotateArgs, context: &Context) -> Result<Exit, Failure> {
    let older_than = humantime::format_duration(args.older_than)
        .to_string()
        .replace(' ', "");
    let units = systemd::rotation(project, &context.directory, &older_than)?;
    if place == Path::new("-") {
        for unit in &units {
            output::text(&format!("# {}\n{unit}\n", unit.name()))?;
        }
        return Ok(Exit::Done);
    }
    systemd::write(&context.directory.join(place), &units)?;
    let timer = units
        .last()
        .map(|unit| unit.name().to_owned())
        .unwrap_or_default();
    report::tell(&format!(
        "`systemctl daemon-reload`, then `systemctl enable --now {timer}`, starts it\n"
    ));
    Ok(Exit::Done)
}
