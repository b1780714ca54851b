//! From segments and values to bytes.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::SystemTime;

use super::parse::{Expression, Segment, Template};
use crate::filter::{Filter, FilterCx, FilterError, HashMemo};
use crate::provider::Derive;
use crate::{ErrorKind, Fetched, ProviderError, Schemes, SecretBuilder, SecretBytes, Span, json_path};

/// What became of one reference.
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
            let reference = &self.references()[expression.reference];
            match self.evaluate(expression, resolutions.get(expression.reference), cx) {
                Ok(value) => values.push(value),
                Err((problem, span)) => {
                    errors.push(RenderError {
                        reference: reference.to_string(),
                        span,
                        problem,
                    });
                }
            }
        }
        if errors.is_empty() {
            Ok(self.assemble(&values))
        } else {
            Err(errors)
        }
    }

    fn evaluate(
        &self,
        expression: &Expression,
        resolution: Option<&Resolution>,
        cx: &mut RenderCx<'_>,
    ) -> Result<Value, (Problem, Span)> {
        let reference = &self.references()[expression.reference];
        let whole = reference.span();
        let mut filters = expression.filters.as_slice();
        let missing = match resolution {
            Some(Resolution::Value(fetched)) => {
                let fragment = reference.json_fragment(cx.schemes);
                let mut filter_cx = FilterCx {
                    now: cx.now,
                    present: cx.present,
                    memo: cx.memo,
                    valid_until: None,
                };
                match start(fetched, fragment, &mut filter_cx) {
                    Ok(mut bytes) => {
                        for (index, call) in filters.iter().enumerate() {
                            match call.filter.apply(&bytes, &mut filter_cx) {
                                Ok(next) => bytes = next,
                                Err(FilterError::Value(text)) => {
                                    return Err((Problem::Unsuitable(text), call.span));
                                }
                                // A later `default` may stand in for a part that does not exist.
                                Err(FilterError::NoSuchPart(text)) => {
                                    filters = &filters[index + 1..];
                                    return self.fall_back(filters, Problem::Unsuitable(text), call.span, cx);
                                }
                            }
                        }
                        return Ok(Value {
                            bytes,
                            valid_until: filter_cx.valid_until,
                        });
                    }
                    Err(FilterError::Value(text)) => return Err((Problem::Unsuitable(text), whole)),
                    Err(FilterError::NoSuchPart(text)) => Problem::Unsuitable(text),
                }
            }
            Some(Resolution::Failed(error)) if error.kind == ErrorKind::NotFound => {
                Problem::Unresolved(error.clone())
            }
            Some(Resolution::Failed(error)) => return Err((Problem::Unresolved(error.clone()), whole)),
            None => return Err((Problem::Unsuitable("it was never asked for".into()), whole)),
        };
        self.fall_back(filters, missing, whole, cx)
    }

    /// Goes on from the first `default` among `filters`, or from nothing for an optional reference.
    fn fall_back(
        &self,
        filters: &[crate::filter::FilterCall],
        missing: Problem,
        span: Span,
        cx: &mut RenderCx<'_>,
    ) -> Result<Value, (Problem, Span)> {
        let found = filters
            .iter()
            .enumerate()
            .find_map(|(index, call)| match &call.filter {
                Filter::Default(text) => Some((index, text)),
                _ => None,
            });
        let Some((index, text)) = found else {
            return Err((missing, span));
        };
        let mut filter_cx = FilterCx {
            now: cx.now,
            present: cx.present,
            memo: cx.memo,
            valid_until: None,
        };
        let mut bytes = SecretBytes::copy_from(text.as_bytes());
        for call in &filters[index + 1..] {
            bytes = call
                .filter
                .apply(&bytes, &mut filter_cx)
                .map_err(|error| match error {
                    FilterError::Value(text) | FilterError::NoSuchPart(text) => {
                        (Problem::Unsuitable(text), call.span)
                    }
                })?;
        }
        Ok(Value {
            bytes,
            valid_until: filter_cx.valid_until,
        })
    }

    fn assemble(&self, values: &[Value]) -> Rendered {
        let length = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(range) => range.len(),
                Segment::Value(index) => values[*index].bytes.len(),
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
                    builder.extend(value.bytes.expose());
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

struct Value {
    bytes: SecretBytes,
    valid_until: Option<SystemTime>,
}

/// The value before filters: derived, then narrowed by the fragment.
fn start(
    fetched: &Fetched,
    fragment: Option<&str>,
    cx: &mut FilterCx<'_>,
) -> Result<SecretBytes, FilterError> {
    let value = match fetched.derive {
        Derive::Totp => return Filter::Totp.apply(&fetched.value, cx),
        Derive::Nothing => &fetched.value,
    };
    #[expect(clippy::disallowed_methods, reason = "a fragment selects a part of the value")]
    let bytes = value.expose();
    match fragment {
        Some(path) => json_path::select(bytes, path),
        None => Ok(SecretBytes::copy_from(bytes)),
    }
}

/// Two errors over one reference are told once for each problem.
impl RenderError {
    /// Keeps the first of each reference and problem.
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
