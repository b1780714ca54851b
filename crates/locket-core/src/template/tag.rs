//! One tag: a reference, then filters with their arguments.

use memchr::memmem;

use super::model::Delimiters;
use super::parse::MAX_REFERENCE;
use crate::filter::{Argument, Filter, FilterCall};
use crate::reference::{Parsed, Position};
use crate::{Diagnostic, Reference, Schemes, Span};

/// What stands behind an opening mark.
pub(super) enum Tag {
    /// No reference: the mark is text. With a warning when it looks like one.
    Other(Option<Diagnostic>),
    /// Meant as a reference, and wrong; reading goes on at `resume`.
    Wrong { found: Vec<Diagnostic>, resume: usize },
    /// A reference and its filters; the closing mark starts at `close`.
    Expression {
        reference: Reference,
        filters: Vec<FilterCall>,
        close: usize,
    },
}

/// Reads tags of one source.
pub(super) struct Reader<'a> {
    source: &'a [u8],
    open: &'a str,
    close: &'a str,
    schemes: &'a Schemes,
}

/// Where the reference in a tag ends.
enum End {
    /// At the `|` before the first filter, or at the closing mark.
    Mark(usize),
    /// Neither came before this offset.
    Unclosed(usize),
    /// Neither came in as many bytes as a reference may have, which end at this offset.
    TooLong(usize),
}

impl<'a> Reader<'a> {
    pub(super) fn new(source: &'a [u8], delimiters: &'a Delimiters, schemes: &'a Schemes) -> Self {
        Self {
            source,
            open: &delimiters.open,
            close: &delimiters.close,
            schemes,
        }
    }

    /// Reads the tag whose opening mark is at `start`.
    pub(super) fn read(&self, start: usize) -> Tag {
        let body = start + self.open.len();
        let end = match self.reference_end(body) {
            End::Mark(end) => end,
            endless => return self.endless(start, body, &endless),
        };
        let inside = &self.source[body..end];
        let Ok(text) = std::str::from_utf8(inside) else {
            return match self.parse(&String::from_utf8_lossy(inside), body) {
                Parsed::Other => Tag::Other(None),
                _ => self.wrong(
                    vec![
                        Diagnostic::error(body..end, "this reference is not UTF-8 text")
                            .help("Save the file as UTF-8, or percent-encode the bytes in question."),
                    ],
                    end,
                ),
            };
        };
        let reference = match self.parse(text, body) {
            Parsed::Other => return Tag::Other(self.looks_like_reference(text, body)),
            Parsed::Wrong(found) => return self.wrong(found, end),
            Parsed::Reference(reference) => reference,
        };
        match Words::new(self, start, end).filters() {
            Ok((filters, close)) => Tag::Expression {
                reference,
                filters,
                close,
            },
            Err(found) => self.wrong(found, end),
        }
    }

    fn parse(&self, text: &str, offset: usize) -> Parsed {
        Reference::parse(text, offset, Position::Tag, self.schemes)
    }

    /// A wrong tag whose reference ends at `end`. Reading goes on behind the tag, so that what is wrong is told once.
    fn wrong(&self, found: Vec<Diagnostic>, end: usize) -> Tag {
        let close = memmem::find(&self.source[end..], self.close.as_bytes());
        let resume = close.map_or(end, |at| end + at + self.close.len());
        Tag::Wrong { found, resume }
    }

    /// The first `|` or closing mark outside of quotes. The reference stands on one line; the mark may follow on a
    /// later one. Another opening mark ends the search even in quotes, so that each byte is looked at once.
    fn reference_end(&self, body: usize) -> End {
        let lead = leading_space(&self.source[body..]);
        let mut at = body + lead;
        let limit = at + MAX_REFERENCE;
        let closes = |rest: &[u8]| rest.starts_with(self.close.as_bytes());
        let mut quoted = false;
        while at < limit {
            let rest = self.source.get(at..).unwrap_or_default();
            let Some(byte) = rest.first() else {
                return End::Unclosed(self.source.len());
            };
            match byte {
                _ if rest.starts_with(self.open.as_bytes()) && !closes(rest) => return End::Unclosed(at),
                b'\n' if quoted => return End::Unclosed(at),
                b'\\' if quoted && rest.get(1) != Some(&b'\n') => at += 1,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'|' => return End::Mark(at),
                _ if closes(rest) => return End::Mark(at),
                b'\n' => {
                    let mark = at + leading_space(rest);
                    let next = &self.source[mark..];
                    let ends = closes(next) || next.starts_with(b"|");
                    return if ends { End::Mark(mark) } else { End::Unclosed(at) };
                }
                _ => {}
            }
            at += 1;
        }
        End::TooLong(limit.min(self.source.len()))
    }

