//! The commands, a file each. To add one: a file with a `COMMAND`, and its line in the table.

mod completions;
mod doctor;
mod format;
mod get;
mod healthcheck;
mod man;
mod once;
mod plan;
mod providers;
mod render;
mod run;
mod schema;
mod store;

use clap::ArgMatches;

use crate::context::Context;
use crate::exit::Exit;
use crate::report::Failure;

/// Every command, in the order of the help.
pub(crate) static COMMANDS: &[Command] = &[
    run::COMMAND,
    run::INJECT,
    plan::COMMAND,
    healthcheck::COMMAND,
    get::COMMAND,
    render::COMMAND,
    store::COMMAND,
    providers::COMMAND,
    doctor::COMMAND,
    completions::COMMAND,
    man::COMMAND,
    schema::COMMAND,
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
