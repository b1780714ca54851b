//! `locket completions SHELL`: a script that completes commands and options.

use clap::{ArgMatches, Args};
use clap_complete::Shell;

use super::Command;
use crate::context::{Context, Style};
use crate::exit::Exit;
use crate::report::Failure;
use crate::{cli, output};

pub(super) const COMMAND: Command = Command {
    name: "completions",
    about: "Print the completion script of a shell",
    arguments: CompletionsArgs::augment_args,
    run,
};

#[derive(Args)]
struct CompletionsArgs {
    /// The shell that the script is for
    shell: Shell,
}

fn run(matches: &ArgMatches, _: &Context) -> Result<Exit, Failure> {
    let CompletionsArgs { shell } = super::arguments(matches)?;
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::parser(Style::Plain), "locket", &mut script);
    output::text(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
