//! From segments and values to bytes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use super::model::{Expression, Segment, Template};
use crate::filter::{Filter, FilterCall, FilterCx, FilterError, HashMemo};
use crate::provider::Derive;
use crate::{
    ErrorKind, Fetched, ProviderError, Reference, Schemes, SecretBuilder, SecretBytes, Span, json_path,
};

/// What became of one reference. Rendering itself makes the empty value of an optional secret that does not exist.
#[derive(Clone, Debug)]
pub enum Resolution {
    /// The provider's answer.
    Value(Arc<Fetched>),
    /// No value, and why.
    Failed(Arc<ProviderError>),
}

/// What rendering may use beside the values.
#[derive(Debug)]
pub struct RenderCx<'a> {
    /// The schemes of this run, which say whose fragments are JSON paths.
    pub schemes: &'a Schemes,
    /// The time, for one-time codes.
    pub now: SystemTime,
    /// The present output, in which earlier password hashes are looked for.
    pub present: Option<&'a [u8]>,
    /// Password hashes made by this process.
    pub memo: &'a mut HashMemo,
}

/// A finished output.
#[derive(Debug)]
pub struct Rendered {
    /// The bytes to put in place.
    pub bytes: SecretBytes,
    /// Where the bytes depend on the time; a difference there alone is no change.
    pub volatile: Vec<Range<usize>>,
    /// When the bytes will differ without any secret having changed.
    pub valid_until: Option<SystemTime>,
}

/// Why one expression gave no value.
#[derive(Clone, Debug)]
pub struct RenderError {
    /// The reference, as it is written.
    pub reference: String,
    /// Its first place in the template.
    pub span: Span,
    /// What went wrong.
    pub problem: Problem,
}

/// What went wrong with one expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The provider gave no value.
    Unresolved(Arc<ProviderError>),
    /// The value did not suit a filter or fragment.
    Unsuitable(String),
}

impl Rendered {
    /// Whether `present` differs from this output in more than what the time alone changes.
    pub fn differs_from(&self, present: &[u8]) -> bool {
        if self.volatile.is_empty() {
            return !self.bytes.matches(present);
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "compares the output with the one in place"
        )]
        let bytes = self.bytes.expose();
        if bytes.len() != present.len() {
            return true;
        }
        let mut at = 0;
        for range in &self.volatile {
            if bytes[at..range.start] != present[at..range.start] {
                return true;
            }
            at = range.end;
        }
        bytes[at..] != present[at..]
    }
}

impl Template {
    /// Renders with one [`Resolution`] for each of [`Template::references`], in their order.
    ///
    /// # Errors
    /// Every expression that gave no value; nothing is rendered then.
    pub fn render(
        &self,
        resolutions: &[Resolution],
        cx: &mut RenderCx<'_>,
    ) -> Result<Rendered, Vec<RenderError>> {
        let mut values = Vec::with_capacity(self.expressions.len());
        let mut errors = Vec::new();
        for expression in &self.expressions {
            let resolution = resolutions.get(expression.reference);
            match self.evaluate(expression, &expression.filters, resolution, cx, |_| {}) {
                Ok(value) => values.push(value),
                Err((problem, span)) => errors.push(RenderError {
                    reference: self.references()[expression.reference].to_string(),
                    span,
                    problem,
                }),
            }
        }
        if errors.is_empty() {
            Ok(self.assemble(&values))
        } else {
            Err(errors)
        }
    }

    /// What a program has to keep to itself that reads this template's output: the value of each reference, and what
    /// each filter makes of it until there is a digest. What `default` puts there is no secret.
    pub fn secrets(&self, resolutions: &[Resolution], cx: &mut RenderCx<'_>) -> Vec<SecretBytes> {
        let mut secrets = Vec::new();
        for expression in &self.expressions {
            let before_digest = expression.filters.split(|call| call.filter.is_digest()).next();
            let resolution = resolutions.get(expression.reference);
            #[expect(clippy::disallowed_methods, reason = "a secret is copied into its like")]
            let keep = |value: &SecretBytes| secrets.push(SecretBytes::copy_from(value.expose()));
            // What failed on its way is as secret so far.
            let _ = self.evaluate(
                expression,
                before_digest.unwrap_or_default(),
                resolution,
                cx,
                keep,
            );
        }
        secrets
    }

