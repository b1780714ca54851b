//! Azure Key Vault: the fake that the official clients vouch for, behind TLS, with each kind of login.

use std::path::Path;
use std::sync::Arc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::fakes::azure::{Application, Azure};
use locket_testkit::{Canary, Client, Faults, Server, TestCa, TokioClock};

use super::fixture::{Backend, Credential, Fixture, References, Sample, Secrets, Upstream};

/// How the provider logs in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Azkv {
    Secret,
    Certificate,
    Workload,
    Machine,
    AppService,
}

impl Fixture for Azkv {
    fn name(&self) -> &'static str {
        match self {
            Self::Secret => "azkv, client secret",
            Self::Certificate => "azkv, client certificate",
            Self::Workload => "azkv, workload identity",
            Self::Machine => "azkv, managed identity of a machine",
            Self::AppService => "azkv, managed identity of App Service",
        }
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name("azkv").unwrap()
    }

    fn start(&self) -> Backend {
        let fake = Azure::by(Arc::new(TokioClock::new()));
        fake.tolerate(std::time::Duration::from_secs(3600));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let ca = TestCa::new();
        let faults = Faults::between(Server::builder().tls(&ca), Client::new(&server.url()));
        let references = references(&fake, faults.address().port());
        let directory = tempfile::tempdir().unwrap();
        let base_dir = directory.path().to_owned();
        let secrets = Secrets::default();
        let way = *self;
        let settings = way
            .settings(&faults.url(), &base_dir)
            .with("ca-file", ca.file().to_str().unwrap());
        let issue = {
            let (fake, base, secrets) = (fake.clone(), base_dir.clone(), secrets.clone());
            move || way.issue(&fake, &base, &secrets)
        };
        issue();
        Backend {
            settings,
            environment: Environment::default(),
            base_dir,
            references,
            upstream: Ok(Upstream {
                faults,
                is_read: |request| {
                    request.path.starts_with("/secrets/") && request.headers.contains_key("authorization")
                },
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
            alive: Box::new((server, directory, ca)),
        }
    }
}

impl Azkv {
    fn settings(self, url: &str, base: &Path) -> Settings {
        let settings = Settings::default();
        let file = |name: &str| base.join(name).to_str().unwrap().to_owned();
        match self {
            Self::Machine => settings
                .with("auth", "managed-identity")
                .with("imds-endpoint", url),
            Self::AppService => settings
                .with("identity-endpoint", format!("{url}/msi/token"))
                .with_credential("identity-header-file", Given::File(file("header").into())),
            application => {
                // As the authority is known to clients: by a name, and not by an address.
                let settings = settings
                    .with("authority-host", url.replace("127.0.0.1", "localhost"))
                    .with("client-id", "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee");
                match application {
                    Self::Secret => {
                        settings.with_credential("client-secret-file", Given::File(file("secret").into()))
                    }
                    Self::Certificate => settings.with("certificate-file", file("certificate.pem")),
                    _ => settings.with("federated-token-file", file("federated")),
                }
            }
        }
    }

    /// Puts a credential where the settings look for it.
    fn issue(self, fake: &Azure, base: &Path, secrets: &Secrets) {
        let write = |name: &str, text: &str| {
            let staged = base.join(".staged");
            std::fs::write(&staged, text).unwrap();
            std::fs::rename(staged, base.join(name)).unwrap();
        };
        let Application {
            secret,
            certificate_pem,
            federated_token,
            ..
        } = fake.application();
        let header = Canary::text("word of the platform");
        secrets.add(&Canary::of("client secret", secret.as_str()));
        secrets.add(&Canary::of("federated token", federated_token.as_str()));
        secrets.add(&Canary::of(
            "a line of a private key",
            certificate_pem.lines().nth(3).unwrap(),
        ));
        secrets.add(&header);
        write("secret", &secret);
        write("certificate.pem", &certificate_pem);
        write("federated", &federated_token);
        write("header", header.as_str());
        fake.identity_header(header.as_str());
        fake.assign_identity();
    }

    fn revoke(self, fake: &Azure) {
        fake.revoke_application();
        fake.remove_identity();
        fake.end_tokens();
    }
}

fn references(fake: &Azure, port: u16) -> References {
    let put = |name: &str, value: &str| {
        fake.set("open", name, value);
        format!("azkv://open.vault.localhost:{port}/{name}")
    };
    let sample = |name: &str, value: Canary| Sample {
        reference: put(name, value.as_str()),
        value,
    };
    let references = References {
        text: sample("text", Canary::text("text")),
        other: sample("other", Canary::text("other")),
        awkward: sample("awkward", Canary::awkward("awkward")),
        binary: Err("a value is a JSON string"),
        empty: Ok(put("empty", "")),
        siblings: Err("a secret is one value"),
        missing_field: Err("a secret is one value"),
        missing_item: format!("azkv://open.vault.localhost:{port}/nowhere"),
        denied: Ok(format!("azkv://closed.vault.localhost:{port}/hidden")),
    };
    fake.set("closed", "hidden", "hidden");
    fake.deny("closed", "hidden");
    references
}
