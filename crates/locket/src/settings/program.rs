//! What a program is to be given: variables, files that only it can read, and files beside them.

use std::path::PathBuf;

use clap::ArgMatches;
use locket_core::glob::{Pattern, Selection};
use locket_core::plan::{OnError, OutputSettings, Place, Plan, Secret, Source};
use locket_core::spec::{self, MapSpec, SecretSpec};
use locket_core::{Action, Diagnostic, lists};

use super::common::Common;
use super::plan::{default_out, defaults, limits};
use crate::context::Context;
use crate::options::{Given, Layers, Opt, table};

/// What a program is to be given, and how it is asked for.
#[derive(Debug)]
pub(crate) struct ProgramSettings {
    /// Variables and files.
    pub(crate) plan: Plan,
    /// What holds for every command.
    pub(crate) common: Common,
}

/// How a text names variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `FILE`, `NAME=TEMPLATE` or `NAME=@FILE`.
    Any,
    /// `NAME=TEMPLATE` or `NAME=@FILE`.
    Variable,
    /// The path of an env file.
    File,
    /// `REF/*`.
    Every,
    /// `NAME=TEMPLATE` or `NAME=@FILE`, as a file that only the program can read.
    AsFile,
    /// `ID=TEMPLATE` or `ID=@FILE`, where the name need not be that of a variable.
    Secret,
}

/// A text that names variables.
#[derive(Debug)]
pub(crate) struct Named {
    pub(crate) form: Form,
    pub(crate) given: Given,
}

/// What `--env-from` makes of keys.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys {
    prefix: String,
    select: Selection,
}

impl ProgramSettings {
    /// Settles what the command line, the variables of the environment and `[exec]` of the configuration say. Of
    /// variables that have a name in common, the one of the strongest layer counts.
    pub(crate) fn settle(layers: &mut Layers<'_>, matches: &ArgMatches, context: &Context) -> Self {
        let keys = Keys::settle(layers);
        let allowed = layers.texts(&table::ALLOW_NAME);
        let named = named(layers, matches);
        if !named.iter().any(|named| named.form == Form::Every) {
            for opt in [&table::PREFIX, &table::ONLY, &table::EXCEPT] {
                let why = "there is no `--env-from` whose keys it could be about";
                layers.refuse_flag(opt, why, "Name one, or leave this out.");
            }
        }
        let mut settings = Self::of(layers, named, &keys, context);
        settings.plan.allowed_names = patterns(layers, allowed);
        files(layers, context, &mut settings.plan);
        settings
    }

    /// Settles variables alone, in the order given. Each may have any name.
    pub(crate) fn of(layers: &mut Layers<'_>, named: Vec<Named>, keys: &Keys, context: &Context) -> Self {
        let settings = program_defaults(layers);
        let mut secrets = Vec::with_capacity(named.len());
        for Named { form, given } in named {
            match secret(form, &given, keys, &settings) {
                Ok(secret) => secrets.push(secret),
                Err(found) => layers.problems.extend(given.wrong(found)),
            }
        }
        let (max_file_size, delete_after) = limits(layers);
        Self {
            plan: Plan {
                secrets,
                allowed_names: Pattern::parse("*").into_iter().collect(),
                inherited: context.environment.clone(),
                max_file_size,
                delete_after,
                ..Plan::default()
            },
            common: Common::settle(layers),
        }
    }
}

/// What variables of the environment stand for `--env`, and what their entries name; the weakest first.
const VARIABLES: [(&str, Form); 2] = [("LOCKET_ENV_FILE", Form::File), ("LOCKET_ENV", Form::Variable)];

/// The options that name variables, and how.
const NAMING: [(&Opt, Form); 3] = [
    (&table::ENV_FROM, Form::Every),
    (&table::ENV, Form::Any),
    (&table::AS_FILE, Form::AsFile),
];

impl Keys {
    fn settle(layers: &mut Layers<'_>) -> Self {
        let (only, except) = (layers.texts(&table::ONLY), layers.texts(&table::EXCEPT));
        Self {
            prefix: layers
                .text(&table::PREFIX)
                .map(|given| given.text)
                .unwrap_or_default(),
            select: Selection {
                include: patterns(layers, only),
                exclude: patterns(layers, except),
            },
        }
    }
}

fn patterns(layers: &mut Layers<'_>, texts: Vec<Given>) -> Vec<Pattern> {
    let mut patterns = Vec::with_capacity(texts.len());
    for given in texts {
        match Pattern::parse(&given.text) {
            Ok(pattern) => patterns.push(pattern),
            Err(wrong) => layers.problems.extend(given.wrong([wrong])),
        }
    }
    patterns
}

