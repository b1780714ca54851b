//! 1Password Connect: the fake that the official client vouches for.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::fakes::connect::{Category, Connect, Field, File, Item};
use locket_testkit::{Canary, Faults, Server};

use super::fixture::{Backend, Credential, Fixture, References, Sample, Secrets, Upstream};

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
        let (open, closed) = (fake.add_vault("Open \"vault\""), fake.add_vault("Closed"));
        let put = |item: Item, title: &str| {
            let id = fake.add_item(&open, item);
            match self {
                Self::Names => format!("op://Open %22vault%22/{title}"),
                Self::Ids => format!("op://{open}/{id}"),
            }
        };
        let login = |title: &str, value: Canary| Sample {
            reference: put(Item::login(title, value.as_str()), title) + "/password",
            value,
        };
        let [one, two] = ["one", "two"].map(Canary::text);
        let pair = Item::new(Category::Database, "pair")
            .section("s", "Section")
            .field(Field::concealed("one", one.as_str()))
            .field(Field::concealed("two", two.as_str()).section("s"))
            .field(Field::concealed("blank", "").without_value());
        let pair = put(pair, "pair");
        let file = Canary::binary("file");
        let document = Item::new(Category::Document, "document").file(File::new("key.bin", file.bytes()));
        let hidden = fake.add_item(&closed, Item::login("hidden", "hidden"));
        let references = References {
            text: login("text", Canary::text("text")),
            other: login("other", Canary::text("other")),
            awkward: login("awkward", Canary::awkward("awkward")),
            binary: Ok(Sample {
                reference: put(document, "document") + "/key.bin",
                value: file,
            }),
            empty: Ok(format!("{pair}/blank")),
            missing_field: Ok(format!("{pair}/three")),
            missing_item: match self {
                Self::Names => "op://Open %22vault%22/nowhere/password".to_owned(),
                Self::Ids => format!("op://{open}/{}/password", "a".repeat(26)),
            },
            // By names a vault out of scope is not told from one that does not exist.
            denied: Ok(format!("op://{closed}/{hidden}/password")),
            siblings: Ok([
                Sample {
                    reference: format!("{pair}/one"),
                    value: one,
                },
                Sample {
                    reference: format!("{pair}/Section/two"),
                    value: two,
                },
            ]),
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
