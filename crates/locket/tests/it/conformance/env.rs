//! Environment variables.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use locket_core::Environment;
use locket_providers::{ProviderKind, Settings};
use locket_testkit::Canary;

use super::fixture::{Backend, Fixture, NO_NETWORK, References, Sample, Secrets};

/// Variables of a made-up environment.
pub(crate) struct Variables;

impl Fixture for Variables {
    fn name(&self) -> &'static str {
        "env"
    }

    fn kind(&self) -> &'static ProviderKind {
        &locket_providers::env::KIND
    }

    fn start(&self) -> Backend {
        // The kernel ends a variable at its first NUL.
        let mut bytes = Canary::binary("binary").bytes().to_vec();
        bytes.retain(|byte| *byte != 0);
        let variables = [
            ("TEXT", Canary::text("text")),
            ("OTHER", Canary::text("other")),
            ("AWKWARD", Canary::awkward("awkward")),
            ("BINARY", Canary::of("binary", bytes)),
        ];
        let environment = variables
            .iter()
            .map(|(name, value)| (*name, OsString::from_vec(value.bytes().to_vec())))
            .chain([("EMPTY", OsString::new())])
            .collect::<Environment>();
        let [text, other, awkward, binary] = variables.map(|(name, value)| Sample {
            reference: format!("env://{name}"),
            value,
        });
        let references = References {
            text,
            other,
            awkward,
            binary: Ok(binary),
            empty: Ok("env://EMPTY".to_owned()),
            siblings: Err("a variable is one value"),
            missing_field: Err("a variable is one value"),
            missing_item: "env://NOWHERE".to_owned(),
            denied: Err("a process may read all its variables"),
        };
        Backend {
            settings: Settings::default(),
            environment,
            base_dir: PathBuf::from("/"),
            references,
            upstream: Err(NO_NETWORK),
            credential: Err("a process may read all its variables"),
            secrets: Secrets::default(),
            alive: Box::new(()),
        }
    }
}
