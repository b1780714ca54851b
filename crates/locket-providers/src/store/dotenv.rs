//! Reading an env file as Compose does, except that nothing is expanded: where Compose would put another variable's
//! value, the line is refused instead, so that no secret arrives changed.

use locket_core::{SecretBuilder, SecretBytes};

use super::import::Problem;

/// The assignments of an env file, in order.
///
/// # Errors
/// Every line that is none, by number.
pub(super) fn parse(text: &[u8]) -> Result<Vec<(String, SecretBytes)>, Vec<Problem>> {
    let mut reader = Reader { text, at: 0, line: 1 };
    let (mut assignments, mut problems) = (Vec::new(), Vec::new());
    while reader.at < text.len() {
        let line = reader.line;
        match reader.assignment() {
            Ok(assignment) => assignments.extend(assignment),
            Err(message) => {
                problems.push(Problem {
                    place: format!("line {line}"),
                    message: message.into(),
                });
                reader.skip_line();
            }
        }
    }
    if problems.is_empty() {
        Ok(assignments)
    } else {
        Err(problems)
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
}

const EXPANDED: &str = "`$` begins a variable here; put the value in single quotes to keep it as it is";
const OPEN: &str = "the quote is never closed";

impl Reader<'_> {
    /// The assignment in the present line, if there is one; stands behind it then.
    fn assignment(&mut self) -> Result<Option<(String, SecretBytes)>, &'static str> {
        self.skip_blanks();
        if matches!(self.peek(), None | Some(b'\n' | b'\r' | b'#')) {
            self.skip_line();
            return Ok(None);
        }
        let end = self.line_end();
        let Some(equals) = self.text[self.at..end].iter().position(|byte| *byte == b'=') else {
            return Err("there is no `=`");
        };
        let name = &self.text[self.at..self.at + equals];
        let name = std::str::from_utf8(name)
            .map_err(|_| "the name is not UTF-8")?
            .trim_end();
        let name = match name.split_once(char::is_whitespace) {
            Some(("export", name)) => name.trim_start(),
            _ => name,
        };
        let name = name.to_owned();
        self.at += equals + 1;
        self.skip_blanks();
        let value = match self.peek() {
            Some(b'\'') => self.single_quoted()?,
            Some(b'"') => self.double_quoted()?,
            _ => self.unquoted()?,
        };
        Ok(Some((name, value)))
    }

    /// To the end of the line or to a comment; blanks around it are none of the value's.
    fn unquoted(&mut self) -> Result<SecretBytes, &'static str> {
        let rest = &self.text[self.at..self.line_end()];
        let comment = (0..rest.len())
            .find(|index| rest[*index] == b'#' && (*index == 0 || matches!(rest[index - 1], b' ' | b'\t')));
        let value = rest[..comment.unwrap_or(rest.len())].trim_ascii_end();
        if (0..value.len()).any(|index| begins_variable(&value[index..])) {
            return Err(EXPANDED);
        }
        let value = SecretBytes::copy_from(value);
        self.skip_line();
        Ok(value)
    }

    /// As it is up to the next quote without a backslash before it, over line ends.
    fn single_quoted(&mut self) -> Result<SecretBytes, &'static str> {
        let rest = &self.text[self.at + 1..];
        let end = (0..rest.len())
            .find(|index| rest[*index] == b'\'' && (*index == 0 || rest[index - 1] != b'\\'))
            .ok_or(OPEN)?;
        let value = SecretBytes::copy_from(&rest[..end]);
        self.advance(end + 2);
        self.end_of_assignment()?;
        Ok(value)
    }

    /// Up to the next quote, escapes undone, over line ends.
    fn double_quoted(&mut self) -> Result<SecretBytes, &'static str> {
        let rest = &self.text[self.at + 1..];
        let mut value = SecretBuilder::with_capacity(64);
        let mut index = 0;
        loop {
            match rest.get(index) {
                None => return Err(OPEN),
                Some(b'"') => break,
                Some(b'\\') => {
                    let escaped = *rest.get(index + 1).ok_or(OPEN)?;
                    match unescape(escaped) {
                        Some(byte) => value.extend(&[byte]),
                        None => value.extend(&[b'\\', escaped]),
                    }
                    index += 2;
                }
                Some(_) if begins_variable(&rest[index..]) => return Err(EXPANDED),
                Some(byte) => {
                    value.extend(&[*byte]);
                    index += 1;
                }
            }
        }
        self.advance(index + 2);
        self.end_of_assignment()?;
        Ok(value.finish())
    }

    /// Nothing but a comment may follow a closed quote.
    fn end_of_assignment(&mut self) -> Result<(), &'static str> {
        self.skip_blanks();
        match self.peek() {
            None | Some(b'\n' | b'\r' | b'#') => {
                self.skip_line();
                Ok(())
            }
            Some(_) => Err("something follows the closing quote"),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t')) {
            self.at += 1;
        }
    }

    fn line_end(&self) -> usize {
        let rest = &self.text[self.at..];
        self.at + rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
    }

    fn skip_line(&mut self) {
        self.advance(self.line_end() + 1 - self.at);
    }

    fn advance(&mut self, count: usize) {
        let end = (self.at + count).min(self.text.len());
        self.line += self.text[self.at..end]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        self.at = end;
    }
}

/// What Compose would replace: `$NAME`, `${…}` and `$$`.
fn begins_variable(text: &[u8]) -> bool {
    matches!(text, [b'$', next, ..] if next.is_ascii_alphabetic() || matches!(next, b'_' | b'{' | b'$'))
}

fn unescape(escaped: u8) -> Option<u8> {
    Some(match escaped {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'a' => 7,
        b'b' => 8,
        b'v' => 11,
        b'f' => 12,
        b'"' | b'\\' | b'$' => escaped,
        _ => return None,
    })
}
