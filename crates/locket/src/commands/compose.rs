//! `locket compose`: what Compose calls for a service with `provider: type: locket`. Standard output is Compose's.

use std::sync::Mutex;

use clap::{ArgAction, ArgMatches, Args};
use locket_core::Diagnostic;
use locket_docker::compose::{Message, Metadata, Parameter, Parameters, takes_raw};
use locket_engine::agent::{Generation, Observer, Variable};
use zeroize::Zeroizing;

use super::{Command, limited, variables};
use crate::context::{Context, Style};
use crate::exit::Exit;
use crate::options::{self, Notice, table};
use crate::report::{Cause, Failure, Problem};
use crate::settings::{self, Keys, Named, ProgramSettings, VariableForm};
use crate::{output, providers};

pub(super) const COMMAND: Command = Command {
    name: "compose",
    about: "Serve Docker Compose as a provider; Compose itself calls this",
    arguments: |command| {
        let quiet = |command: clap::Command| {
            command.arg(
                clap::Arg::new("rest")
                    .num_args(0..)
                    .allow_hyphen_values(true)
                    .trailing_var_arg(true)
                    .hide(true),
            )
        };
        command
            .subcommand_required(true)
            .arg(
                clap::Arg::new("project-name")
                    .long("project-name")
                    .value_name("NAME")
                    .help("The project, which Compose tells"),
            )
            .subcommand(up().about("Resolve the secrets of a service and hand them to Compose"))
            .subcommand(quiet(
                clap::Command::new("down").about("Do nothing: no secret is needed to end a project"),
            ))
            .subcommand(quiet(
                clap::Command::new("stop").about("Do nothing: no secret is needed to stop a project"),
            ))
            .subcommand(clap::Command::new("metadata").about("Tell Compose which options there are"))
    },
    run,
};

#[derive(Args, Clone, Debug)]
struct UpArgs {
    /// Directory from which relative paths count, instead of the caller's
    #[arg(long, value_name = "DIR")]
    base_dir: Option<String>,

    /// A variable of the services that depend on this one; a list
    #[arg(long, value_name = "NAME=TEMPLATE", action = ArgAction::Append)]
    secrets: Vec<String>,

    /// The same
    #[arg(long, value_name = "NAME=TEMPLATE", action = ArgAction::Append)]
    env: Vec<String>,

    /// Env file with such variables; a list
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    env_file: Vec<String>,

    /// Leave the variables' names without the service's before them; needs Compose 5.2
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    raw: Option<String>,

    /// The service with the provider, which Compose tells
    #[arg(value_name = "SERVICE")]
    service: Option<String>,
}

fn up() -> clap::Command {
    let command = UpArgs::augment_args(clap::Command::new("up"));
    let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
    providers::add_flags(command)
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    match matches.subcommand() {
        Some(("metadata", _)) => {
            output::text(&metadata().answer())?;
            Ok(Exit::Done)
        }
        Some(("up", matches)) => match resolve(matches, context) {
            Ok(()) => Ok(Exit::Done),
            Err(text) => {
                output::text(&Message::Error(&text).line())?;
                Ok(Exit::Failed)
            }
        },
        _ => Ok(Exit::Done),
    }
}

/// What Compose may pass on: every option that `up` has, and so none that it has not.
fn metadata() -> Metadata {
    let up = up();
    let parameter = |arg: &clap::Arg| {
        let name = arg.get_long()?;
        Some(Parameter {
            name: name.to_owned(),
            description: arg.get_help().map(ToString::to_string).unwrap_or_default(),
            required: false,
            r#type: if name == "raw" { "boolean" } else { "string" },
        })
    };
    let named = up
        .get_arguments()
        .filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"));
    Metadata {
        description: "Secrets of any provider as variables of the services that depend on this one"
            .to_owned(),
        up: Parameters {
            parameters: named.filter_map(parameter).collect(),
        },
        down: Parameters::default(),
    }
}

/// Resolves and prints the variables.
///
/// # Errors
/// Everything that is wrong, in words for Compose to show.
fn resolve(matches: &ArgMatches, context: &Context) -> Result<(), String> {
    let args: UpArgs = super::arguments(matches).map_err(|failure| plain(&failure))?;
    let mut context = context.clone();
    if let Some(base) = &args.base_dir {
        context.directory = context.directory.join(base);
        if !context.directory.is_dir() {
            return Err(format!(
                "`base-dir`: {} is no directory",
                context.directory.display()
            ));
        }
    }
    let context = &context;
    resolve_in(&args, matches, context).map_err(|failure| placed(plain(&failure), context))
}

