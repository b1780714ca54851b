//! From text to segments.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::tag::{self, Tag};
use crate::filter::FilterCall;
use crate::reference::{Parsed, Position};
use crate::{Diagnostic, Reference, Schemes};

/// A parsed template. It owns its source, and holds each distinct reference and expression once however often
/// they occur.
#[derive(Debug)]
pub struct Template {
    pub(super) source: Arc<[u8]>,
    pub(super) segments: Vec<Segment>,
    pub(super) expressions: Vec<Expression>,
    references: Vec<Reference>,
    warnings: Vec<Diagnostic>,
}

/// What surrounds a tag, and whether tags count at all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TemplateOptions {
    /// The marks around a tag.
    pub delimiters: Delimiters,
    /// `false` copies the text as it is (`render = false`).
    pub verbatim: bool,
}

/// The marks around a tag; `{{` and `}}` by default.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Delimiters {
    /// What opens a tag; never empty.
    pub open: String,
    /// What closes it; never empty.
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

impl Template {
    /// Parses `source`, finding all its errors at once.
    ///
    /// # Errors
    /// Every mistake in the source, in order, with its place. Warnings of a good template are in
    /// [`Template::warnings`].
    pub fn parse(
        source: impl Into<Arc<[u8]>>,
        options: &TemplateOptions,
        schemes: &Schemes,
    ) -> Result<Self, Vec<Diagnostic>> {
        let source = source.into();
        if options.verbatim {
            return Ok(Self::literal(source));
        }
        let mut parser = Parser::new(&source, &options.delimiters, schemes);
        parser.run();
        let Parser {
            segments,
            expressions,
            references,
            mut found,
            ..
        } = parser;
        if found.iter().any(Diagnostic::is_error) {
            found.sort_by_key(|diagnostic| diagnostic.span);
            return Err(found);
        }
        let (expressions, references) = (expressions.items, references.items);
        Ok(Self {
            segments,
            expressions,
            references,
            warnings: found,
            source,
        })
    }

