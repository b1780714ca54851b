//! What `rotate` is told.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{ArgGroup, ArgMatches, Args, ValueHint};

use super::super::init::project_if_any;
use super::super::project::lock;
use super::super::{Command, arguments, systemd};
use super::all::{all, no_project};
use super::one::Rotator;
use crate::config::SwarmSecret;
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{self, Failure};
use crate::settings::{self, Common};
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

    /// With `--all` or `--schedule`: only those that were last changed longer ago
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

    /// How long the program of `--exec` may take, and each service to be well after its restart
    #[arg(long, value_name = "DUR", default_value = "2m", value_parser = humantime::parse_duration)]
    pub(super) timeout: Duration,

    /// A Compose file, instead of those that Compose finds; repeatable
    #[arg(long, short, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(super) file: Vec<PathBuf>,
}

/// What the configuration says of rotations.
#[derive(Debug)]
pub(super) struct Configured {
    /// The secrets that `swarm sync` keeps.
    pub(super) swarm: Vec<SwarmSecret>,
    /// The program for what has neither a recipe nor a label.
    pub(super) exec: Option<String>,
    /// Its deadline is how long another one in the same directory is waited for.
    pub(super) common: Common,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: RotateArgs = arguments(matches)?;
    args.without_an_age_for_one(matches)?;
    let project = project_if_any(&args.file, &context.directory, &context.environment)?;
    if let Some(place) = &args.schedule {
        let name = project.as_ref().map(|project| project.name.as_str());
        return schedule(place, name.ok_or_else(no_project)?, &args, matches, context);
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
        common: Common::settle(layers),
    })?;
    let directory = match &project {
        Some(project) => project.directory.clone(),
        None => context.directory.clone(),
    };
    let configured = configured.open(context);
    // Two at once would each put another value in force.
    let _only = lock(&directory, configured.common.deadline)?;
    let rotator = Rotator {
        args: &args,
        matches,
        context,
        configured,
        project: project.as_ref(),
        directory: &directory,
    };
    match &args.name {
        Some(name) => rotator.one(name).map(|()| Exit::Done),
        None => all(&rotator),
    }
}

impl RotateArgs {
    /// A secret that is named is rotated whatever its age.
    fn without_an_age_for_one(&self, matches: &ArgMatches) -> Result<(), Failure> {
        let Some(name) = &self.name else {
            return Ok(());
        };
        match matches.value_source(AGE) {
            Some(ValueSource::CommandLine) => Err(Failure::usage(format!(
                "--older-than: {name} is named, and what is named is rotated whatever its age"
            ))
            .help("Leave this out, or say `--all` instead of the name.")),
            _ => Ok(()),
        }
    }
}

/// The identity of `--older-than`.
const AGE: &str = "older_than";

/// What says what to do here and now; the units say it in their own words.
const HERE: &[&str] = &["schedule", "dry_run", AGE];

/// Units that say again what the command line says.
fn schedule(
    place: &Path,
    project: &str,
    args: &RotateArgs,
    matches: &ArgMatches,
    context: &Context,
) -> Result<Exit, Failure> {
    // What is wrong is told to whoever is here, and not to the log of the service.
    let common = settings::load_quietly(matches, context, Common::settle)?.open(context);
    let credentials = common.providers.credential_names().collect();
    let mut words = vec![OsString::from("rotate"), OsString::from("--all")];
    let age = matches.get_raw(AGE).into_iter().flatten();
    words.extend(age.flat_map(|age| ["--older-than".into(), age.to_owned()]));
    let command = (COMMAND.arguments)(clap::Command::new(COMMAND.name));
    words.extend(options::again(&command, matches, &context.directory, HERE));
    let units = systemd::rotation(project, &context.directory, &words, &credentials)?;
    elsewhere(args, context);
    if place == Path::new("-") {
        for unit in &units {
            output::text(&format!("# {}\n{unit}\n", unit.name()))?;
        }
        return Ok(Exit::Done);
    }
    let directory = context.directory.join(place);
    let deed = systemd::Deed {
        directory: Some(directory.clone()),
        is_dry: args.dry_run,
    };
    deed.write(&directory, &units)?;
    let timer = units
        .last()
        .map(|unit| unit.name().to_owned())
        .unwrap_or_default();
    if !args.dry_run {
        report::tell(&format!(
            "`systemctl daemon-reload`, then `systemctl enable --now {timer}`, starts it\n"
        ));
    }
    Ok(Exit::Done)
}

/// Variables of Compose and of docker that decide which project is meant, and on which engine.
const OF_PROJECT: &[&str] = &[
    "COMPOSE_FILE",
    "COMPOSE_PROFILES",
    "COMPOSE_PROJECT_NAME",
    "DOCKER_CONTEXT",
    "DOCKER_HOST",
];

/// Tells of what is said by variables: the service has others.
fn elsewhere(args: &RotateArgs, context: &Context) {
    let layered = table::READING.iter().chain(table::EVERY);
    let names = OF_PROJECT
        .iter()
        .chain(layered.flat_map(|opt| opt.variables))
        .filter(|name| **name != "COMPOSE_FILE" || args.file.is_empty())
        .filter(|name| {
            context
                .environment
                .get_os(name)
                .is_some_and(|value| !value.is_empty())
        })
        .copied();
    let names: Vec<_> = names.collect();
    if !names.is_empty() {
        report::tell(&format!(
            "warning: the service has another environment than this one, where {} set. Say it by options, or put it \
             into /etc/locket/environment.\n",
            match names.as_slice() {
                [one] => format!("{one} is"),
                several => format!("{} are", several.join(", ")),
            }
        ));
    }
}
