//! Env files, in the grammar of Compose, except that `{{ … }}` is one token in which nothing has a meaning.
//!
//! The source for the grammar is what `docker compose config` makes of files; a test feeds both the same ones.

mod expand;
mod marks;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use crate::{Diagnostic, Environment, Span};
pub use expand::{Wrong, expand};
use marks::Marked;

/// One variable of an env file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// The text of its template: quotes, escapes and `${…}` are resolved, tags stand as they were written.
    pub template: String,
    /// Where its statement stands in the file.
    pub span: Span,
}

/// Reads an env file. `${NAME}` is looked up in `inherited`, then among the variables above it, as Compose does. A
/// variable that is given twice has its last value.
///
/// # Errors
/// Every mistake.
pub fn parse(text: &str, inherited: &Environment) -> Result<Vec<Variable>, Vec<Diagnostic>> {
    parse_behind(text, inherited, &Environment::default())
}

/// The same for a file that is read behind others, whose variables are `earlier`: `${NAME}` is looked up there last.
///
/// # Errors
/// Every mistake.
pub fn parse_behind(
    text: &str,
    inherited: &Environment,
    earlier: &Environment,
) -> Result<Vec<Variable>, Vec<Diagnostic>> {
    read(text, inherited, earlier).map(|(in_force, _)| in_force)
}

/// The statements of an env file whose variables have another value by a later one; none of a file with mistakes.
pub fn shadowed(text: &str) -> Vec<Variable> {
    let nothing = Environment::default();
    read(text, &nothing, &nothing)
        .map(|(_, shadowed)| shadowed)
        .unwrap_or_default()
}

/// The variables that count, and those that later ones of the same names shadow.
fn read(
    text: &str,
    inherited: &Environment,
    earlier: &Environment,
) -> Result<(Vec<Variable>, Vec<Variable>), Vec<Diagnostic>> {
    let mut marked = Marked::new(text).map_err(|wrong| vec![wrong])?;
    let source = std::mem::take(&mut marked.text);
    let mut reader = Reader {
        source: &source,
        at: 0,
        inherited,
        earlier,
        marked,
        read: Vec::new(),
        latest: HashMap::new(),
        found: Vec::new(),
    };
    while reader.skip_to_statement() {
        if reader.statement().is_none() {
            reader.skip_line();
        }
    }
    if !reader.found.is_empty() {
        return Err(reader.found);
    }
    let (marked, latest) = (reader.marked, reader.latest);
    let (mut in_force, mut shadowed) = (Vec::new(), Vec::new());
    for (index, (name, value, span)) in reader.read.into_iter().enumerate() {
        let list = match latest.get(&name) == Some(&index) {
            true => &mut in_force,
            false => &mut shadowed,
        };
        list.push(Variable {
            name,
            template: marked.template(&value),
            span,
        });
    }
    Ok((in_force, shadowed))
}

