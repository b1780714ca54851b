//! Infisical: the fake that the official client vouches for, in both generations and by each kind of credential.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::fakes::infisical::{Generations, Infisical, Login, Role, Secret};
use locket_testkit::{Canary, Faults, Server};

use super::fixture::{Backend, Credential, Fixture, References, Sample, Secrets, Upstream};

/// One way to reach the server.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByInfisical {
    /// Universal auth, at a server of today.
    Universal,
    /// A given token, at a server that knows the older requests alone.
    OldToken,
    /// A token that an issuer signed.
    Oidc,
}

const IDENTITY: &str = "7e1c7a2e-1f1b-4d8c-9d7e-6a5b4c3d2e1f";
const PLACE: (&str, &str, &str) = ("p1", "prod", "/app");

impl Fixture for ByInfisical {
    fn name(&self) -> &'static str {
        match self {
            Self::Universal => "infisical, universal auth",
            Self::OldToken => "infisical, token, third generation",
            Self::Oidc => "infisical, OIDC",
        }
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name("infisical").unwrap()
    }

    fn start(&self) -> Backend {
        let fake = Infisical::new().speaking(match self {
            Self::OldToken => Generations::Third,
            Self::Universal | Self::Oidc => Generations::Both,
        });
        let put = |key: &str, value: Canary| {
            fake.put(PLACE, Secret::new(key, value.as_str()));
            let reference = format!("infisical:///{key}");
            Sample { reference, value }
        };
        fake.put(PLACE, Secret::new("blank", ""));
        fake.put(("p1", "closed", "/app"), Secret::new("hidden", "hidden"));
        let references = References {
            text: put("text", Canary::text("text")),
            other: put("other", Canary::text("other")),
            awkward: put("awkward", Canary::awkward("awkward")),
            binary: Err("its secrets are text"),
            empty: Ok("infisical:///blank".to_owned()),
            siblings: Err("a secret has one value"),
            missing_field: Err("a secret has one value"),
            missing_item: "infisical:///nowhere".to_owned(),
            denied: Ok("infisical:///hidden?env=closed".to_owned()),
        };
        let secrets = Secrets::default();
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("credential");
        let settings = Settings::default()
            .with("default-project-id", PLACE.0)
            .with("default-environment", PLACE.1)
            .with("default-path", PLACE.2);
        let given = Given::File(file.clone());
        let settings = match self {
            Self::Universal => settings
                .with("client-id", "client")
                .with_credential("client-secret-file", given),
            Self::OldToken => settings.with_credential("token-file", given),
            Self::Oidc => settings
                .with("auth", "oidc")
                .with("identity-id", IDENTITY)
                .with_credential("jwt-file", given),
        };
        let issue = {
            let (fake, secrets, way, count) = (fake.clone(), secrets.clone(), *self, Cell::new(0));
            move || {
                count.set(count.get() + 1);
                let secret = format!("credential-{}-{}", count.get(), Canary::text("x").as_str());
                let (credential, identity) = match way {
                    Self::OldToken => fake.token(),
                    Self::Universal => {
                        let login = Login::Universal {
                            client_id: "client".to_owned(),
                            client_secret: secret.clone(),
                        };
                        (secret, fake.identity(login))
                    }
                    Self::Oidc => {
                        let login = Login::Signed {
                            path: "oidc-auth",
                            identity: IDENTITY.to_owned(),
                            jwt: secret.clone(),
                        };
                        (secret, fake.identity(login))
                    }
                };
                fake.grant(identity, PLACE.0, PLACE.1, Some(Role::Read));
                secrets.add(&Canary::of("credential", credential.as_str()));
                std::fs::write(&file, credential).unwrap();
                identity
            }
        };
        let identity = Rc::new(RefCell::new(issue()));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let faults = Faults::before(&server.url());
        Backend {
            settings: settings.with("url", faults.url()),
            environment: Environment::default(),
            base_dir: PathBuf::from("/"),
            references,
            upstream: Ok(Upstream {
                faults,
                is_read: |request| request.path.contains("/secrets"),
            }),
            credential: Ok(Credential {
                renew: {
                    let (fake, identity) = (fake.clone(), identity.clone());
                    Box::new(move || fake.revoke(identity.replace(issue())))
                },
                revoke: Box::new(move || fake.revoke(*identity.borrow())),
            }),
            secrets,
            alive: Box::new((server, directory)),
        }
    }
}
