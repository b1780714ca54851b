//! The map of `locket sync`: lines `reference,path,mode,container,signal`, quoted as RFC 4180 says.
//!
//! What a reference names is read when the providers are known; everything else is settled here, with its place.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::action::{Action, ContainerOrder};
use crate::spec;
use crate::{Diagnostic, Span};

/// A map that can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncMap {
    /// Its lines, in order.
    pub rows: Vec<Row>,
    /// What its author should know about it.
    pub warnings: Vec<Diagnostic>,
}

/// A map with mistakes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mistaken {
    /// Every mistake and warning, in order.
    pub found: Vec<Diagnostic>,
    /// The lines that could be read, in order: what is wrong with their references belongs to the same list.
    pub rows: Vec<Row>,
}

/// One secret, where it goes, and who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// A reference or template, as it is written, without quotes and the white space around it.
    pub reference: String,
    /// Where that stands in the map, quotes included.
    pub span: Span,
    /// An absolute path.
    pub path: PathBuf,
    /// Permission bits of the file.
    pub mode: u32,
    /// Who is told when the file changes.
    pub action: Option<Action>,
}

/// The columns, as messages call them.
const COLUMNS: [&str; 5] = ["reference", "path", "mode", "container", "signal"];

/// First cells of a header line.
const HEADERS: &[&str] = &["ocid", "reference", "secret", "ref"];

/// Mode of a file whose line gives none.
const MODE: u32 = 0o600;

const FORM: &str = "Write lines like `oci://ocid1.vaultsecret…,/run/secrets/db_password,0600,myapp,HUP`.";

/// Parses a map. Lines that are empty or begin with `#`, a first line that names the columns, and white space around
/// a cell that is not quoted do not count.
///
/// # Errors
/// Every mistake of every line, in order, and the lines that could be read.
pub fn parse(source: &[u8]) -> Result<SyncMap, Mistaken> {
    let mut found = Vec::new();
    let text = text(source, &mut found);
    let records = Reader { text, at: 0 }.records(&mut found);
    let mut map = SyncMap::default();
    let mut paths: HashMap<PathBuf, usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        if index == 0 && is_header(record) {
            continue;
        }
        let findings = match row(record) {
            Ok((row, warnings)) => {
                let line = Span::new(row.span.start, row.span.end).line_column(source).0;
                let twice = paths.insert(row.path.clone(), line).map(|first| {
                    let message = format!("line {first} writes to {} too", row.path.display());
                    Diagnostic::error(record[1].span, message)
                        .help("Give each line a path of its own; one file holds one value.")
                });
                map.rows.push(row);
                twice.into_iter().chain(warnings).collect()
            }
            Err(findings) => findings,
        };
        found.extend(findings);
    }
    found.sort_by_key(|finding| finding.span);
    if found.iter().any(Diagnostic::is_error) {
        return Err(Mistaken {
            found,
            rows: map.rows,
        });
    }
    map.warnings = found;
    Ok(map)
}

/// The map's text as far as it is one. What an editor of another system puts into files is refused by its name: a
/// reader that lets it pass would write a secret to a path that ends in a carriage return.
fn text<'a>(source: &'a [u8], found: &mut Vec<Diagnostic>) -> &'a str {
    const BOM: &[u8] = b"\xef\xbb\xbf";
    if source.starts_with(BOM) {
        let wrong = Diagnostic::error(0..BOM.len(), "this file begins with a byte order mark");
        found.push(
            wrong.help("Save it as UTF-8 without a mark; `sed -i '1s/^\\xEF\\xBB\\xBF//' FILE` removes it."),
        );
    }
    if let Some(at) = source.iter().position(|byte| *byte == b'\r') {
        let wrong = Diagnostic::error(
            at..at + 1,
            "this file has the line ends of another system (CR LF)",
        );
        found.push(wrong.help("Save it with plain line ends; `sed -i 's/\\r$//' FILE` removes the others."));
    }
    match std::str::from_utf8(source) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let wrong = Diagnostic::error(at..at + 1, "this file is not UTF-8 text");
            found.push(wrong.help("Save it as UTF-8."));
            std::str::from_utf8(&source[..at]).unwrap_or_default()
        }
    }
}

/// One cell of a line.
struct Cell<'a> {
    text: Cow<'a, str>,
    /// Where it stands, quotes included.
    span: Span,
    /// Where its text begins, if that is the map's own from there on.
    start: Option<usize>,
}

impl Cell<'_> {
    /// A finding in the cell's text as one in the map.
    fn place(&self, finding: Diagnostic) -> Diagnostic {
        match self.start {
            Some(start) => finding.shifted(start),
            None => Diagnostic {
                span: self.span,
                ..finding
            },
        }
    }

    /// A finding in the cell's text without the white space around it.
    fn place_trimmed(&self, finding: Diagnostic) -> Diagnostic {
        let blank = self.text.len() - self.text.trim_start().len();
        self.place(finding.shifted(blank))
    }

    fn wrong(&self, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(self.span, message)
    }
}

