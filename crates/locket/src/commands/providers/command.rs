//! What `providers` is told.

use clap::{ArgMatches, Args, Subcommand};

use super::super::format::Format;
use super::super::{Command, arguments};
use super::{check, list};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::providers;
use crate::report::Failure;
use crate::settings::{self, Form, RunSettings};

pub(in super::super) const COMMAND: Command = Command {
    name: "providers",
    about: "List the providers and what they were told, or check whether they answer",
    arguments: |command| {
        let command = options::add_flags(options::add_flags(command, table::ASKING), table::EVERY);
        let command = ProvidersArgs::augment_args(providers::add_flags(command));
        // Before or after the sub-command alike.
        command.mut_args(|argument| argument.global(true))
    },
    run,
};

#[derive(Args)]
struct ProvidersArgs {
    /// How it is printed
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    format: Format,
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Subcommand)]
enum Action {
    /// Ask each provider for one secret, and say how that went
    Check {
        /// What to ask for; without any, one reference of the configured templates for each provider
        #[arg(value_name = "REFERENCE")]
        references: Vec<String>,
    },
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let ProvidersArgs { format, action } = arguments(matches)?;
    let loaded = settings::load(matches, context, |layers| {
        RunSettings::settle(layers, Form::Look, context)
    })?;
    let settings = loaded.open(context);
    match action {
        None => list::run(&settings, context, format),
        Some(Action::Check { references }) => check::run(&references, &settings, context, format),
    }
}
