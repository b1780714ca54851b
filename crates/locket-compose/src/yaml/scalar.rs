//! What a word without quotes is: nothing, a number, or itself. As Compose's YAML library decides it, numbers become
//! the text that a container gets.

use std::fmt;

/// A value that is no list and no map. It may be a credential: its text is never shown by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// What it is to Compose: numbers in decimal, `${…}` resolved.
    pub(crate) text: String,
    /// What was written, before anything was resolved.
    pub(crate) written: String,
    pub(crate) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Bool,
    Number,
}

impl Scalar {
    pub(crate) fn text(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            written: text.clone(),
            text,
            kind: Kind::Text,
        }
    }

    /// What the word `written` is, which stands without quotes; `None` for null.
    pub(crate) fn plain(written: &str) -> Option<Self> {
        let (text, kind) = match written {
            "" | "~" | "null" | "Null" | "NULL" => return None,
            "true" | "True" | "TRUE" => ("true".to_owned(), Kind::Bool),
            "false" | "False" | "FALSE" => ("false".to_owned(), Kind::Bool),
            _ => match number(written) {
                Some(text) => (text, Kind::Number),
                None => (written.to_owned(), Kind::Text),
            },
        };
        Some(Self {
            text,
            written: written.to_owned(),
            kind,
        })
    }
}

impl fmt::Debug for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}({} bytes)", self.kind, self.text.len())
    }
}

/// The number that `word` is, in decimal.
fn number(word: &str) -> Option<String> {
    let first = word.strip_prefix(['-', '+']).unwrap_or(word).chars().next()?;
    if !(first.is_ascii_digit() || first == '.') {
        return None;
    }
    let plain = word.replace('_', "");
    if let Some(whole) = whole(&plain) {
        return Some(whole.to_string());
    }
    is_decimal(&plain)
        .then(|| plain.parse::<f64>().ok().map(float))
        .flatten()
}

/// A whole number: decimal, or octal, hexadecimal or binary by its beginning.
fn whole(word: &str) -> Option<i128> {
    let (sign, digits) = match word.strip_prefix('-') {
        Some(digits) => (-1, digits),
        None => (1, word.strip_prefix('+').unwrap_or(word)),
    };
    let (radix, digits) = match digits.get(..2) {
        Some("0x" | "0X") => (16, &digits[2..]),
        Some("0o" | "0O") => (8, &digits[2..]),
        Some("0b" | "0B") => (2, &digits[2..]),
        _ if digits.len() > 1 && digits.starts_with('0') => (8, &digits[1..]),
        _ => (10, digits),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
    let value = is_number.then(|| i128::from_str_radix(digits, radix).ok())?? * sign;
    (i128::from(i64::MIN)..=i128::from(u64::MAX))
        .contains(&value)
        .then_some(value)
}

/// `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_decimal(word: &str) -> bool {
    let word = word.strip_prefix(['-', '+']).unwrap_or(word);
    let (mantissa, exponent) = match word.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (
            mantissa,
            Some(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)),
        ),
        None => (word, None),
    };
    let digits = |text: &str| text.chars().all(|char| char.is_ascii_digit());
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = !before.is_empty() || !after.is_empty();
    has_digits
        && digits(before)
        && digits(after)
        && exponent.is_none_or(|exponent| !exponent.is_empty() && digits(exponent))
}

/// As Go prints it: the fewest digits, with an exponent below 1e-4 and from 1e21.
fn float(value: f64) -> String {
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else {
        return scientific;
    };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if value == 0.0 || (-4..21).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}
