//! 1Password service accounts by the vendor's own core, against the server that the official client vouches for.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::fakes::connect::Item;
use locket_testkit::fakes::onepassword::OnePassword;
use locket_testkit::{Canary, Client, Faults, Server, TestCa, services};

use super::fixture::{Backend, Credential, Fixture, Secrets, Struck, Upstream};
use super::onepassword::{OPEN, OPEN_IN_REFERENCES, references};
use super::trial::DEADLINE;

/// The provider with `op.core`.
pub(crate) struct ByCore;

const NO_FILES: &str = "the tests' server has no files";

impl Fixture for ByCore {
    fn name(&self) -> &'static str {
        "op, by the core"
    }

    fn kind(&self) -> &'static ProviderKind {
        ProviderKind::by_name("op").unwrap()
    }

    fn is_installed(&self) -> bool {
        // Ten minutes of logins, nine of them the core's own arithmetic.
        services::in_contract_lane("the conformance suite by the core of 1Password")
            && services::find("op-core/op-core.cwasm").is_some()
    }

    /// A login computes with large numbers for a second, and takes eight requests.
    fn struck(&self) -> Struck {
        Struck::Some
    }

    fn start(&self) -> Backend {
        let core = services::find("op-core/op-core.cwasm").unwrap();
        let fake = OnePassword::new();
        let (open, closed) = (fake.add_vault(OPEN), fake.add_vault("Closed"));
        let put = |item: Item, title: &str| {
            fake.add_item(&open, item);
            format!("op://{OPEN_IN_REFERENCES}/{title}")
        };
        let hidden = fake.add_item(&closed, Item::login("hidden", "hidden"));
        let references = references(put, Err(NO_FILES), format!("op://{closed}/{hidden}/password"));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let ca = TestCa::new();
        let faults = Faults::between(Server::builder().tls(&ca), Client::new(&server.url()));
        let address = faults.address().to_string();
        let secrets = Secrets::default();
        let directory = tempfile::tempdir().unwrap();
        let token_file = directory.path().join("token");
        let settings = Settings::default()
            .with("core", core.to_str().unwrap())
            .with("ca-file", ca.file().to_str().unwrap())
            // Each login computes with large numbers, which takes long where much else is going on.
            .with("timeout", format!("{}s", DEADLINE.as_secs()))
            .with_credential("token-file", Given::File(token_file.clone()));
        let issue = {
            let (fake, secrets) = (fake.clone(), secrets.clone());
            move || {
                let account = fake.account(&[&open]);
                let token = account.token(&address);
                secrets.add(&Canary::of("token", token.as_str()));
                std::fs::write(&token_file, token).unwrap();
                account
            }
        };
        let account = Rc::new(RefCell::new(issue()));
        Backend {
            settings,
            environment: [("SSL_CERT_FILE", "/dev/null")]
                .into_iter()
                .collect::<Environment>(),
            base_dir: PathBuf::from("/"),
            references,
            upstream: Ok(Upstream {
                faults,
                is_read: |request| request.path.ends_with("/items/batch"),
            }),
            credential: Ok(Credential {
                renew: {
                    let (fake, account) = (fake.clone(), account.clone());
                    Box::new(move || fake.delete_account(&account.replace(issue())))
                },
                revoke: Box::new(move || fake.delete_account(&account.borrow())),
            }),
            secrets,
            alive: Box::new((server, directory, ca)),
        }
    }
}
