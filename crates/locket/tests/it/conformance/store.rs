//! The embedded store.

use std::time::SystemTime;

use locket_core::{Environment, SecretBytes};
use locket_providers::store::{OwnKey, Rekey, Store};
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::Canary;
use locket_testkit::clock::EPOCH;

use super::fixture::{Backend, Credential, Fixture, NO_NETWORK, References, Sample, Secrets};

/// A store in a temporary directory, with its identity beside it.
pub(crate) struct Embedded;

impl Fixture for Embedded {
    fn name(&self) -> &'static str {
        "store"
    }

    fn kind(&self) -> &'static ProviderKind {
        &locket_providers::store::KIND
    }

    fn start(&self) -> Backend {
        let directory = tempfile::tempdir().unwrap();
        let identity = directory.path().join("identity.txt");
        let settings = Settings::default().with_credential("identity-file", Given::File(identity.clone()));
        let environment = Environment::default();
        let store = Store::from_settings(&settings, &environment, directory.path());
        let now = SystemTime::UNIX_EPOCH + EPOCH;
        store.init(&[], now).unwrap();
        let put = |name: &str, value: &[u8]| {
            let value = SecretBytes::copy_from(value);
            store.set(&name.parse().unwrap(), value, now).unwrap();
            format!("store://{name}")
        };
        let sample = |name: &str, value: Canary| Sample {
            reference: put(name, value.bytes()),
            value,
        };
        let references = References {
            text: sample("text", Canary::text("text")),
            other: sample("group/other", Canary::text("other")),
            awkward: sample("awkward", Canary::awkward("awkward")),
            binary: Ok(sample("binary", Canary::binary("binary"))),
            empty: Ok(put("empty", b"")),
            siblings: Err("a secret of the store is one value"),
            missing_field: Err("a secret of the store is one value"),
            missing_item: "store://nowhere".to_owned(),
            denied: Err("an identity opens the whole store"),
        };
        let secrets = Secrets::default();
        secrets.add(&Canary::of("identity", identity_key(&identity)));
        Backend {
            settings,
            environment,
            base_dir: directory.path().to_owned(),
            references,
            upstream: Err(NO_NETWORK),
            credential: Ok(Credential {
                renew: {
                    let (secrets, identity) = (secrets.clone(), identity.clone());
                    Box::new(move || {
                        let renewal = Rekey {
                            own_key: OwnKey::Renew,
                            ..Rekey::default()
                        };
                        store.rekey(&renewal, now).unwrap();
                        secrets.add(&Canary::of("new identity", identity_key(&identity)));
                    })
                },
                revoke: Box::new(move || std::fs::remove_file(&identity).unwrap()),
            }),
            secrets,
            alive: Box::new(directory),
        }
    }
}

/// The newest key of an identity file, which comes first.
fn identity_key(file: &std::path::Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let mut keys = text.lines().filter(|line| line.starts_with("AGE-SECRET-KEY-"));
    keys.next().unwrap().to_owned()
}
