//! Plain files.

use std::fs::{File, Permissions};
use std::os::unix::fs::PermissionsExt;

use locket_core::Environment;
use locket_providers::{ProviderKind, Settings};
use locket_testkit::Canary;

use super::fixture::{Backend, Fixture, NO_NETWORK, References, Sample, Secrets};

/// Files below a temporary directory, by relative paths.
pub(crate) struct Files;

impl Fixture for Files {
    fn name(&self) -> &'static str {
        "file"
    }

    fn kind(&self) -> &'static ProviderKind {
        &locket_providers::file::KIND
    }

    fn start(&self) -> Backend {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, value: &[u8]| {
            std::fs::write(directory.path().join(name), value).unwrap();
            format!("file://{name}")
        };
        let sample = |name: &str, value: Canary| Sample {
            reference: file(name, value.bytes()),
            value,
        };
        let references = References {
            text: sample("text", Canary::text("text")),
            other: sample("other", Canary::text("other")),
            awkward: sample("awkward", Canary::awkward("awkward")),
            binary: Ok(sample("binary", Canary::binary("binary"))),
            empty: Ok(file("empty", b"")),
            siblings: Err("a file is one value"),
            missing_field: Err("a file is one value"),
            missing_item: "file://nowhere".to_owned(),
            denied: {
                let reference = file("denied", b"denied");
                let path = directory.path().join("denied");
                std::fs::set_permissions(&path, Permissions::from_mode(0o000)).unwrap();
                match File::open(&path) {
                    Ok(_) => Err("this user may read every file"),
                    Err(_) => Ok(reference),
                }
            },
        };
        Backend {
            settings: Settings::default(),
            environment: Environment::default(),
            base_dir: directory.path().to_owned(),
            references,
            upstream: Err(NO_NETWORK),
            credential: Err("files are read as this user"),
            secrets: Secrets::default(),
            alive: Box::new(directory),
        }
    }
}
