//! What a service waits for.

use super::rules::{UNASKED_HEALTH, UNKNOWN_CONDITION};
use super::run::Scene;
use super::{Finding, Fix};
use crate::images;
use crate::model::{Condition, Service, Text};

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
            if let (Some(Condition::Healthy), Some(text), Some(on)) = (
                dependency.condition,
                &dependency.condition_text,
                project.service(&dependency.service),
            ) && is_unasked(on)
            {
                scene.add(unasked(service, on, text));
            }
        }
    }
}

/// Whether nobody asks for the health of a service: neither the project nor, as far as is known, its image.
fn is_unasked(service: &Service) -> bool {
    match &service.healthcheck {
        Some(check) if check.is_disabled => true,
        // Intervals alone make no check.
        Some(check) if check.test.is_some() => false,
        _ => {
            let image = service.image.as_ref();
            service.build.is_none() && image.is_some_and(|image| images::is_unasked(&image.value))
        }
    }
}

fn unasked(service: &Service, on: &Service, text: &Text) -> Finding {
    let finding = Finding::new(
        &UNASKED_HEALTH,
        text.place,
        format!("{}: {}", service.name, on.name),
        format!("{} has no health check", on.name),
    );
    let image = on.image.as_ref().and_then(|image| images::find(&image.value));
    let test = image.and_then(|image| image.health.as_ref());
    match test.filter(|test| on.healthcheck.is_none() && !test.contains("{secret}")) {
        Some(test) => {
            let test = test.replace('$', "$$").replace('\'', "''");
            finding.help(format!(
                "Give {} a check: `healthcheck: {{test: [CMD-SHELL, '{test}']}}`.",
                on.name
            ))
        }
        None => finding.help(format!(
            "Give {} a `healthcheck:` with a `test:`, or wait for `service_started`.",
            on.name
        )),
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
