//! 1Password Connect: the fake that the official client vouches for.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::fakes::connect::{Connect, Item};
use locket_testkit::{Canary, Faults, Server};

use super::fixture::{Backend, Credential, Fixture, References, Secrets, Upstream};
use super::onepassword::{OPEN, OPEN_IN_REFERENCES, document, references};

/// How references name vault and item, which decides what is looked up first.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ByConnect {
    Names,
    Ids,
}

impl Fixture for ByConnect {
    fn name(&self) -> &'static str {
        match self {
            Self::Names => "op-connect, by names",
            Self::Ids => "op-connect, by ids",
        }
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name("op-connect").unwrap()
    }

    fn start(&self) -> Backend {
        let fake = Connect::new();
        let (open, closed) = (fake.add_vault(OPEN), fake.add_vault("Closed"));
        let put = |item: Item, title: &str| {
            let id = fake.add_item(&open, item);
            match self {
                Self::Names => format!("op://{OPEN_IN_REFERENCES}/{title}"),
                Self::Ids => format!("op://{open}/{id}"),
            }
        };
        let hidden = fake.add_item(&closed, Item::login("hidden", "hidden"));
        let made = references(put, Ok(document(put)), format!("op://{closed}/{hidden}/password"));
        let references = match self {
            Self::Names => made,
            Self::Ids => References {
                missing_item: format!("op://{open}/{}/password", "a".repeat(26)),
                ..made
            },
        };
        let secrets = Secrets::default();
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        let settings = Settings::default().with_credential("token-file", Given::File(token_file.clone()));
        let issue = {
            let (fake, secrets) = (fake.clone(), secrets.clone());
            move || {
                let token = fake.token(&[&open]);
                secrets.add(&Canary::of("token", token.as_str()));
                std::fs::write(&token_file, &token).unwrap();
                token
            }
        };
        let token = Rc::new(RefCell::new(issue()));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let faults = Faults::before(&server.url());
        Backend {
            settings: settings.with("host", faults.url()),
            environment: Environment::default(),
            base_dir: PathBuf::from("/"),
            references,
            upstream: Ok(Upstream {
                faults,
                // `v1/vaults/VAULT/items/ITEM` and what is below; the shorter ones are look-ups.
                is_read: |request| request.segments().len() >= 5,
            }),
            credential: Ok(Credential {
                renew: {
                    let (fake, token) = (fake.clone(), token.clone());
                    Box::new(move || {
                        fake.expire_token(&token.replace(issue()));
                    })
                },
                revoke: Box::new(move || fake.expire_token(&token.borrow())),
            }),
            secrets,
            alive: Box::new((server, directory)),
        }
    }
}
