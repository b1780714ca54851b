//! Whether a text is a value, or only stands where one belongs.

use crate::credential::Sort;

/// The part of what was written that is a value of its own: the text itself, or the default of its variable. `None`
/// where everything comes from elsewhere.
pub(super) fn literal(written: &str) -> Option<&str> {
    let trimmed = written.trim().trim_matches(['"', '\'']);
    if !trimmed.replace("$$", "").contains('$') {
        return Some(trimmed).filter(|text| !text.is_empty());
    }
    let body = trimmed.strip_prefix("${")?.strip_suffix('}')?;
    let end = body.find(|char: char| !(char.is_ascii_alphanumeric() || char == '_'))?;
    let behind = &body[end..];
    let default = behind
        .strip_prefix(":-")
        .or_else(|| behind.strip_prefix('-'))
        .or_else(|| behind.strip_prefix(":+"))
        .or_else(|| behind.strip_prefix('+'))?;
    literal(default)
}

/// Whether `value` can be a credential of this sort. Programs take any password that they are given, so that
/// `changeme` is one.
pub(super) fn is_value(value: &str, sort: Sort) -> bool {
    let value = value.trim().trim_matches(['"', '\'']);
    let lower = value.to_ascii_lowercase();
    if value.is_empty() || is_elsewhere(value) || is_switch(&lower) || is_blank_form(&lower) {
        return false;
    }
    match sort {
        Sort::Password => true,
        Sort::Token => {
            let is_number = value.chars().all(|char| char.is_ascii_digit());
            value.len() >= 4 && !(is_number && value.len() < 8) && !is_invitation(&lower)
        }
    }
}

/// A path, a reference, a tag, a variable of the shell: the value is not here.
fn is_elsewhere(value: &str) -> bool {
    let is_path = (value.starts_with('/') || value.starts_with("./") || value.starts_with("../"))
        && !value.contains([' ', '+', '=']);
    let scheme = value.split_once("://").is_some_and(|(scheme, _)| {
        !scheme.is_empty()
            && scheme
                .chars()
                .all(|char| char.is_ascii_alphanumeric() || "+-.".contains(char))
    });
    is_path
        || scheme
        || value.contains("{{")
        || value.starts_with("$$")
        || value.starts_with("$(")
        || value.starts_with("!")
        || (value.starts_with('%') && value.ends_with('%') && value.len() > 2)
}

fn is_switch(lower: &str) -> bool {
    matches!(
        lower,
        "true"
            | "false"
            | "yes"
            | "no"
            | "on"
            | "off"
            | "none"
            | "null"
            | "nil"
            | "enabled"
            | "disabled"
            | "0"
            | "1"
            | "n/a"
            | "-"
    )
}

/// A form to be filled in: `<password>`, `xxxx`, `your-key-here`.
fn is_blank_form(lower: &str) -> bool {
    let first = lower.chars().next();
    let is_repeated = lower.len() >= 3
        && lower.chars().all(|char| Some(char) == first)
        && matches!(first, Some('x' | '*' | '.' | '-' | '_' | '?' | '#'));
    let is_bracketed = (lower.starts_with('<') && lower.ends_with('>'))
        || (lower.starts_with('[') && lower.ends_with(']'))
        || (lower.starts_with("__") && lower.ends_with("__"));
    let is_your = [
        "your_", "your-", "your ", "<your", "my_very", "insert_", "insert-", "enter_", "enter-", "put_",
        "put-", "add_your", "add-your",
    ]
    .iter()
    .any(|start| lower.starts_with(start));
    let is_here = ["_here", "-here", " here", "goes_here", "goeshere"]
        .iter()
        .any(|end| lower.ends_with(end));
    let is_todo = matches!(
        lower,
        "todo"
            | "tbd"
            | "fixme"
            | "redacted"
            | "placeholder"
            | "unset"
            | "empty"
            | "undefined"
            | "required"
            | "optional"
    );
    is_repeated || is_bracketed || is_your || is_here || is_todo
}

/// Words that ask to be replaced. A password of this kind is one all the same, since programs take it.
fn is_invitation(lower: &str) -> bool {
    let plain: String = lower.chars().filter(char::is_ascii_alphanumeric).collect();
    [
        "changeme",
        "changethis",
        "changeit",
        "replaceme",
        "replacethis",
        "example",
        "dummy",
        "generate",
        "placeholder",
    ]
    .iter()
    .any(|word| plain.starts_with(word) || plain.ends_with(word))
        || plain.starts_with("xxxx")
}

/// How much is in a text, in bits for each character: words have about three, random letters and digits over four.
pub(super) fn entropy(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    text.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / length;
            -share * share.log2()
        })
        .sum()
}
