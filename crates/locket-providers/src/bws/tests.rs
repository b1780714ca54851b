//! The provider against the fake server, which the official clients have been run against.

mod behaviour;
mod faults;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::{Diagnostic, ErrorKind, Fetched, Locator, Provider, ProviderError, Reference};
use locket_testkit::fakes::bitwarden::Bitwarden;
use locket_testkit::{Request, Response, Server};

use super::KIND;
use crate::testing::Fixture;

/// A fake server with one project `prod`, and a provider whose machine account may read it.
struct Rig {
    fake: Bitwarden,
    project: String,
    token: String,
    server: Server,
    fixture: Fixture,
    provider: Arc<dyn Provider>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|fake, request| fake.answer(&request))
    }

    /// The same with something between the two.
    fn with(handler: impl Fn(&Bitwarden, Request) -> Response + Send + Sync + 'static) -> Self {
        let fake = Bitwarden::new();
        let project = fake.add_project("prod");
        let token = fake.access_token(&[&project]);
        let answering = fake.clone();
        let server = Server::start(move |request| handler(&answering, request));
        let fixture = Fixture::new()
            .set("server-url", &server.url())
            .set_credential("token-file", &token);
        let provider = fixture.build(KIND.build).unwrap();
        Self {
            fake,
            project,
            token,
            server,
            fixture,
            provider,
        }
    }

    fn add(&self, key: &str, value: &str) -> String {
        self.fake.add_secret(&self.project, key, value)
    }

    async fn get(&self, reference: &str) -> Result<Fetched, ProviderError> {
        self.get_all(&[reference]).await.remove(0)
    }

    async fn get_all(&self, references: &[&str]) -> Vec<Result<Fetched, ProviderError>> {
        let batch: Vec<_> = references.iter().map(|reference| locator(reference)).collect();
        let results = self.provider.fetch(&batch, &self.fixture.fetch_cx()).await;
        assert_eq!(results.len(), batch.len(), "one result for each locator");
        results
    }

    async fn failure(&self, reference: &str) -> ProviderError {
        self.get(reference).await.expect_err(reference)
    }

    async fn gives(&self, reference: &str, value: &[u8]) {
        let fetched = self
            .get(reference)
            .await
            .unwrap_or_else(|error| panic!("{reference}: {error:?}"));
        assert!(fetched.value.matches(value), "{reference} gave another value");
    }

    /// The paths of the requests since the last call, ids replaced by what they are of.
    fn asked(&self) -> Vec<String> {
        let asked = self.server.requests();
        self.server.forget();
        let shown = |request: &Request| {
            request
                .target()
                .replace(&self.fake.organization(), "ORGANIZATION")
                .replace(&self.project, "PROJECT")
        };
        asked.iter().map(shown).collect()
    }
}

const LOGIN: &str = "/identity/connect/token";
const PROJECTS: &str = "/api/organizations/ORGANIZATION/projects";
const OF_PROJECT: &str = "/api/projects/PROJECT/secrets";
const READABLE: &str = "/api/organizations/ORGANIZATION/secrets";
const BY_IDS: &str = "/api/secrets/get-by-ids";

fn reference(text: &str) -> Reference {
    match Reference::parse(text, 0, Position::Tag, &crate::schemes()) {
        Parsed::Reference(reference) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

fn parse(text: &str) -> Result<Locator, Vec<Diagnostic>> {
    match text.strip_suffix('*') {
        Some(start) => super::reference::parse_every(&reference(start)),
        None => super::reference::parse(&reference(text)),
    }
}

fn locator(text: &str) -> Locator {
    parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}

#[test]
fn the_forms_of_a_reference() {
    let id = "FA2FEEBC-0721-4A3B-9E39-4D0A8F41C4A1";
    let bare = locator(id);
    assert_eq!(bare, locator(&format!("bws://{}", id.to_lowercase())));
    assert_eq!(bare, locator(&format!("bws://{id}?optional")));
    assert_ne!(bare, locator(&format!("bws://{id}/key")));
    assert_ne!(locator("bws://a/b%2Fc"), locator("bws://a%2Fb/c"));
    assert_eq!(locator("bws://\"a/b\"/c"), locator("bws://a%2Fb/c"));
    assert!(locator("bws://prod/*").is_every() && !locator("bws://prod/%2A").is_every());
    for wrong in [
        "bws://prod",
        "bws://prod/",
        "bws:///key",
        "bws://a/b/c",
        "bws://prod/key?version=1",
        "bws://prod/key?note",
        "bws://prod/key/*",
        "bws://prod*",
    ] {
        let found = parse(wrong).expect_err(wrong);
        assert!(
            found.iter().all(|diagnostic| !diagnostic.message.is_empty()),
            "{wrong}"
        );
    }
}