impl Row {
    /// A finding in the reference's text, which `source` holds, as one in the map.
    pub fn place(&self, finding: Diagnostic, source: &[u8]) -> Diagnostic {
        let written = self.span.of(source);
        let (start, written) = match written.strip_prefix(b"\"") {
            Some(rest) => (self.span.start + 1, rest.strip_suffix(b"\"").unwrap_or(rest)),
            None => (self.span.start, written),
        };
        let cell = Cell {
            text: Cow::Borrowed(&self.reference),
            span: self.span,
            start: (written == self.reference.as_bytes()).then_some(start),
        };
        cell.place(finding)
    }
}

/// Splits the text into lines of cells.
struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn records(mut self, found: &mut Vec<Diagnostic>) -> Vec<Vec<Cell<'a>>> {
        if self.text.starts_with('\u{feff}') {
            self.at = '\u{feff}'.len_utf8();
        }
        let mut records = Vec::new();
        while self.at < self.text.len() {
            self.skip_blanks();
            match self.peek() {
                Some(b'#') => self.skip_line(),
                Some(b'\n') | None => self.at += 1,
                Some(_) => records.push(self.record(found)),
            }
        }
        records
    }

    fn record(&mut self, found: &mut Vec<Diagnostic>) -> Vec<Cell<'a>> {
        let mut cells = Vec::with_capacity(COLUMNS.len());
        loop {
            self.skip_blanks();
            cells.push(match self.peek() {
                Some(b'"') => self.quoted(found),
                _ => self.bare(),
            });
            let next = self.peek();
            self.at += 1;
            if next != Some(b',') {
                return cells;
            }
        }
    }

    /// A cell without quotes around it; quotes inside are its own.
    fn bare(&mut self) -> Cell<'a> {
        let start = self.at;
        let rest = &self.text[start..];
        let length = rest.find([',', '\n']).unwrap_or(rest.len());
        self.at = start + length;
        let text = rest[..length].trim_end_matches([' ', '\t', '\r']);
        Cell {
            text: Cow::Borrowed(text),
            span: Span::new(start, start + text.len()),
            start: Some(start),
        }
    }

    /// A cell in quotes, which may hold commas and line breaks; two quotes in it stand for one.
    fn quoted(&mut self, found: &mut Vec<Diagnostic>) -> Cell<'a> {
        let open = self.at;
        let inside = open + 1;
        let mut end = inside;
        let mut doubled = false;
        let close = loop {
            match self.text[end..].find('"') {
                Some(at) if self.text[end + at + 1..].starts_with('"') => {
                    doubled = true;
                    end += at + 2;
                }
                Some(at) => break Some(end + at),
                None => break None,
            }
        };
        let Some(close) = close else {
            found.push(
                Diagnostic::error(open..open + 1, "this quote is never closed")
                    .help("Close it with `\"`; a quote inside of a quoted cell is written `\"\"`."),
            );
            self.skip_line();
            self.at = self.at.saturating_sub(1).max(open);
            return Cell {
                // Not empty, so that nobody complains of a cell that is missing as well.
                text: Cow::Borrowed("\""),
                span: Span::new(open, self.at),
                start: None,
            };
        };
        self.at = close + 1;
        self.skip_blanks();
        let behind = self.at;
        if !matches!(self.peek(), Some(b',' | b'\n') | None) {
            let rest = &self.text[behind..];
            let length = rest.find([',', '\n']).unwrap_or(rest.len());
            self.at = behind + length;
            found.push(
                Diagnostic::error(behind..self.at, "text follows the closing quote")
                    .help("Quote the whole cell; a quote inside of it is written `\"\"`."),
            );
        }
        let text = &self.text[inside..close];
        Cell {
            text: match doubled {
                true => Cow::Owned(text.replace("\"\"", "\"")),
                false => Cow::Borrowed(text),
            },
            span: Span::new(open, close + 1),
            start: (!doubled).then_some(inside),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Goes behind the next line break.
    fn skip_line(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.find('\n').unwrap_or(rest.len()) + 1;
    }
}

