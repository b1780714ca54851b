//! `scheme://locator[?option=value&…][#fragment]`: the name of one secret value.

use std::borrow::Cow;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use crate::schemes::{Fragment, Scheme, Schemes};
use crate::{Diagnostic, Span};

/// A reference, parsed once. Its [`fmt::Display`] form parses to an equal reference.
///
/// Templates share most of theirs, so that a copy costs a count.
#[derive(Clone, Debug)]
pub struct Reference {
    parts: Arc<Parts>,
    span: Span,
}

/// What a reference says, wherever it stands.
#[derive(Clone, Debug)]
struct Parts {
    scheme: Arc<str>,
    locator: String,
    options: Vec<(String, String)>,
    fragment: Option<String>,
    optional: bool,
}

/// What a text turned out to be.
#[derive(Debug)]
pub enum Parsed {
    /// A reference.
    Reference(Reference),
    /// Something else, which is none of our business.
    Other,
    /// Meant as a reference, and wrong.
    Wrong(Vec<Diagnostic>),
}

/// Whether a text stands inside a tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Position {
    /// Inside `{{ }}` or in the reference column of a map: every scheme counts, an unknown one is an error.
    Tag,
    /// A whole text without braces: only schemes that no other program uses count.
    Bare,
}

impl Reference {
    /// Parses `text`, which starts at byte `offset` of its source.
    pub fn parse(text: &str, offset: usize, position: Position, schemes: &Schemes) -> Parsed {
        let lead = text.len() - text.trim_start().len();
        let text = text.trim();
        let offset = offset + lead;
        let whole = Span::new(offset, offset + text.len());
        // Quotes around everything protect only what the tag's own syntax would take; inside stands a reference.
        if let Some(inner) = unquote_whole(text) {
            let is_as_written = inner.len() + 2 == text.len();
            return match Self::parse(&inner, offset + 1, position, schemes) {
                Parsed::Reference(reference) => Parsed::Reference(Self {
                    span: whole,
                    ..reference
                }),
                // Behind an escape, what is inside stands elsewhere.
                Parsed::Wrong(mut found) if !is_as_written => {
                    found.iter_mut().for_each(|wrong| wrong.span = whole);
                    Parsed::Wrong(found)
                }
                other => other,
            };
        }
        if let Some(scheme) = bare_identifier(text, schemes).filter(|_| position == Position::Tag) {
            return Self::from_parts(scheme, text, whole);
        }
        let Some((word, rest)) = split_scheme(text) else {
            return Parsed::Other;
        };
        let word_span = Span::new(offset, offset + word.len());
        match schemes.get(word) {
            Some(scheme) if position == Position::Tag || scheme.bare => {
                if position == Position::Bare && text.contains(['\n', '\r']) {
                    return Parsed::Other;
                }
                Self::from_parts(scheme, rest, whole)
            }
            Some(_) => Parsed::Other,
            None if position == Position::Bare || Schemes::is_foreign(word) => Parsed::Other,
            None => Parsed::Wrong(vec![unknown_scheme(word, word_span, schemes)]),
        }
    }