/// A program that lacks a secret does not start.
fn program_defaults(layers: &mut Layers<'_>) -> OutputSettings {
    OutputSettings {
        on_error: OnError::Error,
        ..defaults(layers)
    }
}

/// Flags beat LOCKET_ENV, which beats LOCKET_ENV_FILE, which beats the configuration; a later one wins, so the weakest
/// come first.
fn named(layers: &mut Layers<'_>, matches: &ArgMatches) -> Vec<Named> {
    let mut named = Vec::new();
    for (opt, form) in NAMING {
        let texts = layers.configured(opt).into_iter();
        named.extend(texts.map(|given| Named { form, given }));
    }
    for (variable, form) in VARIABLES {
        let Some(list) = layers.variable(&[variable]) else {
            continue;
        };
        match lists::split(&list.text) {
            Ok(entries) => named.extend(entries.into_iter().map(|entry| Named {
                form,
                given: Given {
                    text: entry.text().to_owned(),
                    ..list.clone()
                },
            })),
            Err(found) => layers.problems.extend(list.wrong(found)),
        }
    }
    let mut flags = Vec::new();
    let taken = |(opt, _): &(&Opt, Form)| matches.try_contains_id(opt.name).is_ok();
    for (opt, form) in NAMING.into_iter().filter(taken) {
        let places = matches.indices_of(opt.name).into_iter().flatten();
        flags.extend(
            places
                .zip(layers.flags(opt))
                .map(|(place, given)| (place, Named { form, given })),
        );
    }
    flags.sort_by_key(|(place, _)| *place);
    named.extend(flags.into_iter().map(|(_, one)| one));
    named
}

fn secret(
    form: Form,
    given: &Given,
    keys: &Keys,
    settings: &OutputSettings,
) -> Result<Secret, Vec<Diagnostic>> {
    let text = given.text.as_str();
    let is_variable = text.split_once('=').is_some_and(|(name, _)| is_name(name.trim()));
    match form {
        Form::File | Form::Any if text.is_empty() => Err(vec![
            Diagnostic::error(0..0, "this names neither a file nor a variable")
                .help("Write FILE, NAME=TEMPLATE or NAME=@FILE, or leave it out."),
        ]),
        // The path of a file may hold a `=`. Where there is none, this was to be a variable, and has a value.
        Form::File if text.contains('=') && !given.path().exists() => Err(vec![
            Diagnostic::error(0..text.len(), "this names no env file that is there")
                .help("Name files here; a variable is given with `--env NAME=TEMPLATE` or in LOCKET_ENV."),
        ]),
        Form::File => Ok(env_file(given, settings)),
        Form::Any if !is_variable && (!text.contains('=') || given.path().exists()) => {
            Ok(env_file(given, settings))
        }
        Form::Secret => {
            let spec = SecretSpec::parse(text).map_err(|found| of_a_build(text, found))?;
            let source = based(spec.source, given);
            Ok(variable(&spec.name, source, form, settings))
        }
        Form::Any | Form::Variable | Form::AsFile if !is_variable => Err(vec![
            Diagnostic::error(0..text.len(), "this names no variable").help(
                "Write NAME=TEMPLATE or NAME=@FILE; a name has letters, digits and `_`, and begins with no digit.",
            ),
        ]),
        Form::Any | Form::Variable | Form::AsFile => {
            // A variable may be empty; a secret that makes a file may not.
            if let Some((name, "")) = text.split_once('=') {
                let source = Source::Inline {
                    name: name.trim().to_owned(),
                    text: String::new(),
                };
                return Ok(variable(name.trim(), source, form, settings));
            }
            let spec = SecretSpec::parse(text)?;
            let source = based(spec.source, given);
            Ok(variable(&spec.name, source, form, settings))
        }
        Form::Every => {
            let every = spec::every(text)?;
            Ok(Secret {
                place: Place::Variable,
                source: Source::Every {
                    text: text.trim().to_owned(),
                    prefix: keys.prefix.clone(),
                },
                settings: OutputSettings {
                    select: keys.select.clone(),
                    ..settings.clone()
                },
                ..every
            })
        }
    }
}

/// A build has no directory for outputs: what is wrong with the name of a secret comes with advice of its own.
fn of_a_build(text: &str, found: Vec<Diagnostic>) -> Vec<Diagnostic> {
    const ADVICE: &str = "Name the secret as the `id` of `RUN --mount=type=secret,id=ID` does, without `/`: ID=TEMPLATE or ID=@FILE.";
    let name = text.split_once('=').map_or(text, |(name, _)| name).trim();
    let of_name = spec::file_name(name).err().map(|wrong| wrong.message);
    let found = found.into_iter().map(|finding| {
        match of_name.as_ref() == Some(&finding.message) || finding.help.is_none() {
            true => finding.help(ADVICE),
            false => finding,
        }
    });
    found.collect()
}