    /// Takes one expression from its resolution through `filters`; `seen` gets what the secret is at each step.
    fn evaluate<'v>(
        &self,
        expression: &Expression,
        filters: &[FilterCall],
        resolution: Option<&'v Resolution>,
        cx: &mut RenderCx<'_>,
        mut seen: impl FnMut(&SecretBytes),
    ) -> Result<Value<'v>, (Problem, Span)> {
        let reference = &self.references()[expression.reference];
        let mut filter_cx = FilterCx {
            now: cx.now,
            present: cx.present,
            behind: &[],
            memo: cx.memo,
            valid_until: None,
        };
        let mut step = match resolution {
            Some(Resolution::Value(fetched)) => match start(fetched, reference, cx.schemes, &mut filter_cx) {
                Ok(bytes) => Step::Value(bytes),
                Err(error) => Step::failed(error, reference.span())?,
            },
            Some(Resolution::Failed(error)) => {
                let problem = (Problem::Unresolved(error.clone()), reference.span());
                match error.kind {
                    ErrorKind::NotFound => Step::Missing(problem),
                    _ => return Err(problem),
                }
            }
            None => {
                return Err((
                    Problem::Unsuitable("it was never asked for".into()),
                    reference.span(),
                ));
            }
        };
        let has_default = filters
            .iter()
            .any(|call| matches!(call.filter, Filter::Default(_)));
        if reference.is_optional() && !has_default && matches!(step, Step::Missing(_)) {
            step = Step::Value(Bytes::Own(SecretBytes::copy_from(b"")));
        }
        // An optional secret that is not there goes through the filters that make something of nothing (quotes,
        // say); it has no digest, code or part.
        let absent = reference.is_optional() && matches!(&step, Step::Value(bytes) if bytes.get().is_empty());
        // What stands in for a secret is none.
        let mut is_secret = true;
        for (at, call) in filters.iter().enumerate() {
            filter_cx.behind = &filters[at + 1..];
            match &step {
                Step::Value(bytes) if is_secret => seen(bytes.get()),
                Step::Value(_) => {}
                Step::Missing(_) => is_secret = false,
            }
            step = match (step, &call.filter) {
                (Step::Missing(_), Filter::Default(text)) => {
                    Step::Value(Bytes::Own(SecretBytes::copy_from(text.as_bytes())))
                }
                (Step::Missing(problem), _) => Step::Missing(problem),
                (Step::Value(bytes), filter) if absent && !filter.takes_nothing() => Step::Value(bytes),
                (Step::Value(bytes), filter) => match filter.apply(bytes.get(), &mut filter_cx) {
                    Ok(next) => Step::Value(Bytes::Own(next)),
                    Err(error) => Step::failed(error, call.span)?,
                },
            };
        }
        match step {
            Step::Value(bytes) => {
                if is_secret {
                    seen(bytes.get());
                }
                Ok(Value {
                    bytes,
                    valid_until: filter_cx.valid_until,
                })
            }
            Step::Missing(problem) => Err(problem),
        }
    }

    fn assemble(&self, values: &[Value<'_>]) -> Rendered {
        let length = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(range) => range.len(),
                Segment::Value(index) => values[*index].bytes.get().len(),
            })
            .sum();
        let mut builder = SecretBuilder::with_capacity(length);
        let mut volatile = Vec::new();
        for segment in &self.segments {
            match segment {
                Segment::Literal(range) => builder.extend(&self.source[range.clone()]),
                Segment::Value(index) => {
                    let value = &values[*index];
                    let start = builder.len();
                    #[expect(clippy::disallowed_methods, reason = "rendering puts the value in its place")]
                    builder.extend(value.bytes.get().expose());
                    if value.valid_until.is_some() {
                        volatile.push(start..builder.len());
                    }
                }
            }
        }
        let valid_until = values.iter().filter_map(|value| value.valid_until).min();
        Rendered {
            bytes: builder.finish(),
            volatile,
            valid_until,
        }
    }
}

/// A value on its way through the filters.
enum Step<'v> {
    Value(Bytes<'v>),
    /// There is no such secret or part; a `default` further on may stand in.
    Missing((Problem, Span)),
}

impl Step<'_> {
    /// What a failed filter or fragment leads to.
    fn failed(error: FilterError, span: Span) -> Result<Self, (Problem, Span)> {
        match error {
            FilterError::NoSuchPart(text) => Ok(Self::Missing((Problem::Unsuitable(text), span))),
            FilterError::Value(text) => Err((Problem::Unsuitable(text), span)),
        }
    }
}

/// A finished value.
struct Value<'v> {
    bytes: Bytes<'v>,
    valid_until: Option<SystemTime>,
}

/// Bytes of the provider's answer itself, or what was made of them.
enum Bytes<'v> {
    Fetched(&'v SecretBytes),
    Own(SecretBytes),
}

impl Bytes<'_> {
    fn get(&self) -> &SecretBytes {
        match self {
            Self::Fetched(bytes) => bytes,
            Self::Own(bytes) => bytes,
        }
    }
}

/// The value before filters: narrowed by the fragment, then derived. Nothing comes of an optional secret's nothing.
fn start<'v>(
    fetched: &'v Fetched,
    reference: &Reference,
    schemes: &Schemes,
    cx: &mut FilterCx<'_>,
) -> Result<Bytes<'v>, FilterError> {
    let whole = Bytes::Fetched(&fetched.value);
    if reference.is_optional() && fetched.value.is_empty() {
        return Ok(whole);
    }
    #[expect(clippy::disallowed_methods, reason = "a fragment selects a part of the value")]
    let part = match reference.json_fragment(schemes) {
        Some(path) => Bytes::Own(json_path::select(fetched.value.expose(), path)?),
        None => whole,
    };
    match fetched.derive {
        Derive::Nothing => Ok(part),
        Derive::Totp => Filter::Totp.apply(part.get(), cx).map(Bytes::Own),
    }
}

impl RenderError {
    /// Two errors over one reference are told once for each problem: keeps the first of each.
    pub fn distinct(errors: Vec<Self>) -> Vec<Self> {
        let mut seen: HashMap<String, Vec<Problem>> = HashMap::new();
        errors
            .into_iter()
            .filter(|error| {
                let known = seen.entry(error.reference.clone()).or_default();
                let new = !known.contains(&error.problem);
                known.push(error.problem.clone());
                new
            })
            .collect()
    }
}