fn is_header(record: &[Cell<'_>]) -> bool {
    let is = |index: usize, names: &[&str]| {
        record.get(index).is_some_and(|cell| {
            names
                .iter()
                .any(|name| cell.text.trim().eq_ignore_ascii_case(name))
        })
    };
    is(0, HEADERS) && is(1, &["path"])
}

/// The row that a line says, with warnings.
fn row(record: &[Cell<'_>]) -> Result<(Row, Vec<Diagnostic>), Vec<Diagnostic>> {
    let cell = |index: usize| record.get(index).filter(|cell| !cell.text.trim().is_empty());
    let end = record.last().map_or(0, |cell| cell.span.end);
    let mut found = Vec::new();
    for extra in record.iter().skip(COLUMNS.len()).take(1) {
        let message = format!(
            "this line has {} cells and a map has {}",
            record.len(),
            COLUMNS.len()
        );
        found.push(
            extra
                .wrong(message)
                .help("A comma inside of a reference or template needs quotes around the whole cell."),
        );
    }
    for (index, name) in COLUMNS.iter().enumerate().take(2) {
        if cell(index).is_none() {
            let span = record.get(index).map_or(Span::new(end, end), |cell| cell.span);
            found.push(Diagnostic::error(span, format!("this line has no {name}")).help(FORM));
        }
    }
    let path = cell(1).and_then(|cell| path(cell).map_err(|wrong| found.push(wrong)).ok());
    let mode = cell(2).map_or(Ok(MODE), |cell| {
        spec::file_mode(&cell.text).map_err(|wrong| cell.place(wrong))
    });
    let mode = mode.map_err(|wrong| found.push(wrong)).unwrap_or(MODE);
    let mut warnings = Vec::new();
    let action = match action(cell(3), cell(4), &mut warnings) {
        Ok(action) => action,
        Err(wrong) => {
            found.push(wrong);
            None
        }
    };
    match (cell(0), path) {
        (Some(reference), Some(path)) if found.is_empty() => {
            let row = Row {
                reference: reference.text.clone().into_owned(),
                span: reference.span,
                path,
                mode,
                action,
            };
            Ok((row, warnings))
        }
        _ => {
            found.extend(warnings);
            Err(found)
        }
    }
}

/// An absolute path to a file, in its shortest form, so that two spellings of one are found out.
fn path(cell: &Cell<'_>) -> Result<PathBuf, Diagnostic> {
    const ADVICE: &str = "Write the whole path of a file, such as `/run/secrets/db_password`.";
    let given = Path::new(&*cell.text);
    if !given.is_absolute() {
        let wrong = cell.wrong(format!("`{}` is a relative path", cell.text));
        return Err(wrong.help(ADVICE));
    }
    if cell.text.chars().any(char::is_control) {
        return Err(cell.wrong("this path holds a control character").help(ADVICE));
    }
    if given.components().any(|part| part == Component::ParentDir) {
        return Err(cell.wrong("this path goes up again (`..`)").help(ADVICE));
    }
    let name = given.file_name().and_then(|name| name.to_str());
    let is_directory = cell.text.ends_with('/') || cell.text.ends_with("/.");
    let Some(name) = name.filter(|_| !is_directory) else {
        return Err(cell.wrong("this path names a directory").help(ADVICE));
    };
    spec::file_name(name).map_err(|wrong| Diagnostic {
        span: cell.span,
        help: Some(ADVICE.to_owned()),
        ..wrong
    })?;
    Ok(given.components().collect())
}

/// Who is told. The cells hold a container and a signal, or what stands behind `--notify`, divided at its last `:`.
fn action(
    container: Option<&Cell<'_>>,
    signal: Option<&Cell<'_>>,
    warnings: &mut Vec<Diagnostic>,
) -> Result<Option<Action>, Diagnostic> {
    let Some(container) = container else {
        if let Some(signal) = signal {
            let warning = Diagnostic::warning(signal.span, "a signal without a container is not sent");
            warnings.push(warning.help("Name the container in the cell before it, or leave both empty."));
        }
        return Ok(None);
    };
    let name = container.text.trim();
    if name.contains(':') {
        let whole = match signal {
            Some(signal) => format!("{name}:{}", signal.text.trim()),
            None => name.to_owned(),
        };
        let span = Span::new(
            container.span.start,
            signal.map_or(container.span.end, |cell| cell.span.end),
        );
        return Action::parse(&whole)
            .map(Some)
            .map_err(|wrong| Diagnostic { span, ..wrong });
    }
    let Some(signal) = signal else {
        let warning = Diagnostic::warning(
            container.span,
            "a container without a signal is not told of changes",
        );
        warnings
            .push(warning.help("Write `HUP`, `restart` or `auto` in the next cell, or leave both empty."));
        return Ok(None);
    };
    if signal.text.trim() == "auto" {
        let action = Action::parse(&format!("auto:{name}"));
        return action.map(Some).map_err(|wrong| Diagnostic {
            span: container.span,
            ..wrong
        });
    }
    let order = ContainerOrder::parse(signal.text.trim()).map_err(|wrong| signal.place_trimmed(wrong))?;
    let action = Action::container(name, order);
    action.map(Some).map_err(|wrong| container.place_trimmed(wrong))
}

#[cfg(test)]
#[path = "sync_map_tests.rs"]
mod tests;