/// A relative path counts from where it was given.
fn based(source: Source, given: &Given) -> Source {
    match source {
        Source::File(path) => Source::File(given.base.join(path)),
        inline => inline,
    }
}

fn variable(name: &str, source: Source, form: Form, settings: &OutputSettings) -> Secret {
    Secret {
        name: name.to_owned(),
        place: match form {
            Form::AsFile => Place::VariableFile,
            _ => Place::Variable,
        },
        source,
        settings: settings.clone(),
    }
}

fn env_file(given: &Given, settings: &OutputSettings) -> Secret {
    Secret {
        name: String::new(),
        place: Place::Variable,
        source: Source::EnvFile(given.path()),
        settings: settings.clone(),
    }
}

/// Whether a text is what programs take for the name of a variable.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c == '_' || c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Whether a change of some output is told.
pub(crate) fn tells_somebody(plan: &Plan) -> bool {
    let maps = plan.maps.iter().map(|map| &map.settings);
    let mut outputs = maps.chain(plan.secrets.iter().map(|secret| &secret.settings));
    outputs.any(|settings| !settings.notify.is_empty())
}

/// Files beside the variables: those that the command line names, and no others.
fn files(layers: &mut Layers<'_>, context: &Context, plan: &mut Plan) {
    let given = layers.flags(&table::NOTIFY);
    let mut notify = Vec::with_capacity(given.len());
    for given in &given {
        match Action::parse(&given.text) {
            Ok(action) => notify.push(action),
            Err(wrong) => layers.problems.extend(given.wrong([wrong])),
        }
    }
    let settings = OutputSettings {
        notify,
        ..program_defaults(layers)
    };
    let directory = &context.directory;
    for given in layers.flags(&table::MAP) {
        match MapSpec::parse(&given.text) {
            Ok(spec) => {
                let mut map = spec.settle(&settings);
                map.source = directory.join(map.source);
                map.destination = directory.join(map.destination);
                plan.maps.push(map);
            }
            Err(found) => layers.problems.extend(given.wrong(found)),
        }
    }
    for given in layers.flags(&table::SECRET) {
        match SecretSpec::parse(&given.text) {
            Ok(spec) => {
                let mut secret = spec.settle(&settings);
                if let Source::File(path) = &mut secret.source {
                    *path = directory.join(&path);
                }
                plan.secrets.push(secret);
            }
            Err(found) => layers.problems.extend(given.wrong(found)),
        }
    }
    let out = layers.path(&table::OUT);
    plan.out = match plan.writes_to_out() {
        true => out.unwrap_or_else(|| default_out(&plan.maps)),
        false => PathBuf::new(),
    };
    if layers.problems.is_empty() {
        unused(layers, plan);
    }
}

/// Refuses flags that nothing of the plan makes use of.
fn unused(layers: &mut Layers<'_>, plan: &Plan) {
    const MAKE_ONE: &str = "Make one with `--map` or `--secret`, or leave this out.";
    let is_file = |secret: &Secret| secret.place == Place::File;
    if !plan.secrets.iter().any(is_file) {
        let why = "there is no file of `--secret` that would be there";
        layers.refuse_flag(
            &table::OUT,
            why,
            "Name one, or leave this out; `--map` says itself where to.",
        );
    }
    if plan.maps.is_empty() && !plan.secrets.iter().any(is_file) {
        for opt in [&table::FILE_MODE, &table::DIR_MODE, &table::USER] {
            layers.refuse_flag(opt, "no file is made that it could be about", MAKE_ONE);
        }
    }
    let is_read = |secret: &Secret| matches!(secret.source, Source::File(_) | Source::EnvFile(_));
    if plan.maps.is_empty() && !plan.secrets.iter().any(is_read) {
        let why = "no file of templates is read that could be too large";
        layers.refuse_flag(&table::MAX_FILE_SIZE, why, "Name one, or leave this out.");
    }
    if tells_somebody(plan) {
        return;
    }
    let help = "Make one with `--map` or `--secret`; what happens to the program itself is `--on-change`.";
    layers.refuse_flag(
        &table::NOTIFY,
        "there is no file whose changes could be told",
        help,
    );
    if layers.flags(&table::NOTIFY).is_empty() {
        let why = "nobody is told of anything, so that it is about nothing";
        let help = "Say who is told with `--notify`, or leave this out.";
        layers.refuse_flag(&table::NOTIFY_TIMEOUT, why, help);
    }
}
