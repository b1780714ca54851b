//! From text to segments.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem::Finder;

use super::tag::{Reader, Tag};
use crate::filter::FilterCall;
use crate::reference::{Parsed, Position};
use crate::{Diagnostic, Reference, Schemes};

/// Longer than any reference, in bytes.
pub(super) const MAX_REFERENCE: usize = 4096;

/// Errors after which reading stops, and warnings that are kept: nobody reads more, and one slip may stand a hundred
/// thousand times.
const MAX_FOUND: usize = 100;

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
            mut errors,
            warnings,
            ..
        } = parser;
        if !errors.is_empty() {
            errors.extend(warnings);
            errors.sort_by_key(|diagnostic| diagnostic.span);
            return Err(errors);
        }
        let (expressions, references) = (expressions.items, references.items);
        Ok(Self {
            segments,
            expressions,
            references,
            warnings,
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
    reader: Reader<'a>,
    segments: Vec<Segment>,
    expressions: Interner<Expression>,
    references: Interner<Reference>,
    /// Tags seen before by their text, so that the hundred-thousandth occurrence costs a look-up.
    seen: HashMap<&'a [u8], usize>,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Where the literal that is being read began.
    literal: usize,
    close: NextClose<'a>,
}

impl<'a> Parser<'a> {
    fn new(source: &'a [u8], delimiters: &'a Delimiters, schemes: &'a Schemes) -> Self {
        Self {
            source,
            delimiters,
            schemes,
            reader: Reader::new(source, delimiters, schemes),
            segments: Vec::new(),
            expressions: Interner::new(),
            references: Interner::new(),
            seen: HashMap::new(),
            errors: Vec::new(),
            warnings: Vec::new(),
            literal: 0,
            close: NextClose::new(source, delimiters),
        }
    }

    fn run(&mut self) {
        if self.whole_is_bare_reference() {
            return;
        }
        let open = Finder::new(&self.delimiters.open);
        let mut at = 0;
        while self.errors.len() < MAX_FOUND
            && let Some(start) = self
                .source
                .get(at..)
                .and_then(|rest| open.find(rest))
                .map(|found| at + found)
        {
            let body = start + self.delimiters.open.len();
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
                self.warn_about_escaped_reference(start);
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
        if let Some(close) = self.close.at_or_after(body)
            && let Some(expression) = self.seen.get(&self.source[body..close]).copied()
        {
            return self.push_value(start, close, expression);
        }
        match self.reader.read(start) {
            // The mark is text. Another may begin inside of it: `{{{ op://… }}}` is a tag in braces.
            Tag::Other(warning) => {
                self.warn(warning);
                start + 1
            }
            Tag::Wrong { found, resume } => {
                self.errors.extend(found);
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

    fn warn_about_escaped_reference(&mut self, start: usize) {
        if let Tag::Expression { close, .. } = self.reader.read(start) {
            let open = &self.delimiters.open;
            let warning = Diagnostic::warning(
                start - 1..close + self.delimiters.close.len(),
                "this reference is escaped and will not be resolved",
            )
            .label("copied as it is")
            .help(format!(
                "Remove the backslash to resolve it; write `\\\\{open}` for a backslash and a tag."
            ));
            self.warn(Some(warning));
        }
    }

    fn warn(&mut self, warning: Option<Diagnostic>) {
        if self.warnings.len() < MAX_FOUND {
            self.warnings.extend(warning);
        }
    }

    /// A text that is one reference without braces, plus white space.
    fn whole_is_bare_reference(&mut self) -> bool {
        let trimmed = self.source.trim_ascii();
        if trimmed.len() > MAX_REFERENCE {
            return false;
        }
        let Ok(text) = std::str::from_utf8(trimmed) else {
            return false;
        };
        let offset = self.source.len() - self.source.trim_ascii_start().len();
        match Reference::parse(text, offset, Position::Bare, self.schemes) {
            Parsed::Other => return false,
            Parsed::Wrong(found) => self.errors.extend(found),
            Parsed::Reference(reference) => match text.find(&self.delimiters.open) {
                Some(at) => self.errors.push(
                    Diagnostic::error(
                        offset + at..offset + at + self.delimiters.open.len(),
                        "a tag cannot stand inside of a reference",
                    )
                    .help("Write the reference without tags; one reference names one secret."),
                ),
                None => {
                    let reference = self.references.intern(reference);
                    let filters = Vec::new();
                    let expression = self.expressions.intern(Expression { reference, filters });
                    self.segments.push(Segment::Value(expression));
                }
            },
        }
        true
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

/// Finds closing marks from left to right. It remembers the last one, so that many opening marks in front of one
/// closing mark do not look for it again each.
struct NextClose<'a> {
    source: &'a [u8],
    finder: Finder<'a>,
    /// Where the search stands, and what it found there: nothing up to the end, if `None`.
    known: Option<(usize, Option<usize>)>,
}

impl<'a> NextClose<'a> {
    fn new(source: &'a [u8], delimiters: &'a Delimiters) -> Self {
        Self {
            source,
            finder: Finder::new(&delimiters.close),
            known: None,
        }
    }

    /// The first closing mark that begins at `from` or later.
    fn at_or_after(&mut self, from: usize) -> Option<usize> {
        match self.known {
            Some((searched, found)) if searched <= from && found.is_none_or(|found| from <= found) => found,
            _ => {
                let found = self
                    .finder
                    .find(self.source.get(from..)?)
                    .map(|found| from + found);
                self.known = Some((from, found));
                found
            }
        }
    }
}
