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
        return shown;
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

/// Covers what stands behind the name at the beginning of each line: for texts whose parts are not known. The length
/// stays.
pub fn cover_lines(text: &mut [u8]) {
    for line in text.split_mut(|byte| *byte == b'\n') {
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b" _-.".contains(byte);
        let name = line.iter().take_while(|byte| is_name(byte)).count();
        let has_value = line.get(name).is_some_and(|byte| matches!(byte, b'=' | b':'));
        let from = if has_value { name + 1 } else { 0 };
        line[from..]
            .iter_mut()
            .filter(|byte| !byte.is_ascii_whitespace())
            .for_each(|byte| *byte = COVER);
    }
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
