//! What a service waits for.

use super::rules::UNKNOWN_CONDITION;
use super::run::Scene;
use super::{Finding, Fix};
use crate::model::{Condition, Text};

const KNOWN: [&str; 3] = [
    "service_started",
    "service_healthy",
    "service_completed_successfully",
];

pub(super) fn look(scene: &mut Scene<'_>) {
    let project = scene.project;
    for service in &project.services {
        for dependency in &service.depends_on {
            if let (Some(Condition::Unknown), Some(text)) = (dependency.condition, &dependency.condition_text)
            {
                scene.add(unknown(&service.name, &dependency.service, text));
            }
        }
    }
}

fn unknown(service: &str, on: &str, text: &Text) -> Finding {
    let meant = KNOWN
        .into_iter()
        .find(|known| !text.value.is_empty() && known.split('_').any(|word| word == text.value))
        .or_else(|| locket_core::suggest::nearest(&text.value, KNOWN));
    let finding = Finding::new(
        &UNKNOWN_CONDITION,
        text.place,
        format!("{service}: {on}"),
        format!("Compose knows no condition `{}`", text.value),
    );
    match meant {
        Some(meant) => finding
            .help(format!("Did you mean `{meant}`?"))
            .fix(Some(Fix::Replace {
                place: text.place,
                old: text.written.clone(),
                new: meant.to_owned(),
            })),
        None => finding,
    }
}
