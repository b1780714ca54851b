//! One tag: a reference, then filters with their arguments.

use super::parse::{Delimiters, find};
use crate::filter::{Argument, Filter, FilterCall};
use crate::reference::{Parsed, Position};
use crate::{Diagnostic, Reference, Schemes, Span};

/// What stands behind an opening mark.
pub(super) enum Tag {
    /// No reference: the mark is text.
    Other,
    /// Meant as a reference, and wrong; reading goes on at `resume`.
    Wrong { found: Vec<Diagnostic>, resume: usize },
    /// A reference and its filters; the closing mark starts at `close`.
    Expression {
        reference: Reference,
        filters: Vec<FilterCall>,
        close: usize,
    },
}

/// Reads the tag whose opening mark is at `start` and whose inside begins at `body`.
pub(super) fn read(
    source: &[u8],
    start: usize,
    body: usize,
    delimiters: &Delimiters,
    schemes: &Schemes,
) -> Tag {
    let end = match reference_end(source, body, delimiters) {
        End::Bar(at) | End::Close(at) => at,
        End::None(stop) => return unclosed(source, start, body, stop, delimiters, schemes),
    };
    let Ok(text) = std::str::from_utf8(&source[body..end]) else {
        return Tag::Other;
    };
    let close_guess =
        || find(source, delimiters.close.as_bytes(), end).map_or(end, |at| at + delimiters.close.len());
    let reference = match Reference::parse(text, body, Position::Tag, schemes) {
        Parsed::Other => return Tag::Other,
        Parsed::Wrong(found) => {
            return Tag::Wrong {
                found,
                resume: close_guess(),
            };
        }
        Parsed::Reference(reference) => reference,
    };
    match read_filters(source, end, delimiters) {
        Ok((filters, close)) => Tag::Expression {
            reference,
            filters,
            close,
        },
        Err(found) => Tag::Wrong {
            found,
            resume: close_guess(),
        },
    }
}

enum End {
    Bar(usize),
    Close(usize),
    /// Neither came before this offset.
    None(usize),
}

/// Where the reference ends: at the first `|` or closing mark outside quotes, on the same line.
fn reference_end(source: &[u8], body: usize, delimiters: &Delimiters) -> End {
    let lead = source[body..]
        .iter()
        .take_while(|byte| byte.is_ascii_whitespace())
        .count();
    let mut at = body + lead;
    let mut quoted = false;
    while at < source.len() {
        let rest = &source[at..];
        match rest[0] {
            b'\\' if quoted && rest.len() > 1 => at += 1,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'|' => return End::Bar(at),
            _ if rest.starts_with(delimiters.close.as_bytes()) => return End::Close(at),
            b'\n'
                if !rest.trim_ascii_start().starts_with(delimiters.close.as_bytes())
                    && !rest.trim_ascii_start().starts_with(b"|") =>
            {
                return End::None(at);
            }
            _ if rest.starts_with(delimiters.open.as_bytes()) => return End::None(at),
            _ => {}
        }
        at += 1;
    }
    End::None(source.len())
}

/// A tag without end is an error when it starts like a reference, otherwise text.
fn unclosed(
    source: &[u8],
    start: usize,
    body: usize,
    stop: usize,
    delimiters: &Delimiters,
    schemes: &Schemes,
) -> Tag {
    let line_end = source[body..]
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(source.len(), |at| body + at);
    let stop = stop.min(line_end);
    let inside = source[body..stop].trim_ascii();
    let inside = inside.strip_prefix(b"\"").unwrap_or(inside);
    let Ok(text) = std::str::from_utf8(inside) else {
        return Tag::Other;
    };
    let text = text.split(['"', '|']).next().unwrap_or_default();
    if !matches!(
        Reference::parse(text, body, Position::Tag, schemes),
        Parsed::Reference(_)
    ) {
        return Tag::Other;
    }
    let close = &delimiters.close;
    let diagnostic = Diagnostic::error(Span::new(start, stop), "this tag is never closed")
        .label(format!("`{close}` is missing"))
        .help(format!(
            "Close it with `{close}` on the same line; a quote inside must be closed too."
        ));
    Tag::Wrong {
        found: vec![diagnostic],
        resume: stop.max(body),
    }
}

