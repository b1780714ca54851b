//! The provider against the fake server, which the official client has been run against.

mod behaviour;
mod faults;
mod requests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::schemes::Fragment;
use locket_core::{
    Clock, Environment, ErrorKind, FetchCx, Fetched, Locator, Provider, ProviderError, Reference, Scheme,
    Schemes, SecretBytes,
};
use locket_testkit::clock::ManualClock;
use locket_testkit::fakes::connect::{Connect, Field, File, Item};
use locket_testkit::{Request, Response, Server};

use super::KIND;
use crate::{BuildCx, Credential, Settings};

/// A fake server with one vault `prod`, and a provider that may read it.
struct Rig {
    fake: Connect,
    vault: String,
    server: Server,
    clock: Arc<ManualClock>,
    provider: Arc<dyn Provider>,
}

impl Rig {
    fn new() -> Self {
        let fake = Connect::new();
        let vault = fake.add_vault("prod");
        Self::over(fake, vault)
    }

    fn over(fake: Connect, vault: String) -> Self {
        let token = fake.token(&[&vault]);
        let answering = fake.clone();
        Self::with(fake, vault, value_credential(&token), move |request| {
            answering.answer(&request)
        })
    }

    /// The same with something between the two.
    fn with(
        fake: Connect,
        vault: String,
        token: Credential,
        handler: impl Fn(Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let server = Server::start(handler);
        let clock = Arc::new(ManualClock::new());
        let settings = Settings::default()
            .with("host", server.url())
            .with_credential("token-file", token);
        let provider = build(&settings).unwrap();
        Self {
            fake,
            vault,
            server,
            clock,
            provider,
        }
    }

    fn add(&self, item: Item) -> String {
        self.fake.add_item(&self.vault, item)
    }

    async fn get(&self, reference: &str) -> Result<Fetched, ProviderError> {
        self.get_all(&[reference]).await.remove(0)
    }

    async fn get_all(&self, references: &[&str]) -> Vec<Result<Fetched, ProviderError>> {
        let batch: Vec<_> = references.iter().map(|reference| locator(reference)).collect();
        let results = self.provider.fetch(&batch, &self.cx()).await;
        assert_eq!(results.len(), batch.len(), "one result for each locator");
        results
    }

    /// The kind of the failure that is expected.
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

    fn cx(&self) -> FetchCx {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let deadline = clock.monotonic() + Duration::from_secs(30);
        FetchCx::new(clock, deadline)
    }

    /// Path and query of the requests since the last call.
    fn asked(&self) -> Vec<String> {
        let asked = self.server.requests().iter().map(Request::target).collect();
        self.server.forget();
        asked
    }
}

fn build(settings: &Settings) -> Result<Arc<dyn Provider>, crate::ConfigError> {
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    (KIND.build)(&BuildCx {
        instance: "op-connect",
        settings,
        environment: &Environment::default(),
        base_dir: Path::new("/"),
        clock: &clock,
    })
}

fn value_credential(token: &str) -> Credential {
    Credential::Value(Arc::new(SecretBytes::copy_from(token.as_bytes())))
}

fn locator(text: &str) -> Locator {
    (KIND.parse)(&reference(text)).unwrap()
}

fn reference(text: &str) -> Reference {
    let schemes = Schemes::new([Scheme {
        name: "op".into(),
        bare: true,
        fragment: Fragment::Json,
    }]);
    match Reference::parse(text, 0, Position::Tag, &schemes) {
        Parsed::Reference(reference) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn a_missing_address_or_token_is_an_error_of_the_configuration_that_says_so() {
    let token = value_credential("t");
    let error = build(&Settings::default().with_credential("token-file", token.clone())).unwrap_err();
    assert!(error.hint.unwrap().contains("OP_CONNECT_HOST"));
    let error = build(&Settings::default().with("host", "http://connect:8080")).unwrap_err();
    assert!(error.hint.unwrap().contains("OP_CONNECT_TOKEN"));
    let settings = Settings::default()
        .with("host", "connect:8080")
        .with_credential("token-file", token);
    assert!(build(&settings).unwrap_err().message.contains("connect.host"));
}
