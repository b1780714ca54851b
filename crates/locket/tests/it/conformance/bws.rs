//! Bitwarden Secrets Manager: the fake that the official clients vouch for.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::fakes::bitwarden::Bitwarden;
use locket_testkit::{Canary, Faults, Server};

use super::fixture::{Backend, Credential, Fixture, References, Sample, Secrets, Upstream};

/// How references name secrets, which decides what is looked up first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByBws {
    Names,
    Ids,
}

impl Fixture for ByBws {
    fn name(&self) -> &'static str {
        match self {
            Self::Names => "bws, by names",
            Self::Ids => "bws, by ids",
        }
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name("bws").unwrap()
    }

    fn start(&self) -> Backend {
        let fake = Bitwarden::new();
        let (open, closed) = (fake.add_project("Open \"project\""), fake.add_project("Closed"));
        let put = |key: &str, value: Canary| {
            let id = fake.add_secret(&open, key, value.as_str());
            let reference = match self {
                Self::Names => format!("bws://Open %22project%22/{key}"),
                // The key of one is needed to find it in the list of its project.
                Self::Ids if key == "other" => format!("bws://{open}/{key}"),
                Self::Ids => format!("bws://{id}"),
            };
            Sample { reference, value }
        };
        fake.add_secret(&closed, "hidden", "hidden");
        fake.add_secret(&open, "blank", "");
        let references = References {
            text: put("text", Canary::text("text")),
            other: put("other", Canary::text("other")),
            awkward: put("awkward", Canary::awkward("awkward")),
            binary: Err("its secrets are text"),
            empty: Ok(format!("bws://{open}/blank")),
            siblings: Err("a secret has one value"),
            missing_field: Err("a secret has one value"),
            missing_item: match self {
                Self::Names => "bws://Open %22project%22/nowhere".to_owned(),
                Self::Ids => format!("bws://{open}/nowhere"),
            },
            // By its own id a secret out of scope is not told from one that does not exist.
            denied: Ok(match self {
                Self::Names => "bws://Closed/hidden".to_owned(),
                Self::Ids => format!("bws://{closed}/hidden"),
            }),
        };
        let secrets = Secrets::default();
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        let settings = Settings::default().with_credential("token-file", Given::File(token_file.clone()));
        let issue = {
            let (fake, secrets) = (fake.clone(), secrets.clone());
            move || {
                let token = fake.access_token(&[&open]);
                secrets.add(&Canary::of("token", token.as_str()));
                for part in token.split(['.', ':']).skip(2) {
                    secrets.add(&Canary::of("part of a token", part));
                }
                std::fs::write(&token_file, &token).unwrap();
                token
            }
        };
        let token = Rc::new(RefCell::new(issue()));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let faults = Faults::before(&server.url());
        Backend {
            settings: settings.with("server-url", faults.url()),
            environment: Environment::default(),
            base_dir: PathBuf::from("/"),
            references,
            upstream: Ok(Upstream {
                faults,
                is_read: |request| request.path == "/api/secrets/get-by-ids",
            }),
            credential: Ok(Credential {
                renew: {
                    let (fake, token) = (fake.clone(), token.clone());
                    Box::new(move || fake.revoke(&token.replace(issue())))
                },
                revoke: Box::new(move || fake.revoke(&token.borrow())),
            }),
            secrets,
            alive: Box::new((server, directory)),
        }
    }
}
