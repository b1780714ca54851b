//! `locket env`: the variables that `locket exec` would give to a program.

use std::fmt::Write as _;
use std::io::IsTerminal;

use clap::{ArgMatches, Args, ValueEnum};
use locket_core::filter::Filter;
use locket_core::plan::{Place, Source};
use locket_core::{SecretBuilder, SecretBytes};
use locket_engine::agent::{Generation, Variable};
use zeroize::Zeroizing;

use super::run::Screen;
use super::{Command, variables};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{Cause, Failure, Problem};
use crate::settings::{self, ProgramSettings};
use crate::{output, providers};

pub(super) const COMMAND: Command = Command {
    name: "env",
    about: "Print variables with their secrets in place",
    arguments: |command| {
        let command = options::add_flags(EnvArgs::augment_args(command), table::VARIABLES);
        let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

#[derive(Args)]
struct EnvArgs {
    /// How they are written
    #[arg(long, value_enum, default_value = "dotenv", value_name = "FORMAT")]
    format: Format,

    /// Print them on a terminal, too
    #[arg(long)]
    show: bool,
}

/// How variables are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// As Compose and `locket exec` read them
    Dotenv,
    /// As `docker run --env-file` reads them: nothing is quoted
    Docker,
    /// One JSON object
    Json,
    /// A YAML mapping
    Yaml,
    /// `export` lines for a shell
    Shell,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: EnvArgs = super::arguments(matches)?;
    if !args.show && std::io::stdout().is_terminal() {
        return Err(Failure::usage("secrets are not printed on a terminal")
            .help("Say `--show` if that is meant, or send the output elsewhere."));
    }
    let loaded = settings::load_quietly(matches, context, |layers| {
        ProgramSettings::settle(layers, matches, context)
    })?;
    let screen = Screen::of(&loaded, context);
    let mut settings = loaded.open(context);
    empty_files(&mut settings);
    let mut generation = variables::resolve(&settings, &screen, context)?;
    generation.variables = without_files(&generation);
    output::secret(&written(&generation, args.format)?)?;
    Ok(Exit::Done)
}

/// Nobody is asked for what `as-file` in the configuration makes for a program: there is none here. The names stay,
/// since they hide weaker variables of the same name from a program.
fn empty_files(settings: &mut ProgramSettings) {
    let files = settings.plan.secrets.iter_mut();
    for file in files.filter(|secret| secret.place == Place::VariableFile) {
        file.source = Source::Inline {
            name: file.name.clone(),
            text: String::new(),
        };
    }
}

/// The variables that can be printed; of the others it is told that they are left out.
fn without_files(generation: &Generation) -> Vec<Variable> {
    let (files, variables): (Vec<_>, Vec<_>) = generation
        .variables
        .iter()
        .cloned()
        .partition(|variable| variable.is_file);
    for file in files {
        tracing::warn!(
            "{} is left out: `as-file` makes a file of it that only a program can read, and `locket exec` starts one",
            file.name
        );
    }
    variables
}

/// All variables in one text.
///
/// # Errors
/// The format cannot say one of them.
fn written(generation: &Generation, format: Format) -> Result<SecretBytes, Failure> {
    let mut text = SecretBuilder::with_capacity(4096);
    let mut problems = Vec::new();
    if format == Format::Json {
        text.extend(b"{");
    }
    for (index, variable) in generation.variables.iter().enumerate() {
        match line(variable, format) {
            Ok(line) => {
                if format == Format::Json {
                    text.extend(if index == 0 { b"\n  " } else { b",\n  " });
                }
                text.extend(line.as_bytes());
                if format != Format::Json {
                    text.extend(b"\n");
                }
            }
            Err(reason) => problems.push(Problem::Told {
                message: format!("{} cannot be written in this format: {reason}", variable.name),
                help: Some("Choose another `--format`.".to_owned()),
            }),
        }
    }
    if format == Format::Json {
        text.extend(b"\n}\n");
    }
    if problems.is_empty() {
        Ok(text.finish())
    } else {
        Err(Failure::new(Cause::Work, problems))
    }
}

fn line(variable: &Variable, format: Format) -> Result<Zeroizing<String>, &'static str> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the user asked for these variables on standard output"
    )]
    let value = std::str::from_utf8(variable.value.expose()).map_err(|_| "its value is no text")?;
    let name = &variable.name;
    if value.contains('\0') {
        return Err("its value holds a NUL character");
    }
    let mut line = Zeroizing::new(String::with_capacity(name.len() + value.len() * 2 + 16));
    match format {
        Format::Dotenv => {
            let _ = write!(line, "{name}=");
            quote_for_compose(value, &mut line);
        }
        Format::Docker if value.contains(['\n', '\r']) => return Err("its value has several lines"),
        Format::Docker => {
            let _ = write!(line, "{name}={value}");
        }
        Format::Json => {
            let (name, value) = (
                serde_json::to_string(name),
                serde_json::to_string(value).map(Zeroizing::new),
            );
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err("it is no text");
            };
            let _ = write!(line, "{name}: {}", *value);
        }
        Format::Yaml => {
            let Ok(quoted) = Filter::YamlString.apply_alone(&variable.value) else {
                return Err("it is no text");
            };
            #[expect(
                clippy::disallowed_methods,
                reason = "the user asked for these variables on standard output"
            )]
            let quoted = std::str::from_utf8(quoted.expose()).map_err(|_| "it is no text")?;
            let _ = write!(line, "{name}: {quoted}");
        }
        Format::Shell if name.contains(['.', '-', '[', ']']) => return Err("a shell has no such names"),
        Format::Shell => {
            let _ = write!(line, "export {name}='{}'", value.replace('\'', r"'\''"));
        }
    }
    Ok(line)
}

/// A double-quoted value, which keeps everything: line breaks, quotes, `$` and `#`.
fn quote_for_compose(value: &str, line: &mut String) {
    line.push('"');
    for c in value.chars() {
        match c {
            '"' => line.push_str("\\\""),
            '\\' => line.push_str("\\\\"),
            '$' => line.push_str("\\$"),
            '\n' => line.push_str("\\n"),
            '\r' => line.push_str("\\r"),
            c => line.push(c),
        }
    }
    line.push('"');
}
