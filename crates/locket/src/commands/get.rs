//! `locket get REFERENCE`: the exact bytes of one secret.

use clap::{ArgMatches, Args};
use locket_core::template::{RenderError, TemplateOptions};
use locket_core::{Diagnostic, Span};
use locket_engine::once as engine;
use locket_engine::sources::SourceError;

use super::{Command, once};
use crate::context::Context;
use crate::exit::Exit;
use crate::options::values::alternatives;
use crate::options::{self, table};
use crate::report::{Cause, Failure, Problem, SourceText};
use crate::settings::{self, Common};
use crate::{output, providers};

pub(super) const COMMAND: Command = Command {
    name: "get",
    about: "Print one secret, its exact bytes and nothing else",
    arguments: |command| {
        let command = GetArgs::augment_args(command);
        let command = options::add_flags(command, table::EVERY);
        providers::add_flags(options::add_flags(command, table::READING))
    },
    run,
};

#[derive(Args)]
struct GetArgs {
    /// What to read, such as `store://name`, `bao://mount/path/field` or `{{ op://vault/item/field | base64 }}`
    reference: String,
}

fn run(matches: &ArgMatches, context: &Context) -> Result<Exit, Failure> {
    let GetArgs { reference } = super::arguments(matches)?;
    let common = settings::load(matches, context, Common::settle)?.open(context);
    let instances = common.providers.instances(context);
    let schemes = instances.schemes();
    let template = providers::template_of(&reference, schemes).map_err(|findings| {
        let forms = alternatives(schemes.names());
        let advised = |finding: Diagnostic| match finding.help {
            None => finding.help(format!(
                "Write a reference, whose scheme is {forms}: `store://name`."
            )),
            Some(_) => finding,
        };
        refused(&reference, findings.into_iter().map(advised).collect())
    })?;
    let options = TemplateOptions::default();
    let parsed =
        engine::parse("", template.source(), &options, &instances).map_err(|error| match &*error {
            // The places are those of the reference in braces: all of it is shown instead.
            SourceError::Template { found, .. } => refused(&reference, everywhere(&reference, found)),
            other => Failure::usage(other.to_string()),
        })?;
    let value = once::render(&parsed, &common, &instances, context, |errors| {
        errors.iter().map(unresolved).collect()
    })?;
    output::secret(&value)?;
    Ok(Exit::Done)
}

fn refused(reference: &str, findings: Vec<Diagnostic>) -> Failure {
    let source = SourceText {
        name: "REFERENCE".to_owned(),
        text: reference.as_bytes().into(),
    };
    Failure::new(Cause::Usage, vec![Problem::Shown { source, findings }])
}

fn everywhere(reference: &str, findings: &[Diagnostic]) -> Vec<Diagnostic> {
    let span = Span::new(0, reference.len());
    findings
        .iter()
        .map(|finding| Diagnostic {
            span,
            ..finding.clone()
        })
        .collect()
}

fn unresolved(error: &RenderError) -> Problem {
    let (reason, help) = once::reason(&error.problem);
    Problem::Told {
        message: format!("{}: {reason}", error.reference),
        help,
    }
}
