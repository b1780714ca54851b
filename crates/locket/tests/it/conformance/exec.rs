//! A helper that asks the toy's server: whatever befalls that server, the helper has to say in the protocol's words.

use std::path::Path;

use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::services;

use super::fixture::{Backend, Fixture, References, Sample};
use super::toy;
use super::trial::DEADLINE;

/// The helper beside this file.
pub(crate) struct Helper;

const HELPER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/conformance/exec_helper.py");

impl Fixture for Helper {
    fn name(&self) -> &'static str {
        "exec"
    }

    fn kind(&self) -> &'static ProviderKind {
        &locket_providers::exec::KIND
    }

    fn is_installed(&self) -> bool {
        services::python().is_some()
    }

    fn start(&self) -> Backend {
        let python = services::python().unwrap();
        let toy = toy::FLAWLESS.start();
        let Some(Given::File(key)) = toy.settings.credential("key") else {
            panic!("the toy's key is a file");
        };
        let settings = Settings::default()
            // Each case starts helpers, which takes long where much else is going on.
            .with("timeout", format!("{}s", DEADLINE.as_secs()))
            .with_list("command", [shown(&python), "-IS", HELPER])
            .with_table(
                "env",
                [
                    ("AUTHORITY", toy.settings.text("authority").unwrap()),
                    ("KEY_FILE", shown(key)),
                ],
            );
        let references = References {
            text: sample(toy.references.text),
            other: sample(toy.references.other),
            awkward: sample(toy.references.awkward),
            binary: toy.references.binary.map(sample),
            empty: toy
                .references
                .empty
                .as_deref()
                .map(reference)
                .map_err(|reason| *reason),
            siblings: Err("a helper gives one value for a locator"),
            missing_field: Err("a helper gives one value for a locator"),
            missing_item: reference(&toy.references.missing_item),
            denied: toy
                .references
                .denied
                .as_deref()
                .map(reference)
                .map_err(|reason| *reason),
        };
        Backend {
            settings,
            references,
            ..toy
        }
    }
}

fn sample(toy: Sample) -> Sample {
    Sample {
        reference: reference(&toy.reference),
        ..toy
    }
}

/// The toy's reference, as the helper takes it.
fn reference(toy: &str) -> String {
    toy.replace("toy://", "exec://toy/")
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}
