//! What commands have in common that take a text from the command line: it is read, and rendered once.

use std::collections::BTreeSet;
use std::sync::Arc;

use locket_core::template::{self, RenderError, TemplateOptions};
use locket_core::{Diagnostic, SecretBytes, Span};
use locket_engine::sources::{Parsed, SourceError};
use locket_engine::{Instances, once};

use crate::context::Context;
use crate::options::values::alternatives;
use crate::report::{Cause, Failure, Problem, SourceText};
use crate::settings::Common;
use crate::{providers, runtime};

/// Renders `parsed`, asking whom it names. References without a value are told by `blame`.
///
/// # Errors
/// Wrong settings of the providers that are needed, before anybody is asked; then every reference without a value.
pub(super) fn render(
    parsed: &Parsed,
    common: &Common,
    instances: &Arc<Instances>,
    context: &Context,
    blame: impl FnOnce(Vec<RenderError>) -> Vec<Problem>,
) -> Result<SecretBytes, Failure> {
    make_providers(parsed, instances)?;
    let rendering = once::render(
        parsed,
        instances,
        &context.clock,
        common.request_timeout,
        common.deadline,
    );
    match runtime::block_on(rendering)? {
        Ok(rendered) => Ok(rendered.bytes),
        Err(errors) => Err(Failure::new(Cause::Unresolved, blame(errors))),
    }
}

/// What a reference on the command line names; it stands alone or in braces, with filters.
///
/// # Errors
/// Every mistake in it, shown in the text.
pub(super) fn reference(text: &str, instances: &Instances) -> Result<Arc<Parsed>, Problem> {
    let schemes = instances.schemes();
    let refused = |findings: Vec<Diagnostic>| Problem::Shown {
        source: SourceText {
            name: "REFERENCE".to_owned(),
            text: text.as_bytes().into(),
        },
        findings,
    };
    let template = providers::template_of(text, schemes).map_err(|findings| {
        let forms = alternatives(schemes.names());
        let advised = |finding: Diagnostic| match finding.help {
            None => finding.help(format!(
                "Write a reference, whose scheme is {forms}: `store://name`."
            )),
            Some(_) => finding,
        };
        refused(findings.into_iter().map(advised).collect())
    })?;
    let options = TemplateOptions::default();
    once::parse("", template.source(), &options, instances).map_err(|error| match &*error {
        // The places are those of the reference in braces: all of it is shown instead.
        SourceError::Template { found, .. } => refused(everywhere(text, found)),
        other => Problem::told(other.to_string()),
    })
}

fn everywhere(text: &str, findings: &[Diagnostic]) -> Vec<Diagnostic> {
    let span = Span::new(0, text.len());
    findings
        .iter()
        .map(|finding| Diagnostic {
            span,
            ..finding.clone()
        })
        .collect()
}

/// Makes every provider that is needed.
fn make_providers(parsed: &Parsed, instances: &Instances) -> Result<(), Failure> {
    let names: BTreeSet<_> = parsed.keys.iter().map(|key| key.instance.clone()).collect();
    let refused = names.iter().filter_map(|name| instances.provider(name).err());
    let problems: Vec<_> = refused
        .map(|error| Problem::Told {
            message: error.context,
            help: error.hint,
        })
        .collect();
    if problems.is_empty() {
        Ok(())
    } else {
        Err(Failure::new(Cause::Usage, problems))
    }
}

/// Why an expression has no value, and what to do.
pub(super) fn reason(problem: &template::Problem) -> (String, Option<String>) {
    match problem {
        template::Problem::Unresolved(error) => (error.context.clone(), error.hint.clone()),
        template::Problem::Unsuitable(reason) => (reason.clone(), None),
    }
}
