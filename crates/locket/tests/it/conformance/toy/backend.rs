//! The toy's server and fixture.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use data_encoding::BASE64;
use locket_core::Environment;
use locket_providers::{Credential as Given, ProviderKind, Settings};
use locket_testkit::{Canary, Faults, Request, Response, Server};
use serde_json::{Value, json};

use super::flaws::Flaw;
use super::provider::{KIND, TELLING, UNGROUPED};
use crate::conformance::fixture::{Backend, Credential, Fixture, References, Sample, Secrets, Upstream};

/// The toy with one flaw, or none.
pub(crate) struct Toy(pub(super) Option<Flaw>);

/// The toy as it should be.
pub(crate) static FLAWLESS: Toy = Toy(None);

/// What the server knows.
struct Vault {
    items: BTreeMap<&'static str, BTreeMap<&'static str, Vec<u8>>>,
    session: Mutex<Session>,
    secrets: Secrets,
}

struct Session {
    key: Canary,
    tokens: Vec<Canary>,
}

impl Fixture for Toy {
    fn name(&self) -> &'static str {
        "toy"
    }

    fn kind(&self) -> &'static ProviderKind {
        match self.0 {
            Some(Flaw::ItemsAreFields) => &UNGROUPED,
            Some(Flaw::TellsOptions) => &TELLING,
            _ => &KIND,
        }
    }

    fn start(&self) -> Backend {
        let sample = |reference: &str, value: Canary| Sample {
            reference: format!("toy://{reference}"),
            value,
        };
        let references = References {
            text: sample("text/value", Canary::text("text")),
            other: sample("other/value", Canary::text("other")),
            awkward: sample("awkward/value", Canary::awkward("awkward")),
            binary: Ok(sample("binary/value", Canary::binary("binary"))),
            empty: Ok("toy://empty/value".to_owned()),
            siblings: Ok([
                sample("pair/one", Canary::text("one")),
                sample("pair/two", Canary::text("two")),
            ]),
            missing_field: Ok("toy://pair/three".to_owned()),
            missing_item: "toy://nowhere/value".to_owned(),
            denied: Ok("toy://denied/value".to_owned()),
        };
        let secrets = Secrets::default();
        let vault = Arc::new(Vault::new(&references, secrets.clone()));
        let serving = Arc::clone(&vault);
        let server = Server::start(move |request| serving.answer(&request));
        let faults = Faults::before(&server.url());
        let directory = tempfile::tempdir().unwrap();
        let key_file = directory.path().join("key");
        vault.change_key(Some(&key_file));
        let settings = Settings::default()
            .with("authority", faults.address().to_string())
            .with_credential("key", Given::File(key_file.clone()));
        let settings = match self.0 {
            None => settings,
            Some(flaw) => settings.with("flaw", format!("{flaw:?}")),
        };
        Backend {
            settings,
            environment: Environment::default(),
            base_dir: PathBuf::from("/"),
            references,
            upstream: Ok(Upstream {
                faults,
                is_read: |request| request.path == "/batch",
            }),
            credential: Ok(Credential {
                renew: {
                    let vault = Arc::clone(&vault);
                    Box::new(move || vault.change_key(Some(&key_file)))
                },
                revoke: Box::new(move || vault.change_key(None)),
            }),
            secrets,
            alive: Box::new((server, directory)),
        }
    }
}

impl Vault {
    fn new(references: &References, secrets: Secrets) -> Self {
        let mut items = BTreeMap::new();
        for (item, sample) in [
            ("text", &references.text),
            ("other", &references.other),
            ("awkward", &references.awkward),
            ("binary", references.binary.as_ref().unwrap()),
        ] {
            items.insert(item, BTreeMap::from([("value", sample.value.bytes().to_vec())]));
        }
        items.insert("empty", BTreeMap::from([("value", Vec::new())]));
        let [one, two] = references.siblings.as_ref().unwrap();
        let pair = [
            ("one", one.value.bytes().to_vec()),
            ("two", two.value.bytes().to_vec()),
        ];
        items.insert("pair", BTreeMap::from(pair));
        Self {
            items,
            session: Mutex::new(Session {
                key: Canary::text("key"),
                tokens: Vec::new(),
            }),
            secrets,
        }
    }

    /// Ends the key and all tokens. The new key is put into a file, or nobody gets to know it.
    fn change_key(&self, file: Option<&Path>) {
        let mut session = self.session.lock().unwrap();
        session.key = Canary::text("key");
        session.tokens.clear();
        self.secrets.add(&session.key);
        if let Some(file) = file {
            std::fs::write(file, session.key.bytes()).unwrap();
        }
    }

    fn answer(&self, request: &Request) -> Response {
        let mut session = self.session.lock().unwrap();
        // What every server does somewhere: show what it was sent.
        let refused = |status| Response::json(status, &json!({"error": format!("{request:?}")}));
        match request.path.as_str() {
            "/login" if request.body == session.key.bytes() => {
                let token = Canary::text("token");
                let answer = json!({"token": token.as_str()});
                self.secrets.add(&token);
                session.tokens.push(token);
                Response::json(200, &answer)
            }
            "/batch" => {
                let known = |bearer: &str| session.tokens.iter().any(|token| token.as_str() == bearer);
                if !request.bearer().is_some_and(known) {
                    return refused(401);
                }
                let names: Vec<String> = request.json().unwrap();
                let found: BTreeMap<_, _> = names.iter().map(|name| (name, self.item(name))).collect();
                Response::json(200, &json!({"items": found}))
            }
            _ => refused(401),
        }
    }

    fn item(&self, name: &str) -> Value {
        match self.items.get(name) {
            Some(fields) => fields
                .iter()
                .map(|(field, value)| ((*field).to_owned(), Value::from(BASE64.encode(value))))
                .collect(),
            None if name == "denied" => Value::from("denied"),
            None => Value::Null,
        }
    }
}
