//! What would become of one output.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use locket_core::filter::HashMemo;
use locket_core::plan::{OnError, OutputSettings, Source};
use locket_core::template::{Problem, RenderCx, RenderError, Resolution};
use locket_core::{ErrorKind, Schemes, SecretBytes};

use super::Asking;
use crate::once::resolution;
use crate::resolve::Resolver;
use crate::sink::{Applied, Facts, Sink, SinkError, inspect, place};
use crate::sources::{Found, Listing, Parsed, Role, SourceError};

/// A present output larger than this is not searched for password hashes, as when it is written.
const PRESENT_LIMIT: u64 = 64 << 20;

/// One output, before anything is written. It holds no value.
#[derive(Debug)]
pub struct PlannedOutput {
    /// Where it goes.
    pub path: PathBuf,
    /// Where its template comes from.
    pub source: Source,
    /// How it would be written.
    pub settings: Arc<OutputSettings>,
    /// The references of its template, each once, as they are written.
    pub references: Vec<String>,
    /// What is known about its place; `None` where it cannot be looked at.
    pub place: Option<Facts>,
    /// What would become of it.
    pub verdict: Verdict,
}

/// What would become of an output.
#[derive(Debug)]
pub enum Verdict {
    /// There is none yet.
    Create,
    /// It would have new content.
    Change,
    /// Its content is right; mode or owner would be put right.
    Access,
    /// It is as it should be.
    Keep,
    /// Its secrets were not asked for.
    Unknown,
    /// References without a value.
    Unresolved(Vec<Blame>),
    /// The template cannot be used.
    Unusable(Arc<SourceError>),
    /// It could not be written.
    Unwritable {
        /// Why, as a lower-case fragment.
        reason: String,
        /// What to do, as a sentence.
        hint: String,
    },
}

/// Why a reference has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// The reference, as it is written.
    pub reference: String,
    /// Why, as a lower-case fragment.
    pub reason: String,
    /// What to do, as a sentence.
    pub hint: Option<String>,
}

impl Verdict {
    /// Whether something would be created or changed.
    pub fn is_change(&self) -> bool {
        matches!(self, Self::Create | Self::Change | Self::Access)
    }
}

impl PlannedOutput {
    /// Whether a round would end without it in place. What may be missing (`on-error = ignore`) is no failure, as long
    /// as its template is good.
    pub fn is_failing(&self) -> bool {
        match &self.verdict {
            Verdict::Unresolved(_) => self.settings.on_error != OnError::Ignore,
            Verdict::Unusable(_) | Verdict::Unwritable { .. } => true,
            _ => false,
        }
    }
}

/// What judging an output needs.
pub(super) struct Cx<'a> {
    pub(super) schemes: &'a Schemes,
    pub(super) resolver: &'a Resolver,
    pub(super) asking: Asking,
    pub(super) now: SystemTime,
    pub(super) sink: &'a mut Sink,
    pub(super) memo: &'a mut HashMemo,
}

/// What would become of `found`; nothing is said about a wildcard whose keys are outputs themselves.
pub(super) fn plan(found: &Found, cx: &mut Cx<'_>) -> Option<PlannedOutput> {
    let path = found.target.path();
    let references = match &found.template {
        Ok(parsed) => parsed
            .template
            .references()
            .iter()
            .map(ToString::to_string)
            .collect(),
        Err(_) => Vec::new(),
    };
    let verdict = match (&found.template, &found.role) {
        (Ok(parsed), Role::Listing(listing)) => judge_listing(listing, parsed, cx)?,
        (Ok(parsed), _) => judge(found, parsed, cx),
        (Err(error), _) => Verdict::Unusable(error.clone()),
    };
    Some(PlannedOutput {
        verdict,
        place: inspect(&path).ok(),
        path,
        source: found.source.clone(),
        settings: found.settings.clone(),
        references,
    })
}