/// Reads `| name arg arg | …` up to the closing mark, whose offset is returned beside the filters.
fn read_filters(
    source: &[u8],
    from: usize,
    delimiters: &Delimiters,
) -> Result<(Vec<FilterCall>, usize), Vec<Diagnostic>> {
    let mut words = Words {
        source,
        at: from,
        close: delimiters.close.as_bytes(),
        open: delimiters.open.as_bytes(),
    };
    let mut filters = Vec::new();
    let mut found = Vec::new();
    let mut word = words.next()?;
    loop {
        match word {
            Word::Close(close) if found.is_empty() => return Ok((filters, close)),
            Word::Close(_) => return Err(found),
            Word::Bar(bar) => {
                let name = match words.next()? {
                    Word::Plain(name) => name,
                    Word::Quoted(argument) => {
                        found.push(
                            Diagnostic::error(argument.span, "a filter's name is not quoted")
                                .help("Write the name, then its arguments: `| replace \"a\" \"b\"`."),
                        );
                        argument
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
                    match words.next()? {
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
            Word::Plain(stray) | Word::Quoted(stray) => {
                found.push(Diagnostic::error(stray.span, "a `|` is missing before this"));
                word = words.next()?;
            }
        }
    }
}

enum Word {
    Plain(Argument),
    Quoted(Argument),
    Bar(usize),
    Close(usize),
}

struct Words<'a> {
    source: &'a [u8],
    at: usize,
    open: &'a [u8],
    close: &'a [u8],
}

impl Words<'_> {
    fn next(&mut self) -> Result<Word, Vec<Diagnostic>> {
        self.at += self.source[self.at..]
            .iter()
            .take_while(|byte| byte.is_ascii_whitespace())
            .count();
        let start = self.at;
        let rest = &self.source[start..];
        if rest.starts_with(self.close) {
            return Ok(Word::Close(start));
        }
        match rest.first() {
            Some(b'|') => {
                self.at += 1;
                Ok(Word::Bar(start))
            }
            Some(b'"') => self.quoted(start),
            Some(_) if !rest.starts_with(self.open) => Ok(self.plain(start)),
            _ => Err(self.never_closed(start)),
        }
    }

    fn plain(&mut self, start: usize) -> Word {
        while let Some(byte) = self.source.get(self.at) {
            if byte.is_ascii_whitespace() || *byte == b'|' || self.source[self.at..].starts_with(self.close) {
                break;
            }
            self.at += 1;
        }
        let text = String::from_utf8_lossy(&self.source[start..self.at]).into_owned();
        Word::Plain(Argument {
            text,
            span: Span::new(start, self.at),
        })
    }

    fn quoted(&mut self, start: usize) -> Result<Word, Vec<Diagnostic>> {
        let mut bytes = Vec::new();
        let mut at = start + 1;
        loop {
            match self.source.get(at) {
                None => return Err(self.never_closed(start)),
                Some(b'"') => break,
                Some(b'\\') => {
                    let escaped = self.source.get(at + 1).copied();
                    match escaped {
                        Some(b'n') => bytes.push(b'\n'),
                        Some(b't') => bytes.push(b'\t'),
                        Some(b'r') => bytes.push(b'\r'),
                        Some(byte @ (b'"' | b'\\')) => bytes.push(byte),
                        Some(byte) => bytes.extend([b'\\', byte]),
                        None => return Err(self.never_closed(start)),
                    }
                    at += 2;
                    continue;
                }
                Some(byte) => bytes.push(*byte),
            }
            at += 1;
        }
        self.at = at + 1;
        let span = Span::new(start, self.at);
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Word::Quoted(Argument { text, span })),
            Err(_) => Err(vec![Diagnostic::error(span, "this argument is not UTF-8")]),
        }
    }

    fn never_closed(&self, start: usize) -> Vec<Diagnostic> {
        let close = String::from_utf8_lossy(self.close);
        vec![
            Diagnostic::error(
                start..(start + 1).min(self.source.len()),
                "this tag is never closed",
            )
            .label(format!("`{close}` is missing"))
            .help(format!(
                "Close the tag with `{close}`, and every quote in it with `\"`."
            )),
        ]
    }
}