    /// A template whose output is its source.
    fn literal(source: Arc<[u8]>) -> Self {
        let segments = vec![Segment::Literal(0..source.len())];
        Self {
            source,
            segments,
            expressions: vec![],
            references: vec![],
            warnings: vec![],
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

/// Distinct values in the order of their first occurrence.
struct Interner<T> {
    items: Vec<T>,
    index: HashMap<u64, Vec<usize>>,
}

impl<T: PartialEq + std::hash::Hash> Interner<T> {
    fn new() -> Self {
        Self {
            items: Vec::new(),
            index: HashMap::new(),
        }
    }

    fn intern(&mut self, item: T) -> usize {
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(&item);
        let same = self.index.entry(hash).or_default();
        if let Some(known) = same.iter().find(|known| self.items[**known] == item) {
            return *known;
        }
        same.push(self.items.len());
        self.items.push(item);
        self.items.len() - 1
    }
}

struct Parser<'a> {
    source: &'a [u8],
    delimiters: &'a Delimiters,
    schemes: &'a Schemes,
    segments: Vec<Segment>,
    expressions: Interner<Expression>,
    references: Interner<Reference>,
    /// Tags seen before by their text, so that the hundred-thousandth occurrence costs a look-up.
    seen: HashMap<&'a [u8], usize>,
    found: Vec<Diagnostic>,
    /// Where the literal that is being read began.
    literal: usize,
}

impl<'a> Parser<'a> {
    fn new(source: &'a [u8], delimiters: &'a Delimiters, schemes: &'a Schemes) -> Self {
        Self {
            source,
            delimiters,
            schemes,
            segments: Vec::new(),
            expressions: Interner::new(),
            references: Interner::new(),
            seen: HashMap::new(),
            found: Vec::new(),
            literal: 0,
        }
    }

    fn run(&mut self) {
        if self.whole_is_bare_reference() {
            return;
        }
        let open = self.delimiters.open.as_bytes();
        let mut at = 0;
        while let Some(start) = find(self.source, open, at) {
            let body = start + open.len();
            let backslashes = self.source[self.literal..start]
                .iter()
                .rev()
                .take_while(|byte| **byte == b'\\')
                .count();
            // Pairs of backslashes stand for one each; an odd one makes the mark literal.
            if backslashes > 0 {
                self.push_literal(start - backslashes);
                self.literal = start - backslashes / 2;
            }
            at = if backslashes % 2 == 1 {
                self.warn_about_escaped_reference(start, body);
                self.push_literal(start);
                self.literal = start;
                body
            } else {
                self.tag(start, body)
            };
        }
        self.push_literal(self.source.len());
        self.drop_space_around_a_lone_tag();
    }

    /// Reads the tag whose mark is at `start`; returns where to go on.
    fn tag(&mut self, start: usize, body: usize) -> usize {
        let closed = find(self.source, self.delimiters.close.as_bytes(), body);
        if let Some(close) = closed
            && let Some(expression) = self.seen.get(&self.source[body..close]).copied()
        {
            return self.push_value(start, close, expression);
        }
        match tag::read(self.source, start, body, self.delimiters, self.schemes) {
            // The mark is text; another tag may start right behind it.
            Tag::Other => body,
            Tag::Wrong { found, resume } => {
                self.found.extend(found);
                resume
            }
            Tag::Expression {
                reference,
                filters,
                close,
            } => {
                let reference = self.references.intern(reference);
                let expression = self.expressions.intern(Expression { reference, filters });
                self.seen.insert(&self.source[body..close], expression);
                self.push_value(start, close, expression)
            }
        }
    }

    fn push_value(&mut self, start: usize, close: usize, expression: usize) -> usize {
        self.push_literal(start);
        self.segments.push(Segment::Value(expression));
        self.literal = close + self.delimiters.close.len();
        self.literal
    }

    fn push_literal(&mut self, end: usize) {
        if self.literal < end {
            self.segments.push(Segment::Literal(self.literal..end));
        }
        self.literal = end;
    }

    fn warn_about_escaped_reference(&mut self, start: usize, body: usize) {
        if let Tag::Expression { close, .. } =
            tag::read(self.source, start, body, self.delimiters, self.schemes)
        {
            let open = &self.delimiters.open;
            self.found.push(
                Diagnostic::warning(
                    start - 1..close + self.delimiters.close.len(),
                    "this reference is escaped and will not be resolved",
                )
                .label("copied as it is")
                .help(format!(
                    "Remove the backslash to resolve it; write `\\\\{open}` for a backslash and a tag."
                )),
            );
        }
    }

    /// A text that is one reference without braces, plus white space.
    fn whole_is_bare_reference(&mut self) -> bool {
        // Longer than any reference: a template.
        const LIMIT: usize = 4096;
        let trimmed = self.source.trim_ascii();
        if trimmed.len() > LIMIT {
            return false;
        }
        let Ok(text) = std::str::from_utf8(trimmed) else {
            return false;
        };
        let offset = self.source.len() - self.source.trim_ascii_start().len();
        match Reference::parse(text, offset, Position::Bare, self.schemes) {
            Parsed::Other => false,
            Parsed::Reference(reference) => {
                let reference = self.references.intern(reference);
                let expression = self.expressions.intern(Expression {
                    reference,
                    filters: vec![],
                });
                self.segments.push(Segment::Value(expression));
                true
            }
            Parsed::Wrong(found) => {
                self.found.extend(found);
                true
            }
        }
    }

    /// A text that is one tag plus white space is the value alone.
    fn drop_space_around_a_lone_tag(&mut self) {
        let mut values = 0;
        let lone = self.segments.iter().all(|segment| match segment {
            Segment::Value(_) => {
                values += 1;
                true
            }
            Segment::Literal(range) => self.source[range.clone()].trim_ascii().is_empty(),
        });
        if lone && values == 1 {
            self.segments
                .retain(|segment| matches!(segment, Segment::Value(_)));
        }
    }
}

/// Where `needle` next stands in `haystack`, from `from` on.
pub(super) fn find(haystack: &[u8], needle: &[u8], from: usize) -> Option<usize> {
    let (first, rest) = needle.split_first()?;
    let mut at = from;
    while let Some(offset) = haystack.get(at..)?.iter().position(|byte| byte == first) {
        let start = at + offset;
        if haystack[start + 1..].starts_with(rest) {
            return Some(start);
        }
        at = start + 1;
    }
    None
}