/// What stands in the way of the keys of a wildcard.
fn judge_listing(listing: &Listing, parsed: &Parsed, cx: &Cx<'_>) -> Option<Verdict> {
    if cx.asking == Asking::Leave {
        return Some(Verdict::Unknown);
    }
    let reference = listing.wildcard.to_string();
    let blame = |reason: String, hint: Option<String>| Blame {
        reference: reference.clone(),
        reason,
        hint,
    };
    let mut blames: Vec<_> = listing
        .refused
        .iter()
        .map(|reason| blame(reason.clone(), None))
        .collect();
    match resolution(cx.resolver.answer(parsed.keys.first()?)) {
        Resolution::Value(fetched) => {
            blames.extend(
                listing
                    .wildcard
                    .keys(&fetched)
                    .err()
                    .map(|reason| blame(reason, None)),
            );
        }
        Resolution::Failed(error) => {
            let is_optional = listing.wildcard.reference().is_optional();
            if !(is_optional && error.kind == ErrorKind::NotFound) {
                blames.push(blame(error.to_string(), error.hint.clone()));
            }
        }
    }
    (!blames.is_empty()).then_some(Verdict::Unresolved(blames))
}

fn judge(found: &Found, parsed: &Parsed, cx: &mut Cx<'_>) -> Verdict {
    let place = place(&found.target, found.settings.atomic);
    if cx.asking == Asking::Leave && !parsed.keys.is_empty() {
        // Whatever the secret is, it has to be written there.
        let forecast = cx
            .sink
            .forecast(&place, &SecretBytes::copy_from(b""), &found.settings.access);
        return match forecast {
            Ok(_) => Verdict::Unknown,
            Err(error) => unwritable(&error),
        };
    }
    let present = cx.sink.read(&place, PRESENT_LIMIT).ok().flatten();
    #[expect(
        clippy::disallowed_methods,
        reason = "compared with what would be written, and searched for password hashes"
    )]
    let shown = present.as_ref().map(SecretBytes::expose);
    let answers = cx.resolver.answers(&parsed.keys).into_iter();
    let resolutions: Vec<_> = answers
        .map(|answer| resolution(found.role.answer(answer)))
        .collect();
    let mut rendering = RenderCx {
        schemes: cx.schemes,
        now: cx.now,
        present: shown,
        memo: cx.memo,
    };
    let rendered = match parsed.template.render(&resolutions, &mut rendering) {
        Ok(rendered) => rendered,
        Err(errors) => {
            let blames = RenderError::distinct(errors)
                .into_iter()
                .map(|error| blame(error, parsed));
            return Verdict::Unresolved(blames.collect());
        }
    };
    // A difference that the time alone makes is none; mode and owner count all the same.
    let is_same = shown.is_some_and(|present| !rendered.differs_from(present));
    match cx.sink.forecast(&place, &rendered.bytes, &found.settings.access) {
        Ok(Applied::Created) => Verdict::Create,
        Ok(Applied::Access) => Verdict::Access,
        Ok(Applied::Unchanged) => Verdict::Keep,
        Ok(Applied::Replaced | Applied::InPlace) if is_same => Verdict::Keep,
        Ok(Applied::Replaced | Applied::InPlace) => Verdict::Change,
        Err(error) => unwritable(&error),
    }
}

fn unwritable(error: &SinkError) -> Verdict {
    Verdict::Unwritable {
        reason: error.to_string(),
        hint: error.hint(),
    }
}

fn blame(error: RenderError, parsed: &Parsed) -> Blame {
    let (line, column) = error.span.line_column(parsed.template.source());
    let (reason, hint) = match error.problem {
        Problem::Unresolved(error) => (error.to_string(), error.hint.clone()),
        Problem::Unsuitable(reason) => (format!("{reason} (line {line}, column {column})"), None),
    };
    Blame {
        reference: error.reference,
        reason,
        hint,
    }
}
