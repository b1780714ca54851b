//! Passwords on command lines: `--requirepass X`, `-pX`, `PASSWORD=X` in a script.

use super::literal::{is_value, literal};
use super::{shape, url};
use crate::credential::{Sort, name_sort};

/// Programs whose `-pX` is a password, without a space.
const MYSQL: [&str; 6] = [
    "mysql",
    "mysqladmin",
    "mysqldump",
    "mariadb",
    "mariadb-admin",
    "mariadb-dump",
];

/// Programs and the option behind which their password stands.
const SHORT: &[(&str, &str)] = &[
    ("redis-cli", "-a"),
    ("valkey-cli", "-a"),
    ("mongosh", "-p"),
    ("mongo", "-p"),
    ("mongodump", "-p"),
    ("curl", "-u"),
];

/// Scripts inside of quotes inside of scripts.
const MOST_QUOTED: usize = 3;

/// A credential on a command line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct OnCommand {
    /// What it is for, for people.
    pub(super) named: String,
    /// The text itself, to find its place by.
    pub(super) value: String,
}

/// The credentials of a command line whose words are `words`; a text is taken apart as a shell would.
pub(super) fn find(words: &[&str], is_text: bool) -> Vec<OnCommand> {
    let mut plain = Vec::new();
    for word in words {
        // `sh -c "…"` holds a command line in one word.
        if is_text || word.contains([' ', '\n']) {
            plain.extend(split(word, MOST_QUOTED));
        } else {
            plain.push((*word).to_owned());
        }
    }
    let mut found = Vec::new();
    let mut program = String::new();
    for (at, word) in plain.iter().enumerate() {
        let bare = word.rsplit('/').next().unwrap_or(word);
        if MYSQL.contains(&bare) || SHORT.iter().any(|(name, _)| *name == bare) {
            bare.clone_into(&mut program);
        }
        if matches!(word.as_str(), "|" | "||" | "&&" | ";") {
            program.clear();
        }
        let next = plain.get(at + 1).map(String::as_str);
        if let Some((named, value, sort)) = credential(word, next, &program)
            && literal(value).is_some_and(|value| is_value(value, sort) && !value.contains(['`', '$']))
        {
            found.push(OnCommand {
                named,
                value: value.to_owned(),
            });
        } else if let Some(range) = url::find(word) {
            found.push(OnCommand {
                named: "a URL".to_owned(),
                value: word[range].to_owned(),
            });
        } else if let Some((title, range)) = shape::find(word) {
            found.push(OnCommand {
                named: title.to_owned(),
                value: word[range].to_owned(),
            });
        }
    }
    found
}

/// What `word` names, and the value that it or the next word gives.
fn credential<'a>(word: &'a str, next: Option<&'a str>, program: &str) -> Option<(String, &'a str, Sort)> {
    if MYSQL.contains(&program)
        && let Some(value) = word.strip_prefix("-p")
        && !value.is_empty()
    {
        return Some(("`-p`".to_owned(), value, Sort::Password));
    }
    if SHORT.contains(&(program, word)) {
        let value = next?;
        let value = match program {
            "curl" => value.split_once(':')?.1,
            _ => value,
        };
        return Some((format!("`{word}`"), value, Sort::Password));
    }
    if let Some((name, value)) = word.split_once('=') {
        let sort = name_sort(name)?;
        let is_file = value.starts_with('@');
        return (!is_file).then(|| (format!("`{name}`"), value, sort));
    }
    let option = word.strip_prefix("--").or_else(|| {
        // The configuration of Redis knows words without dashes, too.
        matches!(word, "requirepass" | "masterauth").then_some(word)
    })?;
    let sort = name_sort(option)?;
    let value = next.filter(|next| !next.starts_with('-'))?;
    Some((format!("`{word}`"), value, sort))
}

/// The words of a text, quotes removed. What a shell would resolve stays as it is.
fn split(text: &str, quoted: usize) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut quote = None;
    for char in text.chars() {
        match (quote, char) {
            (Some(open), char) if open == char => quote = None,
            (None, '"' | '\'') => quote = Some(char),
            (None, char) if char.is_whitespace() => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            (None, ';' | '|' | '&' | '(' | ')') if !word.ends_with('$') => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                words.push(char.to_string());
            }
            (Some(_), char) if char.is_whitespace() && word.is_empty() => {}
            (_, char) => word.push(char),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    if quoted == 0 {
        return words;
    }
    // A quoted script is one word here: take it apart, too.
    let nested: Vec<_> = words
        .iter()
        .flat_map(
            |word| match word.contains(char::is_whitespace) && text.len() > word.len() {
                true => split(word, quoted - 1),
                false => vec![word.clone()],
            },
        )
        .collect();
    nested
}
