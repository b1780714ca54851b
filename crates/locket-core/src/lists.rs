//! Lists in environment variables: several entries of a repeatable flag in one text.
//!
//! Entries keep their own syntax: nothing is unescaped or unquoted here but the separators themselves.

use crate::{Diagnostic, Span};

/// One entry of a list, without the white space around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    text: String,
    span: Span,
    /// Offsets into `text` before which a backslash of the list was dropped, rising.
    dropped: Vec<usize>,
}

/// Splits `list` at every `;` and line break, or at `,` and line breaks when no `;` separates. Empty entries are
/// left out.
///
/// Nothing separates inside `{{ }}`, inside double quotes, or inside single quotes around a whole entry or what
/// follows its `=`. Quotes stay in the entry. A backslash before a separator or double quote makes it an ordinary
/// character; two before it stand for one, and any other backslash stays.
///
/// # Errors
/// A double quote that is never closed.
pub fn split(list: &str) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    split_unless(list, |_| false)
}

/// Like [`split`], but a `,` before a text of which `continues` is true belongs to the entry.
///
/// # Errors
/// As for [`split`].
pub fn split_unless(list: &str, continues: impl Fn(&str) -> bool) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let marks = Scanner::new(list).run().map_err(|diagnostic| vec![diagnostic])?;
    let semicolons = marks.separators.iter().any(|at| list.as_bytes()[*at] == b';');
    let mut entries = Vec::new();
    let mut start = 0;
    for at in marks.separators {
        let is_comma = list.as_bytes()[at] == b',';
        if is_comma && (semicolons || continues(list[at + 1..].trim_start())) {
            continue;
        }
        entries.extend(Entry::cut(list, start, at, &marks.dropped));
        start = at + 1;
    }
    entries.extend(Entry::cut(list, start, list.len(), &marks.dropped));
    Ok(entries)
}

impl Entry {
    /// The entry's text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where it stands in the list.
    pub fn span(&self) -> Span {
        self.span
    }

    /// A finding in the entry's text as a finding in the list.
    #[must_use]
    pub fn locate(&self, diagnostic: Diagnostic) -> Diagnostic {
        let Span { start, end } = diagnostic.span;
        let before_start = self.dropped.partition_point(|dropped| *dropped <= start);
        let before_end = self.dropped.partition_point(|dropped| *dropped < end);
        let start = self.span.start + start + before_start;
        let end = self.span.start + end + before_end;
        Diagnostic {
            span: Span::new(start, end.max(start)),
            ..diagnostic
        }
    }

    /// What stands from `start` to `end` of `list`; `None` when that is nothing but white space.
    fn cut(list: &str, start: usize, end: usize, dropped: &[usize]) -> Option<Self> {
        let part = &list[start..end];
        let start = start + (part.len() - part.trim_start().len());
        let part = part.trim();
        if part.is_empty() {
            return None;
        }
        let span = Span::new(start, start + part.len());
        let mut text = String::with_capacity(part.len());
        let mut at = start;
        let mut places = Vec::new();
        let inside = dropped.partition_point(|drop| *drop < span.start)
            ..dropped.partition_point(|drop| *drop < span.end);
        for drop in &dropped[inside] {
            text.push_str(&list[at..*drop]);
            places.push(text.len());
            at = drop + 1;
        }
        text.push_str(&list[at..span.end]);
        // A line break that a backslash makes ordinary is white space all the same.
        if text.is_empty() {
            return None;
        }
        Some(Self {
            text,
            span,
            dropped: places,
        })
    }
}

/// What the list's own syntax consists of, by offset.
#[derive(Default)]
struct Marks {
    /// Every `;`, `,` and line break that may separate.
    separators: Vec<usize>,
    /// Every backslash that is not part of its entry.
    dropped: Vec<usize>,
}

struct Scanner<'a> {
    list: &'a str,
    at: usize,
    marks: Marks,
    /// Whether an entry or its value begins here, so that a single quote encloses it.
    at_start: bool,
}

impl<'a> Scanner<'a> {
    fn new(list: &'a str) -> Self {
        Self {
            list,
            at: 0,
            marks: Marks::default(),
            at_start: true,
        }
    }

    fn run(mut self) -> Result<Marks, Diagnostic> {
        while let Some(byte) = self.list.as_bytes().get(self.at).copied() {
            let rest = &self.list[self.at..];
            match byte {
                b'\\' => self.backslashes(),
                b'"' => self.at += double_quoted(rest).ok_or_else(|| self.never_closed())?,
                b'{' => self.at += tag(rest).unwrap_or(1),
                b'\'' if self.at_start => self.at += single_quoted(rest).unwrap_or(1),
                b';' | b',' | b'\n' => {
                    self.marks.separators.push(self.at);
                    self.at += 1;
                }
                _ => self.at += rest.chars().next().map_or(1, char::len_utf8),
            }
            self.at_start = match byte {
                b';' | b',' | b'\n' | b'=' => true,
                b' ' | b'\t' | b'\r' => self.at_start,
                _ => false,
            };
        }
        Ok(self.marks)
    }

    /// A run of backslashes means something only before a separator or double quote: pairs stand for one each, and
    /// an odd one makes the character ordinary.
    fn backslashes(&mut self) {
        let bytes = self.list.as_bytes();
        let count = bytes[self.at..].iter().take_while(|byte| **byte == b'\\').count();
        let end = self.at + count;
        if matches!(bytes.get(end), Some(b';' | b',' | b'\n' | b'"')) {
            self.marks.dropped.extend(self.at..self.at + count.div_ceil(2));
            self.at = end + count % 2;
        } else {
            self.at = end;
        }
    }

    fn never_closed(&self) -> Diagnostic {
        Diagnostic::error(self.at..self.at + 1, "this quote is never closed")
            .help("Close it, or write `\\\"` for a quote that protects nothing.")
    }
}

/// Length of the double-quoted text at the start, quotes included.
fn double_quoted(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Length of the single-quoted text at the start. Its end has nothing behind it but a separator, so that an
/// apostrophe is none.
fn single_quoted(text: &str) -> Option<usize> {
    text.match_indices('\'')
        .skip(1)
        .map(|(at, _)| at + 1)
        .find(|end| {
            let behind = text[*end..].trim_start_matches([' ', '\t', '\r']);
            behind.is_empty() || behind.starts_with([';', ',', '\n'])
        })
}

/// Length of the tag at the start, braces included; `None` when there is none. Quotes protect its closing mark.
pub(crate) fn tag(text: &str) -> Option<usize> {
    if !text.starts_with("{{") || !text.contains("}}") {
        return None;
    }
    let mut at = 2;
    loop {
        let rest = text.get(at..)?;
        at += match rest.bytes().next()? {
            b'"' => double_quoted(rest)?,
            b'}' if rest.starts_with("}}") => return Some(at + 2),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
}

#[cfg(test)]
#[path = "lists_tests.rs"]
mod tests;
