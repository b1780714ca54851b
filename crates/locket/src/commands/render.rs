//! `locket render FILE`: a template, rendered to standard output.

use std::io::Read;

use clap::{ArgMatches, Args, ValueHint};
use locket_core::Diagnostic;
use locket_core::template::{RenderError, TemplateOptions};
use locket_engine::once as engine;
use locket_engine::sources::SourceError;

use super::{Command, once};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::{self, table};
use crate::report::{Cause, Failure, Problem, SourceText};
use crate::settings::{self, Common};
use crate::{output, providers};

pub(super) const COMMAND: Command = Command {
    name: "render",
    about: "Print a template with its secrets in place",
    arguments: |command| {
        let command = RenderArgs::augment_args(command);
        let command = options::add_flags(command, table::EVERY);
        providers::add_flags(options::add_flags(command, table::READING))
    },
    run,
};

#[derive(Args)]
struct RenderArgs {
    /// The template; `-` is standard input
    #[arg(value_hint = ValueHint::FilePath)]
    file: String,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let RenderArgs { file } = super::arguments(matches)?;
    let common = settings::load(matches, context, Common::settle)?.open(context);
    let instances = common.providers.instances(context);
    let (name, text) = match file.as_str() {
        "-" => ("standard input", read(std::io::stdin().lock())),
        path => (
            path,
            std::fs::File::open(context.directory.join(path)).and_then(read),
        ),
    };
    let text = text.map_err(|error| {
        Failure::work(format!("the template {name} cannot be read: {error}"))
            .help("Name a file that this user may read, or `-` for standard input.")
    })?;
    let parsed = engine::parse(name, &text, &TemplateOptions::default(), &instances)
        .map_err(|error| unusable(&error))?;
    let value = once::render(&parsed, &common, &instances, context, |errors| {
        let source = SourceText {
            name: name.to_owned(),
            text: text.clone().into(),
        };
        let findings = errors.iter().map(finding).collect();
        vec![Problem::Shown { source, findings }]
    })?;
    output::secret(&value)?;
    Ok(Exit::Done)
}

fn unusable(error: &SourceError) -> Failure {
    match error {
        SourceError::Template { name, text, found } => {
            let source = SourceText {
                name: name.clone(),
                text: text.clone(),
            };
            let findings = found.clone();
            Failure::new(Cause::Usage, vec![Problem::Shown { source, findings }])
        }
        other => Failure::work(other.to_string()).help(other.hint()),
    }
}

fn finding(error: &RenderError) -> Diagnostic {
    let (reason, help) = once::reason(&error.problem);
    Diagnostic {
        help,
        ..Diagnostic::error(error.span, format!("{}: {reason}", error.reference))
    }
}

fn read(mut from: impl Read) -> std::io::Result<Vec<u8>> {
    let mut text = Vec::new();
    from.read_to_end(&mut text)?;
    Ok(text)
}
