//! From text to segments.

use memchr::memmem::Finder;
use rustc_hash::{FxBuildHasher, FxHashMap};

use super::model::{Delimiters, Expression, Segment};
use super::tag::{Reader, Tag};
use crate::filter::FilterCall;
use crate::reference::{Parsed, Position};
use crate::{Diagnostic, Reference, Schemes, Span};

/// Longer than any reference, in bytes.
pub(super) const MAX_REFERENCE: usize = 4096;

/// Tags that most templates have no more of: room for them is made at once.
const USUAL: usize = 7;

/// Errors after which reading stops, and warnings that are kept: nobody reads more, and one slip may stand a hundred
/// thousand times.
const MAX_FOUND: usize = 100;

/// Tags read before, so that templates which share references parse each once. It serves one set of schemes.
#[derive(Debug, Default)]
pub struct KnownTags {
    /// Their marks: the same text may mean another thing between others.
    delimiters: Delimiters,
    /// References without filters, by what stands between the marks. Spans count from there.
    references: FxHashMap<Box<[u8]>, Reference>,
}

/// What a source consists of.
pub(super) struct Parts {
    pub(super) segments: Box<[Segment]>,
    pub(super) expressions: Box<[Expression]>,
    pub(super) references: Box<[Reference]>,
    pub(super) warnings: Box<[Diagnostic]>,
}

/// Reads `source` in one pass.
///
/// # Errors
/// Every mistake and warning, in order.
pub(super) fn parse(
    source: &[u8],
    delimiters: &Delimiters,
    schemes: &Schemes,
    known: &mut KnownTags,
) -> Result<Parts, Vec<Diagnostic>> {
    known.serve(delimiters);
    let mut parser = Parser::new(source, delimiters, schemes, known);
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
    Ok(Parts {
        segments: segments.into(),
        expressions: expressions.items.into(),
        references: references.items.into(),
        warnings: warnings.into(),
    })
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
    seen: FxHashMap<&'a [u8], usize>,
    known: &'a mut KnownTags,
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// Where the literal that is being read began.
    literal: usize,
    close: NextClose<'a>,
}

impl<'a> Parser<'a> {
    fn new(
        source: &'a [u8],
        delimiters: &'a Delimiters,
        schemes: &'a Schemes,
        known: &'a mut KnownTags,
    ) -> Self {
        Self {
            source,
            delimiters,
            schemes,
            reader: Reader::new(source, delimiters, schemes),
            segments: Vec::with_capacity(2 * USUAL),
            expressions: Interner::new(),
            references: Interner::new(),
            seen: FxHashMap::with_capacity_and_hasher(USUAL, FxBuildHasher),
            known,
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
        if let Some(close) = self.close.at_or_after(body) {
            let text = &self.source[body..close];
            if let Some(expression) = self.seen.get(text).copied() {
                return self.push_value(start, close, expression);
            }
            if let Some(reference) = self.known.get(text, body) {
                return self.push_expression(start, body, close, reference, Vec::new());
            }
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
                if filters.is_empty() {
                    self.known.learn(&self.source[body..close], body, &reference);
                }
                self.push_expression(start, body, close, reference, filters)
            }
        }
    }

    fn push_expression(
        &mut self,
        start: usize,
        body: usize,
        close: usize,
        reference: Reference,
        filters: Vec<FilterCall>,
    ) -> usize {
        let reference = self.references.intern(reference);
        let expression = self.expressions.intern(Expression { reference, filters });
        self.seen.insert(&self.source[body..close], expression);
        self.push_value(start, close, expression)
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

impl KnownTags {
    /// Keeps what it knows if that stood between the same marks.
    fn serve(&mut self, delimiters: &Delimiters) {
        if self.delimiters != *delimiters {
            self.delimiters = delimiters.clone();
            self.references.clear();
        }
    }

    /// The reference in the tag whose `text` stands at `body`.
    fn get(&self, text: &[u8], body: usize) -> Option<Reference> {
        let reference = self.references.get(text)?;
        let span = reference.span();
        Some(reference.at(Span::new(body + span.start, body + span.end)))
    }

    fn learn(&mut self, text: &[u8], body: usize, reference: &Reference) {
        let span = reference.span();
        let reference = reference.at(Span::new(span.start - body, span.end - body));
        self.references.insert(text.into(), reference);
    }
}

/// Distinct values in the order of their first occurrence.
struct Interner<T> {
    items: Vec<T>,
    /// Where values of a hash stand. Filled when there are more than [`FEW`] of them.
    index: FxHashMap<u64, Vec<usize>>,
}

/// So many values are compared faster than hashed; most templates have fewer.
const FEW: usize = 16;

impl<T: PartialEq + std::hash::Hash> Interner<T> {
    fn new() -> Self {
        Self {
            items: Vec::with_capacity(USUAL),
            index: FxHashMap::default(),
        }
    }

    fn intern(&mut self, item: T) -> usize {
        let known = if self.items.len() <= FEW {
            self.items.iter().position(|known| *known == item)
        } else {
            if self.index.is_empty() {
                for (at, known) in self.items.iter().enumerate() {
                    self.index.entry(hash(known)).or_default().push(at);
                }
            }
            let same = self.index.entry(hash(&item)).or_default();
            let known = same.iter().copied().find(|known| self.items[*known] == item);
            if known.is_none() {
                same.push(self.items.len());
            }
            known
        };
        known.unwrap_or_else(|| {
            self.items.push(item);
            self.items.len() - 1
        })
    }
}

fn hash<T: std::hash::Hash>(item: &T) -> u64 {
    use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
    BuildHasherDefault::<DefaultHasher>::default().hash_one(item)
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