    /// A tag without end is wrong when it starts like a reference; else it is text.
    fn endless(&self, start: usize, body: usize, end: &End) -> Tag {
        let (End::Mark(stop) | End::Unclosed(stop) | End::TooLong(stop)) = *end;
        let inside = self.source[body..stop].trim_ascii_start();
        let from = stop - inside.len();
        let line = inside.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let text = String::from_utf8_lossy(line);
        // An open quote would hide the reference.
        let plain = text
            .trim_start_matches('"')
            .split(['"', '|'])
            .next()
            .unwrap_or_default();
        let known = |(word, _): (&str, &str)| self.schemes.get(word.trim()).is_some();
        let meant = plain.split_once("://").is_some_and(known);
        if !meant && !matches!(self.parse(plain, body), Parsed::Reference(_)) {
            return Tag::Other(None);
        }
        let place = start..from + line.trim_ascii_end().len();
        let diagnostic = if let End::TooLong(_) = end {
            Diagnostic::error(
                place,
                format!("this reference is longer than {MAX_REFERENCE} bytes"),
            )
            .help("Close the tag, or shorten the reference; long texts go into arguments of filters.")
        } else {
            let close = self.close;
            Diagnostic::error(place, "this tag is never closed")
                .label(format!("`{close}` is missing"))
                .help(format!(
                    "Close it with `{close}`, and every quote in it with `\"` on the same line."
                ))
        };
        Tag::Wrong {
            found: vec![diagnostic],
            resume: stop,
        }
    }

    /// A warning about a tag that is copied as it is although it names a reference, such as `{{- op://… -}}`.
    fn looks_like_reference(&self, text: &str, body: usize) -> Option<Diagnostic> {
        // A tag that begins one byte further on comes next.
        if self.source[body + 1 - self.open.len()..].starts_with(self.open.as_bytes()) {
            return None;
        }
        let separator = text.find("://")?;
        let word = text[..separator]
            .rsplit(|char: char| !char.is_ascii_alphanumeric() && !"+-._".contains(char))
            .next()?;
        let word = word.trim_start_matches('-');
        self.schemes.get(word).filter(|scheme| scheme.bare)?;
        let open = self.open;
        Some(
            Diagnostic::warning(
                body + separator - word.len()..body + text.trim_end().len(),
                "this reference will not be resolved",
            )
            .label("copied as it is")
            .help(format!(
                "A tag is a reference from its first character on: `{open} {word}://… {}`.",
                self.close
            )),
        )
    }
}

/// The words behind a reference.
struct Words<'r, 'a> {
    reader: &'r Reader<'a>,
    /// Where the tag begins.
    start: usize,
    at: usize,
}

enum Word {
    Plain(Argument),
    Quoted(Argument),
    Bar(usize),
    Close(usize),
}

impl<'r, 'a> Words<'r, 'a> {
    fn new(reader: &'r Reader<'a>, start: usize, at: usize) -> Self {
        Self { reader, start, at }
    }

    /// Reads `| name arg arg | …` up to the closing mark, whose offset is returned beside the filters.
    fn filters(&mut self) -> Result<(Vec<FilterCall>, usize), Vec<Diagnostic>> {
        let mut filters = Vec::new();
        let mut found = Vec::new();
        match self.read_filters(&mut filters, &mut found) {
            Ok(close) if found.is_empty() => match Filter::check_order(&filters) {
                Ok(()) => return Ok((filters, close)),
                Err(diagnostic) => found.push(diagnostic),
            },
            Ok(_) => {}
            Err(diagnostic) => found.push(diagnostic),
        }
        Err(found)
    }

