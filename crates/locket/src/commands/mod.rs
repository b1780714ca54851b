//! The commands, a file each. To add one: a file with a `COMMAND`, and its line in the table.

#[cfg(feature = "command-build")]
mod build;
#[cfg(feature = "command-check")]
mod check;
#[cfg(feature = "command-manual")]
mod completions;
#[cfg(feature = "command-compose")]
mod compose;
#[cfg(feature = "command-doctor")]
mod doctor;
#[cfg(feature = "command-exec")]
mod env;
#[cfg(feature = "command-exec")]
mod exec;
#[cfg(any(
    feature = "command-check",
    feature = "command-init",
    feature = "command-migrate",
    feature = "command-rotate"
))]
mod files;
#[cfg(any(
    feature = "command-check",
    feature = "command-plan",
    feature = "command-manual"
))]
mod format;
#[cfg(feature = "command-get")]
mod get;
mod healthcheck;
#[cfg(feature = "command-init")]
mod init;
#[cfg(any(
    feature = "command-build",
    feature = "command-compose",
    feature = "command-doctor",
    feature = "command-init"
))]
mod limited;
#[cfg(any(feature = "command-check", feature = "command-init"))]
mod links;
#[cfg(feature = "command-manual")]
mod man;
#[cfg(feature = "command-migrate")]
mod migrate;
#[cfg(any(
    feature = "command-get",
    feature = "command-providers",
    feature = "command-plugin"
))]
mod once;
#[cfg(feature = "command-plan")]
mod plan;
#[cfg(feature = "command-plugin")]
mod plugin;
#[cfg(any(
    feature = "command-init",
    feature = "command-migrate",
    feature = "command-rotate"
))]
mod project;
#[cfg(feature = "command-providers")]
mod providers;
#[cfg(feature = "command-get")]
mod render;
#[cfg(feature = "command-rotate")]
mod rotate;
mod run;
#[cfg(feature = "command-manual")]
mod schema;
#[cfg(feature = "store")]
mod store;
#[cfg(feature = "command-plugin")]
mod swarm;
#[cfg(feature = "command-sync")]
mod sync;
#[cfg(feature = "command-systemd")]
mod systemd;
#[cfg(any(
    feature = "command-build",
    feature = "command-compose",
    feature = "command-exec",
    feature = "command-rotate"
))]
mod variables;

use clap::ArgMatches;

use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;

/// Every command, in the order of the help.
pub(crate) static COMMANDS: &[Command] = &[
    run::COMMAND,
    run::INJECT,
    #[cfg(feature = "command-exec")]
    exec::COMMAND,
    #[cfg(feature = "command-exec")]
    env::COMMAND,
    #[cfg(feature = "command-compose")]
    compose::COMMAND,
    #[cfg(feature = "command-build")]
    build::COMMAND,
    #[cfg(feature = "command-plugin")]
    plugin::COMMAND,
    #[cfg(feature = "command-plugin")]
    plugin::VOLUME,
    #[cfg(feature = "command-plugin")]
    swarm::COMMAND,
    #[cfg(feature = "command-sync")]
    sync::COMMAND,
    #[cfg(feature = "command-systemd")]
    systemd::COMMAND,
    #[cfg(feature = "command-plan")]
    plan::COMMAND,
    healthcheck::COMMAND,
    #[cfg(feature = "command-check")]
    check::COMMAND,
    #[cfg(feature = "command-get")]
    get::COMMAND,
    #[cfg(feature = "command-get")]
    render::COMMAND,
    #[cfg(feature = "store")]
    store::COMMAND,
    #[cfg(feature = "command-init")]
    init::COMMAND,
    #[cfg(feature = "command-migrate")]
    migrate::COMMAND,
    #[cfg(feature = "command-rotate")]
    rotate::COMMAND,
    #[cfg(feature = "command-providers")]
    providers::COMMAND,
    #[cfg(feature = "command-doctor")]
    doctor::COMMAND,
    #[cfg(feature = "command-manual")]
    completions::COMMAND,
    #[cfg(feature = "command-manual")]
    man::COMMAND,
    #[cfg(feature = "command-manual")]
    schema::COMMAND,
];

/// Every command that there is, with the feature that brings it: what a build lacks it says by name.
pub(crate) static KNOWN: &[(&str, &str)] = &[
    ("build", "command-build"),
    ("check", "command-check"),
    ("completions", "command-manual"),
    ("compose", "command-compose"),
    ("doctor", "command-doctor"),
    ("env", "command-exec"),
    ("exec", "command-exec"),
    ("get", "command-get"),
    ("init", "command-init"),
    ("man", "command-manual"),
    ("migrate", "command-migrate"),
    ("plan", "command-plan"),
    ("plugin", "command-plugin"),
    ("providers", "command-providers"),
    ("render", "command-get"),
    ("rotate", "command-rotate"),
    ("schema", "command-manual"),
    ("store", "store"),
    ("swarm", "command-plugin"),
    ("sync", "command-sync"),
    ("systemd", "command-systemd"),
    ("volume", "command-plugin"),
];

/// One command.
pub(crate) struct Command {
    /// The word on the command line.
    pub(crate) name: &'static str,
    /// What it does, as a sentence without a full stop.
    pub(crate) about: &'static str,
    /// Adds its arguments to the parser.
    pub(crate) arguments: fn(clap::Command) -> clap::Command,
    /// Does it.
    pub(crate) run: fn(&ArgMatches, &Context) -> Result<Exit, Failure>,
}

/// The arguments of a command in their derived form.
///
/// # Errors
/// The parser and the form disagree, which no command line can bring about.
fn arguments<T: clap::FromArgMatches>(matches: &ArgMatches) -> Result<T, Failure> {
    T::from_arg_matches(matches).map_err(|error| Failure::usage(error.to_string()))
}