fn resolve_in(args: &UpArgs, matches: &ArgMatches, context: &Context) -> Result<(), Failure> {
    let is_raw = match args.raw.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(other) => {
            return Err(Failure::usage(format!("`raw` is `{other}`")).help("Write `true` or `false`."));
        }
    };
    if is_raw && !compose_version(context).is_some_and(|version| takes_raw(&version)) {
        return Err(Failure::usage("`raw: true` needs Compose 5.2 or newer")
            .help("Leave it out: the variables begin with the service's name then."));
    }
    let loaded = settings::load_quietly(matches, context, |layers| {
        let lists = [
            ("env-file", &args.env_file, VariableForm::File),
            ("env", &args.env, VariableForm::Variable),
            ("secrets", &args.secrets, VariableForm::Variable),
        ];
        let named = lists
            .into_iter()
            .flat_map(|(flag, texts, form)| texts.iter().map(move |text| (flag, text, form)));
        let named = named.map(|(flag, text, form)| Named {
            form,
            given: layers.given_by_flag(flag, text),
        });
        let named: Vec<_> = named.collect();
        ProgramSettings::of(layers, named, &Keys::default(), context)
    })?;
    for notice in loaded.notices() {
        if let Notice::Warning(text) = notice {
            output::text(&Message::Info(text).line())?;
        }
    }
    let settings = loaded.open(context);
    if settings.plan.secrets.is_empty() {
        return Err(Failure::usage("there is nothing to hand over")
            .help("Name variables as `secrets`, `env` or `env-file`."));
    }
    let observer = Collected::default();
    let generation =
        variables::resolve(&settings, &observer, context).map_err(|failure| observer.added_to(failure))?;
    let lines = lines(&generation, is_raw)?;
    output::secret(&locket_core::SecretBytes::copy_from(lines.as_bytes()))
}

fn lines(generation: &Generation, is_raw: bool) -> Result<Zeroizing<String>, Failure> {
    let mut lines = Zeroizing::new(String::new());
    let mut problems = Vec::new();
    for Variable { name, value, .. } in &generation.variables {
        #[expect(
            clippy::disallowed_methods,
            reason = "Compose hands this variable to a container"
        )]
        let value = std::str::from_utf8(value.expose())
            .ok()
            .filter(|value| !value.contains('\0'));
        let Some(value) = value else {
            problems.push(Problem::told(format!(
                "the value of {name} is no text, which a variable has to be"
            )));
            continue;
        };
        let message = match is_raw {
            true => Message::RawSetEnv(name, value),
            false => Message::SetEnv(name, value),
        };
        lines.push_str(&Zeroizing::new(message.line()));
    }
    if problems.is_empty() {
        Ok(lines)
    } else {
        Err(Failure::new(Cause::Work, problems))
    }
}

/// Which Compose this is; nobody else tells.
fn compose_version(context: &Context) -> Option<String> {
    let environment = providers::without_credentials(&context.environment, &[]);
    let output = limited::compose_version(&environment, limited::VERSION_LIMIT).ok()?;
    String::from_utf8(output?.stdout).ok()
}

fn plain(failure: &Failure) -> String {
    let drawn = failure.draw(Style::Plain);
    drawn.trim().trim_start_matches("error: ").to_owned()
}

/// Compose tells no project directory: whoever writes a relative path has to know from where it counts.
fn placed(text: String, context: &Context) -> String {
    let directory = context.directory.display();
    if text.contains("Relative paths count from") {
        return format!("{text} The option `base-dir` names another directory.");
    }
    if !text.contains(&directory.to_string()) {
        return text;
    }
    format!(
        "{text}\nRelative paths count from {directory}, where Compose was called; the option `base-dir` names another."
    )
}

/// Mistakes in templates, to be told with the failure that they bring about.
#[derive(Default)]
struct Collected(Mutex<Vec<String>>);

impl Observer for Collected {
    fn template(&self, name: &str, text: &[u8], found: &[Diagnostic]) {
        let told = found.iter().map(|finding| {
            let (line, column) = finding.span.line_column(text);
            let help = finding
                .help
                .as_deref()
                .map(|help| format!(" {help}"))
                .unwrap_or_default();
            format!("{name}, line {line}, column {column}: {}.{help}", finding.message)
        });
        if let Ok(mut all) = self.0.lock() {
            all.extend(told);
        }
    }
}

impl Collected {
    fn added_to(&self, failure: Failure) -> Failure {
        let told = self.0.lock().map(|all| all.clone()).unwrap_or_default();
        if told.is_empty() {
            return failure;
        }
        Failure::new(failure.cause(), told.into_iter().map(Problem::told).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compose_is_told_of_every_option_that_is_honoured() {
        let metadata = metadata();
        let named: Vec<_> = metadata
            .up
            .parameters
            .iter()
            .map(|one| one.name.as_str())
            .collect();
        for section in providers::sections() {
            for setting in &section.settings {
                let name = format!("{}.{}", section.prefix, setting.name);
                assert!(named.contains(&name.as_str()), "{name}");
            }
        }
        for name in [
            "provider",
            "token-file",
            "config",
            "base-dir",
            "secrets",
            "env",
            "env-file",
            "raw",
        ] {
            assert!(named.contains(&name), "{name}");
        }
        // What is named is taken: Compose drops what is not.
        for name in named {
            let text = match name {
                "raw" => "true",
                "log-level" => "info",
                "log-format" => "text",
                _ => "A=1",
            };
            let line = ["up".to_owned(), format!("--{name}={text}"), "service".to_owned()];
            let parsed = up().try_get_matches_from(line);
            assert!(
                parsed.is_ok(),
                "{name}: {:?}",
                parsed.err().map(|error| error.to_string())
            );
        }
    }
}
