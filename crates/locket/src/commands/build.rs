//! `locket build`: an image build with secrets, which reach it in memory only.

use std::ffi::OsString;
use std::process::{Command as Process, Stdio};

use clap::{ArgMatches, Args};
use locket_docker::build::{Builder, compose_variable, find, secret_in_file, secret_in_variable};
use locket_engine::agent::{Generation, Variable};
use locket_engine::supervise::{Program, VARIABLE_FILES};

use super::run::Screen;
use super::{Command, limited, variables};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{Cause, Failure, Problem};
use crate::settings::{self, Keys, Named, ProgramSettings, VariableForm};
use crate::{providers, report};

pub(super) const COMMAND: Command = Command {
    name: "build",
    about: "Build an image with secrets that reach neither image, cache nor disk",
    arguments: |command| {
        let command = BuildArgs::augment_args(command);
        let command = options::add_flags(options::add_flags(command, table::READING), table::EVERY);
        providers::add_flags(command)
    },
    run,
};

/// Larger values go through a file in memory: the kernel takes no variable of more than 128 KiB.
const LARGEST_VARIABLE: usize = 100 << 10;

#[derive(Args)]
struct BuildArgs {
    /// A secret of the build, as `RUN --mount=type=secret,id=ID` names it; repeatable
    #[arg(long, required = true, value_name = "ID=TEMPLATE|ID=@FILE")]
    secret: Vec<String>,

    /// Let the build's client have the credentials of our providers
    #[arg(long)]
    keep_credentials: bool,

    /// `docker build …`, `docker buildx build …` or `docker compose build …`
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let args: BuildArgs = super::arguments(matches)?;
    let builder = find(&args.command).ok_or_else(|| {
        Failure::usage("this command builds no image")
            .help("Write `docker build …`, `docker buildx build …` or `docker compose build …` behind `--`.")
    })?;
    let loaded = settings::load_quietly(matches, context, |layers| {
        let named = args.secret.iter().map(|text| Named {
            form: VariableForm::Secret,
            given: layers.given_by_flag("secret", text),
        });
        let named: Vec<_> = named.collect();
        ProgramSettings::of(layers, named, &Keys::default(), context)
    })?;
    let screen = Screen::of(&loaded, context);
    let settings = loaded.open(context);
    let environment = match args.keep_credentials {
        true => context.environment.clone(),
        false => {
            let providers = &settings.common.providers;
            providers.without_credentials(&context.environment)
        }
    };
    let mut words = args.command.into_iter();
    let mut program = Program {
        name: words.next().unwrap_or_default(),
        arguments: words.collect(),
        environment,
        directory: context.directory.clone(),
    };
    // Compose is asked for its variables before anybody is asked for a secret.
    let names = match builder {
        Builder::Compose { at } => Some(compose_variables(&program, at, &settings)?),
        Builder::Image { .. } => None,
    };
    let generation = variables::resolve(&settings, &screen, context)?;
    let (generation, options) = match names {
        Some(names) => (renamed(generation, &names)?, Vec::new()),
        None => placed(generation),
    };
    let (command, files) = program
        .command(&generation)
        .map_err(|error| Failure::work(error.to_string()))?;
    drop(command);
    if let Builder::Image { at } = builder {
        let mut numbers = files.iter();
        let options = options.into_iter().map(|(id, variable)| match variable {
            Some(variable) => secret_in_variable(&id, &variable),
            None => {
                use std::os::fd::AsRawFd;
                let number = numbers.next().map_or(-1, AsRawFd::as_raw_fd);
                secret_in_file(&id, &format!("{VARIABLE_FILES}/{number}"))
            }
        });
        let options: Vec<OsString> = options.map(OsString::from).collect();
        program.arguments.splice(at..at, options);
    }
    let (mut command, _) = program
        .command(&without_files(generation))
        .map_err(|error| Failure::work(error.to_string()))?;
    let error = program.refused(&locket_sys::child::replace(&mut command, &files));
    report::tell(&Failure::work(error.to_string()).draw(context.style));
    Ok(Exit::Status(error.status()))
}

/// A variable for each secret that can be one, and a file for each other; with the identity of each.
fn placed(mut generation: Generation) -> (Generation, Vec<(String, Option<String>)>) {
    let mut options = Vec::new();
    for (index, variable) in generation.variables.iter_mut().enumerate() {
        let id = variable.name.clone();
        variable.is_file = !fits(variable);
        variable.name = format!("LOCKET_BUILD_SECRET_{index}");
        options.push((id, (!variable.is_file).then(|| variable.name.clone())));
    }
    (generation, options)
}

/// The secrets under the names that the Compose file has for them.
fn renamed(mut generation: Generation, names: &[(String, String)]) -> Result<Generation, Failure> {
    let mut problems = Vec::new();
    for variable in &mut generation.variables {
        if !fits(variable) {
            problems.push(Problem::Told {
                message: format!(
                    "the secret {} is no text of up to 100 KiB, which Compose takes alone",
                    variable.name
                ),
                help: Some("Build this image with `docker build`, which takes files, too.".to_owned()),
            });
        }
        if let Some((_, name)) = names.iter().find(|(id, _)| *id == variable.name) {
            variable.name.clone_from(name);
        }
    }
    if problems.is_empty() {
        Ok(generation)
    } else {
        Err(Failure::new(Cause::Work, problems))
    }
}

fn fits(variable: &Variable) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "it is looked at whether a variable can hold it"
    )]
    let value = variable.value.expose();
    value.len() <= LARGEST_VARIABLE && !value.contains(&0)
}

fn without_files(mut generation: Generation) -> Generation {
    generation.variables.retain(|variable| !variable.is_file);
    generation
}

/// The variable that the Compose file names for each secret.
fn compose_variables(
    program: &Program,
    at: usize,
    settings: &ProgramSettings,
) -> Result<Vec<(String, String)>, Failure> {
    let mut command = Process::new(&program.name);
    command
        .args(&program.arguments[..at - 1])
        .args(["config", "--format", "json"])
        .env_clear()
        .envs(program.environment.iter())
        .current_dir(&program.directory)
        .stderr(Stdio::inherit());
    let name = program.name.to_string_lossy();
    let limit = settings.common.deadline;
    let output = limited::output(command, None, limit)
        .map_err(|error| Failure::work(format!("{name} cannot be run: {error}")))?
        .ok_or_else(|| {
            let limit = humantime::format_duration(limit);
            Failure::work(format!("`{name} compose config` did not end within {limit}"))
                .help("Run it by hand to see what holds it up, or give it longer with `--deadline`.")
        })?;
    if !output.status.success() {
        return Err(Failure::work("the Compose project cannot be read").help("What is wrong stands above."));
    }
    let mut names = Vec::new();
    let mut problems = Vec::new();
    for secret in &settings.plan.secrets {
        let id = &secret.name;
        match compose_variable(&output.stdout, id) {
            Some(name) => names.push((id.clone(), name)),
            None => {
                let name: String = id
                    .chars()
                    .map(|c| {
                        if c.is_ascii_alphanumeric() {
                            c.to_ascii_uppercase()
                        } else {
                            '_'
                        }
                    })
                    .collect();
                problems.push(Problem::Told {
                    message: format!("the Compose file takes no secret `{id}` from a variable"),
                    help: Some(format!(
                        "Add these two lines below its top-level `secrets:`, and `{id}` to `secrets:` of the service's `build:`:\n  {id}:\n    environment: {name}"
                    )),
                });
            }
        }
    }
    if problems.is_empty() {
        Ok(names)
    } else {
        Err(Failure::new(Cause::Usage, problems))
    }
}
