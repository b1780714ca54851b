//! References to secrets that stand in Compose files and files of variables.

use locket_core::diagnostic::Severity;
use locket_core::template::{Template, TemplateOptions};

use super::Finding;
use super::outputs::is_agent;
use super::rules::BAD_REFERENCE;
use super::run::Scene;
use crate::model::{Project, Text, Variable};
use crate::place::Place;

/// Options of a Compose provider that hold `NAME=TEMPLATE`.
const ASSIGNMENTS: [&str; 2] = ["secrets", "env"];

pub(super) fn look(scene: &mut Scene<'_>) {
    for (subject, text) in references(scene.project) {
        mistakes(scene, &subject, text);
    }
}

/// Every text of `project` that is a template of ours and holds a tag, with what it is about.
pub fn references(project: &Project) -> Vec<(String, &Text)> {
    let mut texts: Vec<(String, &Text)> = Vec::new();
    for service in &project.services {
        let named = |variable: &Variable| format!("{}: {}", service.name, variable.name);
        for option in service.provider.iter().flat_map(|provider| &provider.options) {
            if ASSIGNMENTS.contains(&option.name.as_str()) {
                texts.extend(option.value.iter().map(|text| (named(option), text)));
            }
        }
        let is_ours = |label: &&Variable| label.name.starts_with("locket.secret.");
        for label in service.labels.iter().filter(is_ours) {
            texts.extend(label.value.iter().map(|text| (named(label), text)));
        }
        let agents = is_agent(service).then_some(&service.environment);
        for variable in agents.into_iter().flatten() {
            if matches!(variable.name.as_str(), "SECRET_VALUES" | "LOCKET_SECRETS") {
                texts.extend(variable.value.iter().map(|text| (named(variable), text)));
            }
        }
    }
    for volume in &project.volumes {
        if volume
            .driver
            .as_deref()
            .is_some_and(|driver| driver.starts_with("locket"))
        {
            for option in &volume.options {
                if option.name.starts_with("secret.") {
                    let subject = format!("{}: {}", volume.name, option.name);
                    texts.extend(option.value.iter().map(|text| (subject.clone(), text)));
                }
            }
        }
    }
    for file in &project.env_texts {
        for variable in &file.variables {
            texts.extend(variable.value.iter().map(|text| (variable.name.clone(), text)));
        }
    }
    texts.retain(|(_, text)| text.written.contains("{{"));
    texts
}

fn mistakes(scene: &mut Scene<'_>, subject: &str, text: &Text) {
    let options = TemplateOptions::default();
    let Err(found) = Template::parse(text.written.as_bytes(), &options, &scene.options.schemes) else {
        return;
    };
    let whole = text.place;
    // Exact where nothing of the text is escaped or folded; quotes and a comment may stand around it.
    let source = &scene.project.sources.get(whole.source).text;
    let raw = source.get(whole.span.start..whole.span.end).unwrap_or_default();
    let is_as_long = raw.len() == text.written.len();
    let start = raw.find(&text.written).or(is_as_long.then_some(0));
    for diagnostic in found.iter().filter(|found| found.severity == Severity::Error) {
        let place: Place = match start {
            Some(start) => whole.part(start + diagnostic.span.start, start + diagnostic.span.end),
            None => whole,
        };
        let finding = Finding::new(&BAD_REFERENCE, place, subject, diagnostic.message.clone());
        scene.add(match &diagnostic.help {
            Some(help) => finding.help(help.clone()),
            None => finding,
        });
    }
}
