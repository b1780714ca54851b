//! OCI Vault: the fake that the official client vouches for, in each of the ways to be somebody.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use locket_core::Environment;
use locket_providers::{ProviderKind, Settings};
use locket_testkit::fakes::oci::{ApiKey, Oci, Session};
use locket_testkit::{Canary, Faults, Server, TokioClock};

use super::fixture::{Backend, Credential, Fixture, References, Sample, Secrets, Upstream};

/// As whom requests are signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Oracle {
    ApiKey,
    Session,
    Resource,
    Instance,
}

const HOUR: Duration = Duration::from_secs(3600);

impl Fixture for Oracle {
    fn name(&self) -> &'static str {
        match self {
            Self::ApiKey => "oci, API key",
            Self::Session => "oci, session",
            Self::Resource => "oci, resource principal",
            Self::Instance => "oci, instance principal",
        }
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name("oci").unwrap()
    }

    fn start(&self) -> Backend {
        let fake = Oci::by(Arc::new(TokioClock::new()));
        fake.tolerate(HOUR);
        let references = references(&fake);
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let faults = Faults::before(&server.url());
        let directory = tempfile::tempdir().unwrap();
        let base_dir = directory.path().to_owned();
        let secrets = Secrets::default();
        let settings = Settings::default().with("endpoint", faults.url());
        let (settings, environment) = self.settings(settings, &faults.url(), &base_dir);
        let issue = {
            let (way, fake, base, secrets) = (*self, fake.clone(), base_dir.clone(), secrets.clone());
            move || way.issue(&fake, &base, &secrets)
        };
        issue();
        let way = *self;
        Backend {
            settings,
            environment,
            base_dir,
            references,
            upstream: Ok(Upstream {
                faults,
                is_read: |request| request.path.contains("/secretbundles/"),
            }),
            credential: Ok(Credential {
                renew: {
                    let fake = fake.clone();
                    Box::new(move || {
                        way.revoke(&fake);
                        issue();
                    })
                },
                revoke: Box::new(move || way.revoke(&fake)),
            }),
            secrets,
            alive: Box::new((server, directory)),
        }
    }
}

impl Oracle {
    fn settings(self, settings: Settings, url: &str, base: &Path) -> (Settings, Environment) {
        let path = |name: &str| base.join(name).to_str().unwrap().to_owned();
        match self {
            Self::ApiKey | Self::Session => (
                settings.with("config-file", "config").with("profile", "TEST"),
                Environment::default(),
            ),
            Self::Resource => {
                let environment: Environment = [
                    ("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2".to_owned()),
                    ("OCI_RESOURCE_PRINCIPAL_RPST", path("token")),
                    ("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", path("key.pem")),
                    ("OCI_RESOURCE_PRINCIPAL_REGION", "us-ashburn-1".to_owned()),
                ]
                .into_iter()
                .collect();
                // As the layers of the configuration hand variables on.
                let given = |name: &str| {
                    locket_providers::Credential::Value(Arc::new(locket_core::SecretBytes::copy_from(
                        path(name).as_bytes(),
                    )))
                };
                let settings = settings
                    .with("auth", "resource-principal")
                    .with_credential("resource-token-file", given("token"))
                    .with_credential("resource-key-file", given("key.pem"));
                (settings, environment)
            }
            Self::Instance => (
                settings
                    .with("auth", "instance_principal")
                    .with("auth-endpoint", url)
                    .with("metadata-url", format!("{url}/opc/v2")),
                Environment::default(),
            ),
        }
    }

    /// Puts a credential where the settings look for it.
    fn issue(self, fake: &Oci, base: &Path, secrets: &Secrets) {
        let write = |name: &str, text: &str| {
            let staged = base.join(".staged");
            std::fs::write(&staged, text).unwrap();
            std::fs::rename(staged, base.join(name)).unwrap();
        };
        let remember = |pem: &str| {
            let line = pem.lines().nth(3).unwrap();
            secrets.add(&Canary::of("a line of a private key", line));
        };
        match self {
            Self::ApiKey => {
                let ApiKey {
                    tenancy,
                    user,
                    fingerprint,
                    pem,
                } = fake.api_key();
                remember(&pem);
                write("key.pem", &pem);
                write(
                    "config",
                    &format!(
                        "[DEFAULT]\ntenancy={tenancy}\n[TEST]\nuser={user}\nfingerprint={fingerprint}\nkey_file=key.pem\n"
                    ),
                );
            }
            Self::Session | Self::Resource => {
                let Session { token, pem } = fake.session(HOUR);
                remember(&pem);
                secrets.add(&Canary::of("token", token.as_str()));
                write("key.pem", &pem);
                write("token", &token);
                write(
                    "config",
                    "[TEST]\nkey_file=key.pem\nsecurity_token_file=token\nregion=us-ashburn-1\n",
                );
            }
            Self::Instance => {
                static NUMBER: AtomicUsize = AtomicUsize::new(0);
                fake.renew_certificate(NUMBER.fetch_add(1, Ordering::Relaxed));
            }
        }
    }

    fn revoke(self, fake: &Oci) {
        match self {
            Self::ApiKey => fake.revoke_api_keys(),
            Self::Session | Self::Resource => fake.end_tokens(),
            Self::Instance => {
                fake.distrust_instance();
                fake.end_tokens();
            }
        }
    }
}

fn references(fake: &Oci) -> References {
    let vault = fake.add_vault();
    let put = |name: &str, content: &[u8]| fake.add_secret(&vault, name, content);
    let sample = |name: &str, value: Canary| Sample {
        reference: format!("oci://{}", put(name, value.bytes())),
        value,
    };
    let other = Canary::text("other");
    put("other", other.bytes());
    let text = sample("text", Canary::text("text"));
    let hidden = put("hidden", b"hidden");
    fake.deny(&hidden);
    References {
        // Of a secret that cannot be read it is never said that it does not exist; of a version it is.
        missing_item: format!("{}?version=99", text.reference),
        text,
        other: Sample {
            reference: format!("oci://{vault}/other"),
            value: other,
        },
        awkward: sample("awkward", Canary::awkward("awkward")),
        binary: Ok(sample("binary", Canary::binary("binary"))),
        empty: Ok(format!("oci://{}", put("empty", b""))),
        siblings: Err("a secret is one value"),
        missing_field: Err("a secret is one value"),
        denied: Ok(format!("oci://{hidden}")),
    }
}
