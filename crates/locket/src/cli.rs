//! The command line: which command, and what comes back from it.

use std::ffi::OsString;
use std::path::Path;

use clap::builder::styling::Styles;
use clap::error::{ContextKind, ContextValue};
use clap::{ArgMatches, ColorChoice};
use locket_docker::cli_plugin as plugin;

use crate::commands::{COMMANDS, Command, KNOWN};
use crate::context::{Context, Style};
use crate::exit::Exit;
use crate::report::{Cause, Failure, Problem};
use crate::{output, providers, report};

/// Runs the command that `arguments` name and says how it went.
pub(crate) fn main(arguments: impl IntoIterator<Item = OsString>, context: &Context) -> Exit {
    let mut arguments: Vec<_> = arguments.into_iter().collect();
    if is_named(&arguments, SYNC_NAME) {
        match COMMANDS.iter().find(|command| command.name == SYNC) {
            Some(command) => return alone(command, SYNC_NAME, &arguments, context),
            // Whoever asks is told that this build has none.
            None => arguments.insert(1, SYNC.into()),
        }
    }
    if is_named(&arguments, plugin::PROGRAM) {
        if arguments.get(1).is_some_and(|word| word == plugin::METADATA) {
            return Exit::of(&output::text(&describe_plugin()).map(|()| Exit::Done));
        }
        // `docker locket run …` is `locket run …`; Compose leaves the word out.
        if arguments.get(1).is_some_and(|word| word == plugin::WORD) {
            arguments.remove(1);
        }
    }
    let result = match parse(&arguments, context.style) {
        Ok(matches) => dispatch(&matches, context),
        Err(refused) => {
            let answered = answer(&refused, context.style);
            // A status of 2 may be the program's.
            match arguments.get(1).is_some_and(|word| word == "exec") && Exit::of(&answered) == Exit::Usage {
                true => {
                    if let Err(failure) = answered {
                        report::tell(&failure.draw(context.style));
                    }
                    Ok(Exit::OWN)
                }
                false => answered,
            }
        }
    };
    if let Err(failure) = &result {
        report::tell(&failure.draw(context.style));
    }
    Exit::of(&result)
}

/// What the words say, to a parser that knows only what they may mean. A mistake among them is told of by the whole one,
/// which knows what else could have been meant.
fn parse(arguments: &[OsString], style: Style) -> Result<ArgMatches, clap::Error> {
    let whole = || parser(style).try_get_matches_from(arguments);
    let named = COMMANDS
        .iter()
        .find(|command| arguments.get(1).is_some_and(|word| word == command.name));
    match named {
        Some(command) if !providers::flags_may_be_among(arguments) => {
            let parse = || parser_of([command], style).try_get_matches_from(arguments);
            providers::without_flags(parse).or_else(|_| whole())
        }
        _ => whole(),
    }
}

/// A command, and the name by which scripts and units know what it does.
const SYNC: &str = "sync";
const SYNC_NAME: &str = "oci-secretsync";

/// Whether the process was started by this name.
fn is_named(arguments: &[OsString], wanted: &str) -> bool {
    let name = arguments.first().and_then(|word| Path::new(word).file_name());
    name.is_some_and(|name| name == wanted)
}

/// Runs `command` as a program of its own, which is called `name`.
fn alone(command: &Command, name: &'static str, arguments: &[OsString], context: &Context) -> Exit {
    let parser = program(clap::Command::new(name).about(command.about), context.style);
    let result = match (command.arguments)(parser).try_get_matches_from(arguments) {
        Ok(matches) => (command.run)(&matches, context),
        Err(refused) => answer(&refused, context.style),
    };
    if let Err(failure) = &result {
        report::tell(&failure.draw(context.style));
    }
    Exit::of(&result)
}

/// The parser for all commands. What belongs to one command is made when that command is named.
pub(crate) fn parser(style: Style) -> clap::Command {
    parser_of(COMMANDS, style)
}

fn parser_of<'a>(commands: impl IntoIterator<Item = &'a Command>, style: Style) -> clap::Command {
    let parser = program(clap::Command::new("locket"), style)
        .about("A secrets agent: puts secrets where programs expect them and keeps them fresh")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true);
    commands.into_iter().fold(parser, |parser, command| {
        let described = clap::Command::new(command.name).about(command.about);
        parser.subcommand(described.defer(command.arguments))
    })
}

/// What holds for the parser of a program, whatever its name.
fn program(parser: clap::Command, style: Style) -> clap::Command {
    parser
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(100)
        .styles(Styles::styled())
        .color(match style {
            Style::Plain => ColorChoice::Never,
            Style::Coloured => ColorChoice::Always,
        })
}

fn describe_plugin() -> String {
    plugin::Metadata::new(
        env!("CARGO_PKG_VERSION"),
        "Secrets for containers, builds and programs",
    )
    .answer()
}

fn dispatch(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let named = matches.subcommand().and_then(|(name, matches)| {
        let command: &Command = COMMANDS.iter().find(|command| command.name == name)?;
        Some((command, matches))
    });
    match named {
        Some((command, matches)) => (command.run)(matches, context),
        None => Err(Failure::usage("no command is named").help("`locket --help` lists the commands.")),
    }
}

/// Help and version go to standard output; anything else is a mistake in the command line.
fn answer(refused: &clap::Error, style: Style) -> Result<Exit, Failure> {
    let rendered = match style {
        Style::Plain => refused.render().to_string(),
        Style::Coloured => refused.render().ansi().to_string(),
    };
    if let Some(problem) = literal(refused).or_else(|| left_out(refused)) {
        return Err(Failure::new(Cause::Usage, vec![problem]));
    }
    if refused.use_stderr() {
        report::tell(&rendered);
        return Ok(Exit::Usage);
    }
    output::text(&rendered)?;
    Ok(Exit::Done)
}

/// What to say of a command that this build was made without.
fn left_out(refused: &clap::Error) -> Option<Problem> {
    let Some(ContextValue::String(word)) = refused.get(ContextKind::InvalidSubcommand) else {
        return None;
    };
    let (_, feature) = KNOWN.iter().find(|(name, _)| name == word)?;
    Some(Problem::Told {
        message: format!("this build of locket has no command `{word}`"),
        help: Some(format!(
            "Use the full build or the image `latest`, or build with `--features {feature}`."
        )),
    })
}

/// What to say when the unknown flag would have been a credential.
fn literal(refused: &clap::Error) -> Option<Problem> {
    match refused.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(flag)) => providers::advice_on_literal(flag),
        _ => None,
    }
}

#[cfg(test)]
#[path = "cli_honoured.rs"]
mod honoured;
#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
