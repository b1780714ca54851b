//! `--resolve`: every reference asked for once, and those without a value told at each of their places.

use std::sync::Arc;
use std::time::Duration;

use locket_compose::check::Rule;
use locket_core::template::TemplateOptions;
use locket_core::{Diagnostic, ProviderError, Span};
use locket_engine::resolve::{SecretKey, probe};
use locket_engine::{Instances, once};

use super::reported::Reported;
use super::texts::Tagged;
use crate::context::Context;
use crate::report::Failure;
use crate::runtime;

/// One reference in one text.
struct Wanted<'a> {
    text: &'a Tagged,
    span: Span,
    reference: String,
    key: SecretKey,
}

/// Asks for every reference of `texts`.
///
/// # Errors
/// The runtime cannot be started.
pub(super) fn ask(
    texts: &[Tagged],
    instances: &Arc<Instances>,
    request: Duration,
    context: &Context,
) -> Result<Vec<Reported>, Failure> {
    let mut wanted = Vec::new();
    for text in texts {
        let options = TemplateOptions::default();
        // What has mistakes was told already.
        let Ok(parsed) = once::parse(&text.subject, text.template.as_bytes(), &options, instances) else {
            continue;
        };
        for (reference, key) in parsed.template.references().iter().zip(&parsed.keys) {
            if reference.is_optional() {
                continue;
            }
            wanted.push(Wanted {
                text,
                span: within(text, reference.span()),
                reference: reference.to_string(),
                key: key.clone(),
            });
        }
    }
    let mut keys: Vec<SecretKey> = Vec::new();
    let mut refused: Vec<(SecretKey, ProviderError)> = Vec::new();
    for want in &wanted {
        if keys.contains(&want.key) || refused.iter().any(|(key, _)| *key == want.key) {
            continue;
        }
        match instances.provider(&want.key.instance) {
            Ok(_) => keys.push(want.key.clone()),
            Err(error) => refused.push((want.key.clone(), error)),
        }
    }
    let probes = runtime::block_on(probe(&keys, instances, &context.clock, request))?;
    let failed = keys
        .into_iter()
        .zip(probes)
        .filter_map(|(key, probe)| Some((key, probe.result.err()?)));
    refused.extend(failed);
    let Some(rule) = Rule::find("unresolved-reference") else {
        return Ok(Vec::new());
    };
    let reports = wanted.iter().filter_map(|want| {
        let (_, error) = refused.iter().find(|(key, _)| *key == want.key)?;
        let diagnostic = Diagnostic {
            help: error.hint.clone(),
            ..Diagnostic::error(want.span, format!("{}: {}", want.reference, error.context))
        };
        Some(Reported::of_diagnostic(
            rule,
            &want.text.path,
            &want.text.text,
            &want.reference,
            &diagnostic,
        ))
    });
    Ok(reports.collect())
}

/// Where a part of a template stands in its file: exact where that is written as it is read.
fn within(text: &Tagged, span: Span) -> Span {
    let length = text.span.end - text.span.start;
    match length.checked_sub(text.template.len()) {
        Some(0) => span.shifted(text.span.start),
        Some(2) => span.shifted(text.span.start + 1),
        _ => text.span,
    }
}
