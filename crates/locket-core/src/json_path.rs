//! Following a path into a JSON value without copying what is passed on the way.
//!
//! The document is only borrowed: what is passed is skipped, and what is selected is copied once, into a secret.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::filter::FilterError;
use crate::{SecretBuilder, SecretBytes};

/// The part of `json` at `path`: a JSON pointer (RFC 6901) when it starts with `/`, else names between dots, `\.`
/// for a dot in a name and `\\` for a backslash. Digits index lists. The empty path is the whole value.
///
/// Strings come unescaped, numbers keep their text, objects and lists come as compact JSON in their own order. Of
/// two members with one name the last counts.
///
/// # Errors
/// [`FilterError::NoSuchPart`] when there is no such part or it is `null`; [`FilterError::Value`] when `json` is
/// not JSON.
pub fn select(json: &[u8], path: &str) -> Result<SecretBytes, FilterError> {
    let mut value: &RawValue = serde_json::from_slice(json).map_err(|error| not_json(&error))?;
    let steps = steps(path);
    for (depth, step) in steps.iter().enumerate() {
        value = descend(value, step).map_err(|reason| no_way(path, &steps[..depth], step, reason))?;
    }
    render(value.get(), path)
}

/// The names of the members of the object at `path` in `json`, in their order, each once. Members that are `null` have
/// no value and are left out.
///
/// # Errors
/// As for [`select`]; [`FilterError::Value`] when there is no object at `path`.
pub fn member_names(json: &[u8], path: &str) -> Result<Vec<String>, FilterError> {
    let mut value: &RawValue = serde_json::from_slice(json).map_err(|error| not_json(&error))?;
    let steps = steps(path);
    for (depth, step) in steps.iter().enumerate() {
        value = descend(value, step).map_err(|reason| no_way(path, &steps[..depth], step, reason))?;
    }
    match Kind::of(value.get()) {
        Kind::Object => {}
        Kind::Null => {
            return Err(FilterError::NoSuchPart(format!(
                "the JSON value at `{path}` is null"
            )));
        }
        other => {
            return Err(FilterError::Value(format!(
                "the JSON value at `{path}` is {}, not an object",
                other.name()
            )));
        }
    }
    let mut reader = serde_json::Deserializer::from_str(value.get());
    reader
        .deserialize_map(MemberNames)
        .map_err(|error| not_json(&error))
}

/// A path in either form as a JSON pointer.
pub fn to_pointer(path: &str) -> String {
    steps(path)
        .iter()
        .map(|step| format!("/{}", pointer_step(step)))
        .collect()
}

/// A member's name as it stands between the slashes of a JSON pointer.
pub fn pointer_step(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    }
}

/// The names along a path, unescaped.
fn steps(path: &str) -> Vec<Cow<'_, str>> {
    if path.is_empty() {
        Vec::new()
    } else if let Some(pointer) = path.strip_prefix('/') {
        pointer.split('/').map(unescape_pointer).collect()
    } else {
        split_dotted(path)
    }
}

/// `~1` is `/` and `~0` is `~`, in this order (RFC 6901, section 4).
fn unescape_pointer(step: &str) -> Cow<'_, str> {
    if step.contains('~') {
        Cow::Owned(step.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(step)
    }
}

fn split_dotted(path: &str) -> Vec<Cow<'_, str>> {
    if !path.contains('\\') {
        return path.split('.').map(Cow::Borrowed).collect();
    }
    let mut steps = Vec::new();
    let mut step = String::new();
    let mut chars = path.chars().peekable();
    while let Some(char) = chars.next() {
        match char {
            '.' => steps.push(Cow::Owned(std::mem::take(&mut step))),
            '\\' => step.push(chars.next_if(|next| matches!(next, '.' | '\\')).unwrap_or('\\')),
            other => step.push(other),
        }
    }
    steps.push(Cow::Owned(step));
    steps
}

/// Why a step led nowhere.
#[derive(Clone, Copy)]
enum Reason {
    NoMember,
    NoElement,
    NotAnIndex,
    Scalar(Kind),
    HalfACharacter,
}

/// One step down from `value`.
fn descend<'a>(value: &'a RawValue, step: &str) -> Result<&'a RawValue, Reason> {
    let text = value.get();
    let mut reader = serde_json::Deserializer::from_str(text);
    let (found, absent) = match Kind::of(text) {
        Kind::Object => (reader.deserialize_map(Member(step)), Reason::NoMember),
        Kind::List => {
            let index = list_index(step).ok_or(Reason::NotAnIndex)?;
            (reader.deserialize_seq(Element(index)), Reason::NoElement)
        }
        scalar => return Err(Reason::Scalar(scalar)),
    };
    // The text was read once as a whole: all that can fail now is a name with half a surrogate pair.
    found.map_err(|_| Reason::HalfACharacter)?.ok_or(absent)
}