struct Reader<'a> {
    /// The file, in which each tag is one character.
    source: &'a str,
    at: usize,
    inherited: &'a Environment,
    /// The variables of the files before this one.
    earlier: &'a Environment,
    marked: Marked,
    /// Names, values in which tags are one character each, and places.
    read: Vec<(String, String, Span)>,
    /// Which of these a name stands for by now.
    latest: HashMap<String, usize>,
    found: Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    /// Goes to the next statement, if there is one.
    fn skip_to_statement(&mut self) -> bool {
        loop {
            self.at += self.rest().len() - self.rest().trim_start_matches(|c| is_space(c) || c == '\n').len();
            if !self.rest().starts_with('#') {
                return !self.rest().is_empty();
            }
            self.skip_line();
        }
    }

    fn skip_line(&mut self) {
        self.at += self.rest().find('\n').map_or(self.rest().len(), |end| end + 1);
    }

    /// Reads one statement; `None`, after noting why, when it is none.
    fn statement(&mut self) -> Option<()> {
        let start = self.at;
        self.skip_export();
        let (name, is_inherited) = self.name(start)?;
        if is_inherited {
            if let Some(value) = self.inherited.get(&name) {
                let value = self.marked.literal(value);
                self.set(name, value, start);
            }
            return Some(());
        }
        self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
        let value = match self.rest().chars().next() {
            Some(quote @ ('"' | '\'')) => self.quoted(quote)?,
            _ => self.unquoted(start)?,
        };
        self.set(name, value, start);
        Some(())
    }

    fn skip_export(&mut self) {
        if let Some(behind) = self.rest().strip_prefix("export")
            && behind.starts_with(|c: char| c.is_ascii_whitespace() && c != '\x0b')
        {
            self.at += "export".len();
            self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
        }
    }

    /// The name up to `=`, `:` or the end of the line, and whether its value is the inherited one.
    fn name(&mut self, start: usize) -> Option<(String, bool)> {
        const FORM: &str = "Write NAME=VALUE; a name has letters, digits, `_`, `.` and `-`.";
        for (offset, c) in self.rest().char_indices() {
            match c {
                '=' | ':' | '\n' => {
                    let name = self.rest()[..offset].trim_end();
                    let span = self.marked.span(start, self.at + offset.max(1));
                    self.at += offset + 1;
                    if name.is_empty() || name.contains(' ') || name.contains('\0') {
                        let wrong = if name.is_empty() {
                            "this variable has no name"
                        } else {
                            "a name has no spaces"
                        };
                        self.at -= 1;
                        self.found.push(Diagnostic::error(span, wrong).help(FORM));
                        return None;
                    }
                    return Some((name.to_owned(), c == '\n'));
                }
                '_' | '.' | '-' | '[' | ']' => {}
                c if is_space(c) || c.is_alphabetic() || c.is_numeric() => {}
                _ => {
                    let span = self
                        .marked
                        .span(self.at + offset, self.at + offset + c.len_utf8());
                    let wrong = "this character cannot stand in the name of a variable";
                    self.found.push(Diagnostic::error(span, wrong).help(FORM));
                    return None;
                }
            }
        }
        let span = self.marked.span(start, self.source.len());
        let wrong = Diagnostic::error(span, "this last line has neither a `=` nor an end");
        self.found
            .push(wrong.help("Write NAME=VALUE, or end the line so that the variable is inherited."));
        None
    }

    fn unquoted(&mut self, start: usize) -> Option<String> {
        let line = self.rest().split('\n').next().unwrap_or_default();
        let value = line.split(" #").next().unwrap_or_default().trim_end();
        let begin = self.at;
        self.at += (line.len() + 1).min(self.rest().len());
        self.expanded(value, start, begin + value.len())
    }

    fn quoted(&mut self, quote: char) -> Option<String> {
        let begin = self.at;
        let mut value = String::new();
        let mut is_escaped = false;
        for (offset, c) in self.rest().char_indices().skip(1) {
            if c == quote && !is_escaped {
                self.at = begin + offset + 1;
                return match quote {
                    '"' => self.expanded(&unescape(&value), begin, self.at),
                    _ => Some(value),
                };
            }
            if c == '\\' && !is_escaped {
                is_escaped = true;
                continue;
            }
            // Only an escaped quote loses its backslash here.
            if is_escaped && c != quote {
                value.push('\\');
            }
            is_escaped = false;
            value.push(c);
        }
        let span = self.marked.span(begin, begin + 1);
        let wrong = Diagnostic::error(span, "this quote is never closed");
        self.found.push(wrong.help(format!("Close it with `{quote}`.")));
        None
    }

    /// `value` with its `${…}` resolved; the text it stands for reaches from `start` to `end`.
    fn expanded(&mut self, value: &str, start: usize, end: usize) -> Option<String> {
        let value = &self.marked.with_joints(value);
        let (read, latest) = (&self.read, &self.latest);
        let (inherited, earlier) = (self.inherited, self.earlier);
        let marked = &mut self.marked;
        let mut look_up = |name: &str| match inherited.get(name) {
            Some(value) => Some(marked.literal(value)),
            None => match latest.get(name).map(|index| &read[*index].1) {
                Some(value) => Some(marked.above(value)),
                None => earlier.get(name).map(|value| marked.literal(value)),
            },
        };
        match expand(value, &mut look_up) {
            Ok(value) => Some(value),
            Err(wrong) => {
                let span = self.marked.span(start, end);
                let message = self.marked.shown(&wrong.message);
                self.found.push(Diagnostic::error(span, message).help(wrong.help));
                Some(String::new())
            }
        }
    }

    fn set(&mut self, name: String, value: String, start: usize) {
        let span = self.marked.span(start, self.at.min(self.source.len()));
        self.latest.insert(name.clone(), self.read.len());
        self.read.push((name, value, span));
    }
}

/// White space within a line.
fn is_space(c: char) -> bool {
    matches!(c, '\t' | '\x0b' | '\x0c' | '\r' | ' ' | '\u{85}' | '\u{a0}')
}

/// The escapes of a double-quoted value. `\$` becomes `$$`, which the expansion makes a `$`.
fn unescape(value: &str) -> String {
    let mut plain = String::with_capacity(value.len());
    let mut rest = value;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let escaped = rest.chars().next();
        let simple = match escaped {
            Some('a') => "\x07",
            Some('b') => "\x08",
            Some('f') => "\x0c",
            Some('n') => "\n",
            Some('r') => "\r",
            Some('t') => "\t",
            Some('v') => "\x0b",
            Some('"') => "\"",
            Some('\\') => "\\",
            Some('$') => "$$",
            Some('0') => {
                let digits = rest[1..].bytes().take(3).take_while(u8::is_ascii_digit).count();
                let octal = &rest[1..=digits];
                let code = u32::from_str_radix(octal, 8)
                    .ok()
                    .filter(|code| digits == 3 && *code <= 255);
                match code.and_then(char::from_u32) {
                    Some(c) => plain.push(c),
                    // Compose loses the zero of what is no octal number.
                    None if digits > 0 => {
                        plain.push('\\');
                        plain.push_str(octal);
                    }
                    None => plain.push('\\'),
                }
                rest = &rest[1 + digits..];
                continue;
            }
            _ => {
                plain.push('\\');
                continue;
            }
        };
        plain.push_str(simple);
        rest = &rest[1..];
    }
    plain.push_str(rest);
    plain
}
