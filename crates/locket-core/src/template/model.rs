//! A parsed template: what it is made of and what surrounds its tags.

use std::ops::Range;
use std::sync::Arc;

use super::parse::{self, KnownTags};
use crate::filter::FilterCall;
use crate::{Diagnostic, Reference, Schemes};

/// A parsed template. It owns its source, and holds each distinct reference and expression once however often
/// they occur. An agent keeps thousands of them: nothing here has room to spare.
#[derive(Debug)]
pub struct Template {
    pub(super) source: Arc<[u8]>,
    pub(super) segments: Box<[Segment]>,
    pub(super) expressions: Box<[Expression]>,
    references: Box<[Reference]>,
    warnings: Box<[Diagnostic]>,
}

/// What surrounds a tag, and whether tags count at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TemplateOptions {
    /// The marks around a tag.
    pub delimiters: Delimiters,
    /// `false` copies the text as it is (`render = false`).
    pub verbatim: bool,
}

/// The marks around a tag; `{{` and `}}` by default. See [`Delimiters::new`] for what can be one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delimiters {
    /// What opens a tag.
    pub open: String,
    /// What closes it.
    pub close: String,
}

/// One piece of the output.
#[derive(Debug)]
pub(super) enum Segment {
    /// Bytes of the source.
    Literal(Range<usize>),
    /// The value of an expression, by index.
    Value(usize),
}

/// A reference and what is made of its value.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct Expression {
    /// Index into the template's references.
    pub(super) reference: usize,
    pub(super) filters: Vec<FilterCall>,
}

impl Default for Delimiters {
    fn default() -> Self {
        Self {
            open: "{{".into(),
            close: "}}".into(),
        }
    }
}

impl Delimiters {
    /// These marks around a tag.
    ///
    /// # Errors
    /// A mark is empty, or holds what has a meaning inside of a tag: white space, quotes, `|`, a backslash. The
    /// place is that in the mark.
    pub fn new(open: &str, close: &str) -> Result<Self, Diagnostic> {
        for mark in [open, close] {
            let meaning = |char: char| char.is_whitespace() || matches!(char, '"' | '|' | '\\');
            if mark.is_empty() || mark.contains(meaning) {
                return Err(
                    Diagnostic::error(0..mark.len(), format!("`{mark}` cannot mark a tag")).help(
                        "Use marks like `<%` and `%>`, without white space, quotes, `|` and backslashes.",
                    ),
                );
            }
        }
        Ok(Self {
            open: open.into(),
            close: close.into(),
        })
    }
}

impl Template {
    /// Parses `source`, finding all its errors at once.
    ///
    /// # Errors
    /// Every mistake in the source, the first hundred of very many, in order, with its place. Warnings of a good
    /// template are in [`Template::warnings`].
    pub fn parse(
        source: impl Into<Arc<[u8]>>,
        options: &TemplateOptions,
        schemes: &Schemes,
    ) -> Result<Self, Vec<Diagnostic>> {
        Self::parse_beside(source, options, schemes, &mut KnownTags::default())
    }

    /// [`Template::parse`] beside other templates of the same `schemes`, whose tags it need not read again.
    ///
    /// # Errors
    /// As there.
    pub fn parse_beside(
        source: impl Into<Arc<[u8]>>,
        options: &TemplateOptions,
        schemes: &Schemes,
        known: &mut KnownTags,
    ) -> Result<Self, Vec<Diagnostic>> {
        let source = source.into();
        if options.verbatim {
            return Ok(Self::literal(source));
        }
        let parts = parse::parse(&source, &options.delimiters, schemes, known)?;
        Ok(Self {
            segments: parts.segments,
            expressions: parts.expressions,
            references: parts.references,
            warnings: parts.warnings,
            source,
        })
    }

    /// A template that is the value of one reference and nothing else.
    pub fn of_reference(reference: Reference) -> Self {
        Self {
            source: reference.to_string().into_bytes().into(),
            segments: [Segment::Value(0)].into(),
            expressions: [Expression {
                reference: 0,
                filters: vec![],
            }]
            .into(),
            references: [reference].into(),
            warnings: [].into(),
        }
    }

    /// A template whose output is its source.
    fn literal(source: Arc<[u8]>) -> Self {
        let whole = Segment::Literal(0..source.len());
        Self {
            source,
            segments: Box::new([whole]),
            expressions: Box::default(),
            references: Box::default(),
            warnings: Box::default(),
        }
    }

    /// The distinct references, in the order of their first occurrence. Rendering takes one
    /// [`Resolution`](super::Resolution) for each.
    pub fn references(&self) -> &[Reference] {
        &self.references
    }

    /// What a person should know about a template that can be used.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// The text it was parsed from.
    pub fn source(&self) -> &[u8] {
        &self.source
    }

    /// Whether rendering hashes passwords, which takes a good part of a second and belongs on another thread.
    pub fn is_slow(&self) -> bool {
        self.expressions
            .iter()
            .flat_map(|expression| &expression.filters)
            .any(|call| call.filter.is_slow())
    }
}