    fn from_parts(scheme: &Scheme, rest: &str, span: Span) -> Parsed {
        let Ok(rest) = encode_quoted(rest) else {
            return Parsed::Wrong(vec![
                Diagnostic::error(span, "a quote in this reference is never closed")
                    .help("Close it with `\"`, or write a literal quote as `%22`."),
            ]);
        };
        let (rest, fragment) = match rest.rsplit_once('#') {
            Some((rest, fragment)) => (rest, Some(decode(fragment).into_owned())),
            None => (rest.as_ref(), None),
        };
        let (locator, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut parts = Parts {
            scheme: scheme.name.clone(),
            locator: locator.to_owned(),
            options: Vec::new(),
            fragment,
            optional: false,
        };
        let mut wrong = Vec::new();
        if locator.trim_matches('/').is_empty() {
            wrong.push(
                Diagnostic::error(span, format!("`{}://` names no secret", scheme.name))
                    .help("Write what to read after the `://`."),
            );
        }
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decode(name).into_owned(), decode(value).into_owned());
            if name.is_empty() {
                wrong.push(
                    Diagnostic::error(span, "an option of this reference has no name")
                        .help("Write options like `?name=value&other=value`."),
                );
            } else if name == "optional" {
                match value.as_str() {
                    "" | "true" | "1" => parts.optional = true,
                    "false" | "0" => parts.optional = false,
                    _ => wrong.push(
                        Diagnostic::error(span, format!("`optional={value}` is neither true nor false"))
                            .help("Write `?optional` alone."),
                    ),
                }
            } else if parts.options.iter().any(|(known, _)| *known == name) {
                wrong.push(Diagnostic::error(
                    span,
                    format!("the option `{name}` is given twice"),
                ));
            } else {
                parts.options.push((name, value));
            }
        }
        if wrong.is_empty() {
            let parts = Arc::new(parts);
            Parsed::Reference(Self { parts, span })
        } else {
            Parsed::Wrong(wrong)
        }
    }

    /// The word before `://`: a provider's scheme or an instance's name.
    pub fn scheme(&self) -> &str {
        &self.parts.scheme
    }

    /// The locator as written, still percent-encoded.
    pub fn locator(&self) -> &str {
        &self.parts.locator
    }

    /// The locator's components between slashes, percent-decoded.
    pub fn segments(&self) -> Vec<Cow<'_, str>> {
        self.parts.locator.split('/').map(decode).collect()
    }

    /// The whole locator, percent-decoded.
    pub fn decoded_locator(&self) -> Cow<'_, str> {
        decode(&self.parts.locator)
    }

    /// The options in the order written, decoded, without `optional`.
    pub fn options(&self) -> &[(String, String)] {
        &self.parts.options
    }

    /// The value of one option; empty when it was written without one.
    pub fn option(&self, name: &str) -> Option<&str> {
        self.parts
            .options
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    /// The decoded fragment.
    pub fn fragment(&self) -> Option<&str> {
        self.parts.fragment.as_deref()
    }

    /// The fragment where locket itself follows it into a JSON value.
    pub fn json_fragment(&self, schemes: &Schemes) -> Option<&str> {
        let scheme = schemes.get(&self.parts.scheme)?;
        self.fragment().filter(|_| scheme.fragment == Fragment::Json)
    }

    /// Whether a secret that does not exist is the empty value.
    pub fn is_optional(&self) -> bool {
        self.parts.optional
    }

    /// The same with another locator, as it is written.
    pub(crate) fn with_locator(&self, locator: String) -> Self {
        let mut reference = self.clone();
        Arc::make_mut(&mut reference.parts).locator = locator;
        reference
    }

    /// The same with one more name at the end of its locator.
    #[must_use]
    pub fn with_key(&self, key: &str) -> Self {
        let key = encode(key, "/?#&=\"*");
        self.with_locator(format!("{}{key}", self.parts.locator))
    }

    /// The same as a secret that must exist.
    pub(crate) fn required(mut self) -> Self {
        Arc::make_mut(&mut self.parts).optional = false;
        self
    }

    /// The same at another place.
    pub(crate) fn at(&self, span: Span) -> Self {
        let parts = self.parts.clone();
        Self { parts, span }
    }

    /// The same with another fragment, which is not encoded.
    pub(crate) fn with_fragment(&self, fragment: Option<String>) -> Self {
        let mut reference = self.clone();
        Arc::make_mut(&mut reference.parts).fragment = fragment;
        reference
    }

    /// Where it stands in its source.
    pub fn span(&self) -> Span {
        self.span
    }

    /// Complains about every option that is not in `known`, with the nearest name.
    ///
    /// # Errors
    /// One diagnostic for each unknown option.
    pub fn check_options(&self, known: &[&str]) -> Result<(), Vec<Diagnostic>> {
        let wrong: Vec<_> = self
            .parts
            .options
            .iter()
            .filter(|(name, _)| !known.contains(&name.as_str()))
            .map(|(name, _)| {
                let message = format!("`{}` references have no option `{name}`", self.parts.scheme);
                let diagnostic = Diagnostic::error(self.span, message);
                if known.is_empty() {
                    diagnostic.help("Only `?optional` can be given here.")
                } else {
                    diagnostic
                        .help(format!("The options are {} and `optional`.", listed(known)))
                        .did_you_mean(name, known.iter().copied())
                }
            })
            .collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

impl PartialEq for Reference {
    /// Equal when they name the same value; the place does not matter.
    fn eq(&self, other: &Self) -> bool {
        if Arc::ptr_eq(&self.parts, &other.parts) {
            return true;
        }
        self.parts.scheme == other.parts.scheme
            && same_locator(&self.parts.locator, &other.parts.locator)
            && self.parts.options == other.parts.options
            && self.parts.fragment == other.parts.fragment
            && self.parts.optional == other.parts.optional
    }
}

impl Eq for Reference {}

impl std::hash::Hash for Reference {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.parts.scheme.hash(state);
        for segment in self.parts.locator.split('/') {
            decode(segment).hash(state);
        }
        self.parts.options.hash(state);
        self.parts.fragment.hash(state);
        self.parts.optional.hash(state);
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = format!("{}://{}", self.parts.scheme, self.parts.locator);
        let mut separator = '?';
        for (name, value) in &self.parts.options {
            write!(shown, "{separator}{}", encode(name, "&=#?\""))?;
            if !value.is_empty() {
                write!(shown, "={}", encode(value, "&#\""))?;
            }
            separator = '&';
        }
        if self.parts.optional {
            write!(shown, "{separator}optional")?;
        }
        if let Some(fragment) = &self.parts.fragment {
            write!(shown, "#{}", encode(fragment, "#\""))?;
        }
        // White space around a reference is none of it, so that at the end it has to be encoded.
        let kept = shown.trim_end();
        f.write_str(kept)?;
        for byte in shown[kept.len()..].bytes() {
            f.write_str(percent_encoding::percent_encode_byte(byte))?;
        }
        Ok(())
    }
}

/// Whether two locators name the same, segment by segment: an encoded slash is part of a name and divides nothing.
fn same_locator(one: &str, other: &str) -> bool {
    if one.contains('%') || other.contains('%') {
        one.split('/').map(decode).eq(other.split('/').map(decode))
    } else {
        one == other
    }
}

fn listed(names: &[&str]) -> String {
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// The word before `://` and what follows, when the word has a scheme's shape.
fn split_scheme(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once("://")?;
    let mut bytes = word.bytes();
    let shaped = bytes.next().is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.' | b'_'));
    shaped.then_some((word, rest))
}

fn unknown_scheme(word: &str, span: Span, schemes: &Schemes) -> Diagnostic {
    if let Some(title) = Schemes::title(word) {
        return Diagnostic::error(
            span,
            format!("this build of locket has no provider for `{word}://`"),
        )
        .label("not in this build")
        .help(format!("Use a build that includes {title}."));
    }
    Diagnostic::error(span, format!("`{word}://` belongs to no provider"))
        .label("unknown scheme")
        .help(format!(
            "The schemes here are {}; write `\\{{{{` for a literal `{{{{`.",
            listed(&schemes.names().collect::<Vec<_>>())
        ))
        .did_you_mean(word, schemes.names())
}

/// The scheme that serves `text` when it is a bare UUID or OCID, whatever options follow.
fn bare_identifier<'a>(text: &str, schemes: &'a Schemes) -> Option<&'a Scheme> {
    let name = text.split(['?', '#']).next().unwrap_or_default();
    if name.starts_with("ocid1.") && !name.contains(char::is_whitespace) {
        return schemes.ocid();
    }
    let mut groups = name.split('-');
    let is_uuid = [8, 4, 4, 4, 12].iter().all(|length| {
        groups
            .next()
            .is_some_and(|group| group.len() == *length && group.bytes().all(|byte| byte.is_ascii_hexdigit()))
    }) && groups.next().is_none();
    if is_uuid { schemes.uuid() } else { None }
}

