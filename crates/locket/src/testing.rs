//! A command line without a process, for tests.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;

use crate::clock::SystemClock;
use crate::context::{Context, Style};
use crate::options::{Layers, Notice};
use crate::report::Failure;
use crate::settings::{self, Form, Loaded, RunSettings};
use crate::{cli, commands};

/// Surroundings with these variables only.
pub(crate) fn context(directory: &Path, variables: &[(&str, &str)]) -> Context {
    Context {
        environment: variables.iter().copied().collect(),
        directory: directory.to_owned(),
        clock: Arc::new(SystemClock::start()),
        style: Style::Plain,
        unprotected: None,
    }
}

/// The parsed arguments of the command that `line` names.
pub(crate) fn matches(line: &[&str]) -> ArgMatches {
    let arguments = std::iter::once("locket").chain(line.iter().copied());
    let parsed = cli::parser(Style::Plain).try_get_matches_from(arguments).unwrap();
    let mut named = parsed.subcommand().unwrap().1;
    while let Some((_, below)) = named.subcommand() {
        named = below;
    }
    named.clone()
}

/// Whether the parser takes `line` at all.
pub(crate) fn is_accepted(line: &[&str]) -> bool {
    let arguments = std::iter::once("locket").chain(line.iter().copied());
    cli::parser(Style::Plain).try_get_matches_from(arguments).is_ok()
}

/// What `locket run` settles on, given flags, variables and the text of `locket.toml`.
pub(crate) fn run(
    directory: &Path,
    flags: &[&str],
    variables: &[(&str, &str)],
    toml: &str,
) -> Result<RunSettings, Failure> {
    let settle = |layers: &mut Layers<'_>, context: &Context| RunSettings::settle(layers, Form::Run, context);
    settled(directory, flags, variables, toml, settle)
}

/// What another command settles on, given the same.
pub(crate) fn command(
    command: &[&str],
    form: Form,
    directory: &Path,
    flags: &[&str],
    variables: &[(&str, &str)],
    toml: &str,
) -> Result<RunSettings, Failure> {
    let settle = |layers: &mut Layers<'_>, context: &Context| RunSettings::settle(layers, form, context);
    load(command, directory, flags, variables, toml, settle).map(Loaded::quietly)
}

/// What `locket sync` settles on, given the same.
#[cfg(feature = "command-sync")]
pub(crate) fn sync(
    directory: &Path,
    flags: &[&str],
    variables: &[(&str, &str)],
    toml: &str,
) -> Result<settings::SyncSettings, Failure> {
    let settle = settings::SyncSettings::settle;
    load(&["sync"], directory, flags, variables, toml, settle).map(Loaded::quietly)
}

/// What `settle` makes of the layers of such a `locket run`.
pub(crate) fn settled<T>(
    directory: &Path,
    flags: &[&str],
    variables: &[(&str, &str)],
    toml: &str,
    settle: impl FnOnce(&mut Layers<'_>, &Context) -> T,
) -> Result<T, Failure> {
    load(&["run"], directory, flags, variables, toml, settle).map(Loaded::quietly)
}

/// What `settle` makes of the layers of the command line `line`.
pub(crate) fn settled_as<T>(
    line: &[&str],
    directory: &Path,
    variables: &[(&str, &str)],
    toml: &str,
    settle: impl FnOnce(&mut Layers<'_>, &Context) -> T,
) -> Result<T, Failure> {
    load(line, directory, &[], variables, toml, settle).map(Loaded::quietly)
}

/// What `locket run` tells beside.
pub(crate) fn notices(
    directory: &Path,
    flags: &[&str],
    variables: &[(&str, &str)],
    toml: &str,
) -> Vec<String> {
    let settle = |layers: &mut Layers<'_>, context: &Context| RunSettings::settle(layers, Form::Run, context);
    let loaded = load(&["run"], directory, flags, variables, toml, settle).unwrap();
    let told = loaded.notices().iter().filter_map(|notice| match notice {
        Notice::Origin(..) => None,
        Notice::Detail(text) | Notice::Info(text) | Notice::Warning(text) => Some(text.clone()),
    });
    told.collect()
}

/// Where the options of `locket run` came from.
pub(crate) fn origins(flags: &[&str], variables: &[(&str, &str)], toml: &str) -> Vec<(&'static str, String)> {
    let directory = tempfile::tempdir().unwrap();
    let settle = |layers: &mut Layers<'_>, context: &Context| RunSettings::settle(layers, Form::Run, context);
    let loaded = load(&["run"], directory.path(), flags, variables, toml, settle).unwrap();
    let origins = loaded.notices().iter().filter_map(|notice| match notice {
        Notice::Origin(option, origin) => Some((*option, origin.to_string())),
        _ => None,
    });
    origins.collect()
}

fn load<T>(
    command: &[&str],
    directory: &Path,
    flags: &[&str],
    variables: &[(&str, &str)],
    toml: &str,
    settle: impl FnOnce(&mut Layers<'_>, &Context) -> T,
) -> Result<Loaded<T>, Failure> {
    let file = directory.join("locket.toml");
    std::fs::write(&file, toml).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let context = context(directory, variables);
    let line: Vec<_> = command.iter().chain(flags).copied().collect();
    let loaded = settings::load(&matches(&line), &context, |layers| settle(layers, &context));
    std::fs::remove_file(&file).unwrap();
    loaded
}

/// The names of all commands.
pub(crate) fn command_names() -> Vec<&'static str> {
    commands::COMMANDS.iter().map(|command| command.name).collect()
}