    /// # Errors
    /// What makes reading on impossible; every other mistake goes into `found`.
    fn read_filters(
        &mut self,
        filters: &mut Vec<FilterCall>,
        found: &mut Vec<Diagnostic>,
    ) -> Result<usize, Diagnostic> {
        let mut word = self.next()?;
        loop {
            match word {
                Word::Close(close) => return Ok(close),
                Word::Bar(bar) => {
                    let name = match self.next()? {
                        Word::Plain(name) => name,
                        Word::Quoted(name) => {
                            found.push(
                                Diagnostic::error(name.span, "a filter's name is not quoted")
                                    .help("Write the name, then its arguments: `| replace \"a\" \"b\"`."),
                            );
                            name
                        }
                        other => {
                            found.push(
                                Diagnostic::error(bar..bar + 1, "no filter stands behind this `|`")
                                    .help("Name one, such as `base64`, or remove the `|`."),
                            );
                            word = other;
                            continue;
                        }
                    };
                    let mut arguments = Vec::new();
                    word = loop {
                        match self.next()? {
                            Word::Plain(argument) | Word::Quoted(argument) => arguments.push(argument),
                            other => break other,
                        }
                    };
                    let end = arguments
                        .last()
                        .map_or(name.span.end, |argument| argument.span.end);
                    match Filter::parse(&name, &arguments) {
                        Ok(filter) => filters.push(FilterCall {
                            filter,
                            span: Span::new(name.span.start, end),
                        }),
                        Err(diagnostic) => found.push(diagnostic),
                    }
                }
                // The reference ends at a bar or at the close, and arguments take every other word.
                Word::Plain(_) | Word::Quoted(_) => word = self.next()?,
            }
        }
    }

    fn next(&mut self) -> Result<Word, Diagnostic> {
        let source = self.reader.source;
        self.at += leading_space(&source[self.at..]);
        let start = self.at;
        let rest = &source[start..];
        match rest.first() {
            _ if rest.starts_with(self.reader.close.as_bytes()) => Ok(Word::Close(start)),
            Some(b'|') => {
                self.at += 1;
                Ok(Word::Bar(start))
            }
            Some(b'"') => self.quoted(start),
            Some(_) if !rest.starts_with(self.reader.open.as_bytes()) => self.plain(start),
            _ => Err(self.never_closed()),
        }
    }

    fn plain(&mut self, start: usize) -> Result<Word, Diagnostic> {
        let source = self.reader.source;
        while let Some(byte) = source.get(self.at) {
            let ends = byte.is_ascii_whitespace()
                || matches!(byte, b'|' | b'"')
                || source[self.at..].starts_with(self.reader.close.as_bytes());
            if ends {
                break;
            }
            self.at += 1;
        }
        self.argument(source[start..self.at].to_vec(), start)
            .map(Word::Plain)
    }

    fn quoted(&mut self, start: usize) -> Result<Word, Diagnostic> {
        let mut bytes = Vec::new();
        let mut rest = self.reader.source[start + 1..].iter();
        loop {
            match rest.next() {
                None | Some(b'\n') => return Err(never_closed_quote(start)),
                Some(b'"') => break,
                Some(b'\\') => match rest.next() {
                    None | Some(b'\n') => return Err(never_closed_quote(start)),
                    Some(b'n') => bytes.push(b'\n'),
                    Some(b't') => bytes.push(b'\t'),
                    Some(b'r') => bytes.push(b'\r'),
                    Some(byte @ (b'"' | b'\\')) => bytes.push(*byte),
                    Some(byte) => bytes.extend([b'\\', *byte]),
                },
                Some(byte) => bytes.push(*byte),
            }
        }
        self.at = self.reader.source.len() - rest.len();
        self.argument(bytes, start).map(Word::Quoted)
    }

    /// The argument that was read from `start` up to here.
    fn argument(&self, bytes: Vec<u8>, start: usize) -> Result<Argument, Diagnostic> {
        let span = Span::new(start, self.at);
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Argument { text, span }),
            Err(_) => Err(Diagnostic::error(span, "this is not UTF-8 text").help("Save the file as UTF-8.")),
        }
    }

    fn never_closed(&self) -> Diagnostic {
        let close = self.reader.close;
        let line = self.reader.source[self.start..]
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let end = self.at.min(self.start + line.trim_ascii_end().len());
        Diagnostic::error(self.start..end, "this tag is never closed")
            .label(format!("`{close}` is missing"))
            .help(format!("Close it with `{close}` behind its last filter."))
    }
}

fn never_closed_quote(at: usize) -> Diagnostic {
    Diagnostic::error(at..at + 1, "this quote is never closed").help(
        "Close it with `\"` on the same line; write `\\\"` for a quote and `\\n` for a line break in it.",
    )
}

fn leading_space(bytes: &[u8]) -> usize {
    bytes.len() - bytes.trim_ascii_start().len()
}
