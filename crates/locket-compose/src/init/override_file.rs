//! The override as text. Its first line says who made it and carries a digest of the rest, so that nobody's edits are
//! ever lost.

use std::fmt::Write;

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::decision::{Change, DIRECTORY, Plan, Unset};

const MARK: &str = "# Made by `locket init`, which makes it anew as long as nobody edits it. ";

/// Who made a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stamp {
    /// `init`, and nobody has changed it.
    Ours,
    /// `init`, and somebody has edited it.
    Edited,
    /// Somebody else.
    Foreign,
}

/// Who made the file that holds `text`.
pub fn stamp(text: &str) -> Stamp {
    let Some((line, rest)) = text.split_once('\n') else {
        return Stamp::Foreign;
    };
    match line.strip_prefix(MARK) {
        None => Stamp::Foreign,
        Some(digest) if digest == short(rest) => Stamp::Ours,
        Some(_) => Stamp::Edited,
    }
}

/// The override that brings the project to read its secrets from files.
pub fn write(plan: &Plan) -> String {
    let mut text = String::new();
    if !plan.changes.is_empty() {
        text.push_str("services:\n");
    }
    for change in &plan.changes {
        service(change, &mut text);
    }
    let mut declared = plan.declared().peekable();
    if declared.peek().is_some() {
        text.push_str("secrets:\n");
    }
    for planned in declared {
        let name = &planned.name;
        let _ = write!(text, "  {name}:\n    file: ./{DIRECTORY}/{name}.txt\n");
    }
    format!("{MARK}{}\n{text}", short(&text))
}

fn service(change: &Change, text: &mut String) {
    let _ = writeln!(text, "  {}:", key(&change.service));
    let has_variables = !change.variables.is_empty() || !change.unset.is_empty();
    match (&change.instead, has_variables) {
        (Some(rest), _) => {
            text.push_str("    environment: !override\n");
            for (name, value) in rest {
                let value = value.as_deref().map(quoted).unwrap_or_default();
                let _ = writeln!(text, "{}", format!("      {}: {value}", key(name)).trim_end());
            }
        }
        (None, true) => text.push_str("    environment:\n"),
        (None, false) => {}
    }
    for unset in &change.unset {
        let _ = match unset {
            Unset::Removed(name) => writeln!(text, "      {}: !reset null", key(name)),
            Unset::Emptied(name) => writeln!(text, "      {}: \"\"", key(name)),
        };
    }
    for variable in &change.variables {
        let _ = writeln!(text, "      {}: {}", key(&variable.name), variable.value);
    }
    if let Some(start) = &change.start {
        list("entrypoint", &start.entrypoint, text);
        list("command", &start.command, text);
    }
    if let Some(test) = &change.health {
        text.push_str("    healthcheck:\n      test:\n");
        for word in test {
            let _ = writeln!(text, "        - {}", quoted(word));
        }
    }
    text.push_str("    secrets:\n");
    for name in &change.secrets {
        let _ = writeln!(text, "      - {name}");
    }
}

fn list(name: &str, words: &[String], text: &mut String) {
    if words.is_empty() {
        let _ = writeln!(text, "    {name}: []");
        return;
    }
    let _ = writeln!(text, "    {name}:");
    for word in words {
        match word.ends_with('\n') && !word.starts_with(' ') {
            true => {
                text.push_str("      - |\n");
                for line in word.lines() {
                    let _ = writeln!(text, "        {line}");
                }
            }
            false => {
                let _ = writeln!(text, "      - {}", quoted(word));
            }
        }
    }
}

/// A key as it is, or in quotes where YAML would take it for something else.
fn key(name: &str) -> String {
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    let is_word = name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_');
    let is_taken = matches!(
        name.to_ascii_lowercase().as_str(),
        "y" | "n" | "yes" | "no" | "on" | "off" | "true" | "false" | "null"
    );
    match is_word && !is_taken && name.chars().all(is_plain) {
        true => name.to_owned(),
        false => quoted(name),
    }
}

/// A text in double quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => quoted.extend(['\\', char]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            char if char.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(char));
            }
            char => quoted.push(char),
        }
    }
    quoted.push('"');
    quoted
}

fn short(text: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(text.as_bytes())[..8])
}