/// An index has digits only and no leading zero (RFC 6901, section 4).
fn list_index(step: &str) -> Option<usize> {
    let canonical = step == "0" || !step.starts_with('0');
    let digits = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    (canonical && digits).then(|| step.parse().ok()).flatten()
}

/// Finds the last member with a name; everything else is skipped unread.
struct Member<'a>(&'a str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(IsName(self.0))? {
            if wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

/// Lists the names of members that have a value.
struct MemberNames;

impl<'de> Visitor<'de> for MemberNames {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut names: Vec<String> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let is_null = map.next_value::<&RawValue>()?.get() == "null";
            // Of two members with one name the last counts.
            names.retain(|known| *known != name);
            if !is_null {
                names.push(name);
            }
        }
        Ok(names)
    }
}

/// Whether a member's name is this one.
struct IsName<'a>(&'a str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// Finds the element at an index and skips the rest.
struct Element(usize);

impl<'de> Visitor<'de> for Element {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        for _ in 0..self.0 {
            if list.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = list.next_element()?;
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }
}

/// What a JSON text is, by its first byte.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Object,
    List,
    Text,
    Null,
    Boolean,
    Number,
}

impl Kind {
    fn of(text: &str) -> Self {
        match text.bytes().next() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::List,
            Some(b'"') => Self::Text,
            Some(b'n') => Self::Null,
            Some(b't' | b'f') => Self::Boolean,
            _ => Self::Number,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::List => "a list",
            Self::Text => "a string",
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
        }
    }
}

/// The selected value in the form in which it is used.
fn render(text: &str, path: &str) -> Result<SecretBytes, FilterError> {
    match Kind::of(text) {
        Kind::Object | Kind::List => Ok(compact(text)),
        Kind::Text => unescape(&text[1..text.len() - 1]).ok_or_else(|| {
            FilterError::Value(format!("the JSON string at `{path}` is not a Unicode string"))
        }),
        // There is no value here, and the word would end up as somebody's password.
        Kind::Null => Err(FilterError::NoSuchPart(format!(
            "the JSON value at `{path}` is null"
        ))),
        Kind::Boolean | Kind::Number => Ok(SecretBytes::copy_from(text.as_bytes())),
    }
}

/// The same JSON without white space between its tokens.
fn compact(text: &str) -> SecretBytes {
    let bytes = text.as_bytes();
    let mut builder = SecretBuilder::with_capacity(bytes.len());
    let mut quoted = false;
    let mut escaped = false;
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if quoted {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if *byte == b'"' {
            quoted = true;
        } else if byte.is_ascii_whitespace() {
            builder.extend(&bytes[from..at]);
            from = at + 1;
        }
    }
    builder.extend(&bytes[from..]);
    builder.finish()
}

/// The text that the inside of a JSON string stands for; `None` for a surrogate without its other half.
fn unescape(inside: &str) -> Option<SecretBytes> {
    let mut builder = SecretBuilder::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(at) = rest.find('\\') {
        builder.extend(&rest.as_bytes()[..at]);
        let escape = *rest.as_bytes().get(at + 1)?;
        rest = rest.get(at + 2..)?;
        let char = match escape {
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let first = hex_unit(rest)?;
                rest = rest.get(4..)?;
                if (0xd800..0xdc00).contains(&first) {
                    let second = hex_unit(rest.strip_prefix("\\u")?)?;
                    rest = rest.get(6..)?;
                    char::decode_utf16([first, second]).next()?.ok()?
                } else {
                    char::from_u32(first.into())?
                }
            }
            other => char::from(other),
        };
        builder.extend(char.encode_utf8(&mut [0; 4]).as_bytes());
    }
    builder.extend(rest.as_bytes());
    Some(builder.finish())
}

fn hex_unit(text: &str) -> Option<u16> {
    u16::from_str_radix(text.get(..4)?, 16).ok()
}

fn not_json(error: &serde_json::Error) -> FilterError {
    // The error's own words may quote the value.
    FilterError::Value(format!(
        "the value is not JSON (line {}, column {})",
        error.line(),
        error.column()
    ))
}

fn no_way(path: &str, passed: &[Cow<'_, str>], step: &str, reason: Reason) -> FilterError {
    let place = match passed.last() {
        None => "the JSON value".to_owned(),
        Some(last) => format!("`{last}` in `{path}`"),
    };
    FilterError::NoSuchPart(match reason {
        Reason::NoMember => format!("{place} has no member `{step}`"),
        Reason::NoElement => format!("{place} has no element {step}"),
        Reason::NotAnIndex => format!("{place} is a list, and `{step}` is not an index"),
        Reason::Scalar(kind) => format!("{place} is {}, and has no member `{step}`", kind.name()),
        Reason::HalfACharacter => {
            return FilterError::Value(format!("{place} has a name that is not a Unicode string"));
        }
    })
}

#[cfg(test)]
#[path = "json_path_tests.rs"]
mod tests;
