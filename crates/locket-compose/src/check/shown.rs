//! Texts as they may be shown beside a finding: every value that could be a secret is covered.

use super::Checked;
use super::credentials;
use crate::model::{Project, Text, Variable};
use crate::place::{Place, SourceId};

/// Stands for each byte that is covered.
const COVER: u8 = b'*';

/// The text `source` with its values covered. It has the same length, so that every place is still right.
pub fn shown(project: &Project, checked: &Checked, source: SourceId) -> Vec<u8> {
    let text = &project.sources.get(source).text;
    let mut shown = text.as_bytes().to_vec();
    let is_env = project.env_texts.iter().any(|file| file.source == source);
    let is_broken = project
        .mistakes
        .iter()
        .any(|mistake| mistake.source == source && !mistake.is_unset);
    let is_tree = checked.values.iter().any(|place| place.source == source);
    if is_env || (is_broken && !is_tree) {
        cover_lines(&mut shown);
    }
    for place in checked.values.iter().filter(|place| place.source == source) {
        let range = place.span.start.min(shown.len())..place.span.end.min(shown.len());
        shown[range]
            .iter_mut()
            .filter(|byte| **byte != b'\n')
            .for_each(|byte| *byte = COVER);
    }
    shown
}

/// Covers what stands behind the name at the beginning of each line: for texts whose parts are not known. A line within
/// quotes that an earlier one opened has no name, nor has one that ends as base64 does. The length stays.
pub fn cover_lines(text: &mut [u8]) {
    let mut open = None;
    for line in text.split_mut(|byte| *byte == b'\n') {
        let from = if open.is_some() { 0 } else { name_of(line) };
        open = quote_after(&line[from..], open);
        line[from..]
            .iter_mut()
            .filter(|byte| !byte.is_ascii_whitespace())
            .for_each(|byte| *byte = COVER);
    }
}

/// The length of the name that a line begins with, with what separates it from its value; 0 where there is none.
fn name_of(line: &[u8]) -> usize {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b" _-.".contains(byte);
    let name = line.iter().take_while(|byte| is_name(byte)).count();
    match line.get(name) {
        Some(b'=') if matches!(line[name + 1..].trim_ascii(), b"" | b"=") => 0,
        Some(b'=' | b':') => name + 1,
        _ => 0,
    }
}

/// The quote that is open behind `value`, in front of which `open` was: one that a value begins with.
fn quote_after(value: &[u8], open: Option<u8>) -> Option<u8> {
    let value = value.trim_ascii();
    let value = value.strip_prefix(b"- ").unwrap_or(value).trim_ascii_start();
    let (quote, rest) = match (open, value) {
        (Some(quote), rest) => (quote, rest),
        (None, [quote @ (b'"' | b'\''), rest @ ..]) => (*quote, rest),
        (None, _) => return None,
    };
    let mut is_escaped = false;
    for byte in rest {
        if *byte == quote && !is_escaped {
            return None;
        }
        is_escaped = quote == b'"' && *byte == b'\\' && !is_escaped;
    }
    Some(quote)
}

/// Every place of a value that could be a secret.
pub(super) fn values(project: &Project) -> Vec<Place> {
    let mut places = Vec::new();
    let mut add = |variables: &[Variable]| {
        for text in variables.iter().filter_map(|variable| variable.value.as_ref()) {
            if !is_harmless(text) {
                places.push(text.place);
            }
        }
    };
    for service in &project.services {
        add(&service.environment);
        add(&service.resolved);
        add(&service.labels);
        service.build.iter().for_each(|build| add(&build.args));
    }
    for volume in &project.volumes {
        add(&volume.options);
    }
    places.extend(credentials::places(project));
    places
}

/// Whether a value is certainly none: a path, a name of another file, a switch, a reference, only variables.
fn is_harmless(text: &Text) -> bool {
    let value = text.written.trim();
    let is_switch = matches!(value, "true" | "false" | "yes" | "no" | "");
    let is_path = (value.starts_with('/') || value.starts_with("file:///")) && !value.contains(' ');
    let is_variable = value.strip_prefix("${").is_some_and(|rest| {
        let name = rest.strip_suffix('}').unwrap_or_default();
        name.chars()
            .all(|char| char.is_ascii_alphanumeric() || char == '_')
    });
    is_switch || is_path || is_variable || value.contains("{{")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covered(text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        cover_lines(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn names_stay_and_values_go() {
        assert_eq!(covered("A=1\nb: x y\n# c"), "A=*\nb: * *\n* *");
        assert_eq!(covered("EMPTY=\nD=\"x\"\nE=2"), "******\nD=***\nE=*");
    }

    #[test]
    fn a_value_of_several_lines_goes_as_a_whole() {
        assert_eq!(covered("A='x\nB=2\ny'\nC=3"), "A=**\n***\n**\nC=*");
        assert_eq!(covered("A=\"x\\\"\nB=2\"\nC=3"), "A=****\n****\nC=*");
        assert_eq!(covered("- \"x\n  b: 2\"\nc: 3"), "* **\n  ** **\nc: *");
    }

    #[test]
    fn the_end_of_a_key_is_no_name() {
        assert_eq!(
            covered("key: |\n  abcd\n  kQAbcQ==\n  abc="),
            "key: *\n  ****\n  ********\n  ****"
        );
    }
}