/// What stands between quotes that enclose the whole of `text`, `\"` and `\\` unescaped.
fn unquote_whole(text: &str) -> Option<String> {
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let mut plain = String::with_capacity(inner.len());
    let mut chars = inner.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => return None,
            '\\' => match chars.next()? {
                escaped @ ('"' | '\\') => plain.push(escaped),
                other => plain.extend(['\\', other]),
            },
            other => plain.push(other),
        }
    }
    Some(plain)
}

/// Quoted parts of a reference become percent-encoded, so that nothing in them has a meaning any more.
fn encode_quoted(text: &str) -> Result<Cow<'_, str>, ()> {
    if !text.contains('"') {
        return Ok(Cow::Borrowed(text));
    }
    let parts: Vec<&str> = text.split('"').collect();
    if parts.len().is_multiple_of(2) {
        return Err(());
    }
    let encoded = parts
        .iter()
        .enumerate()
        .map(|(index, part)| {
            if index % 2 == 1 {
                encode(part, "/?#&=\"")
            } else {
                Cow::Borrowed(*part)
            }
        })
        .collect();
    Ok(Cow::Owned(encoded))
}

fn decode(text: &str) -> Cow<'_, str> {
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => decoded,
        Err(_) => Cow::Owned(decode_what_is_text(text)),
    }
}

/// The same where some escapes are no text: these stay.
fn decode_what_is_text(text: &str) -> String {
    let bytes: Vec<u8> = percent_decode_str(text).collect();
    let mut decoded = String::with_capacity(bytes.len() + 8);
    for chunk in bytes.utf8_chunks() {
        decoded.push_str(chunk.valid());
        for byte in chunk.invalid() {
            decoded.push_str(percent_encoding::percent_encode_byte(*byte));
        }
    }
    decoded
}

/// Percent-encodes `special`, control characters, and every `%` that would otherwise be decoded.
fn encode<'a>(text: &'a str, special: &str) -> Cow<'a, str> {
    let needs = |char: char| char == '%' || char.is_control() || special.contains(char);
    if !text.contains(needs) {
        return Cow::Borrowed(text);
    }
    let mut encoded = String::with_capacity(text.len() + 8);
    for char in text.chars() {
        if needs(char) {
            let mut buffer = [0; 4];
            for byte in char.encode_utf8(&mut buffer).bytes() {
                encoded.push_str(percent_encoding::percent_encode_byte(byte));
            }
        } else {
            encoded.push(char);
        }
    }
    Cow::Owned(encoded)
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
