//! The provider against the fake, which the official client has been run against.

mod identities;
mod references;
mod refusals;

use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::schemes::Fragment;
use locket_core::{
    Diagnostic, ErrorKind, Fetched, Locator, Provider, ProviderError, Reference, Scheme, Schemes,
};
use locket_testkit::fakes::oci::Oci;
use locket_testkit::{Request, Response, Server};

use super::KIND;
use crate::ConfigError;
use crate::testing::Fixture;

const MINUTE: Duration = Duration::from_secs(60);

/// A tenancy with one vault, on the clock of the provider, and what surrounds a provider that may read it.
struct Rig {
    fake: Oci,
    vault: String,
    server: Server,
    fixture: Fixture,
}

impl Rig {
    /// As a user with an API key.
    fn new() -> Self {
        let rig = Self::without_identity();
        let key = rig.fake.api_key();
        rig.fixture.write("key.pem", &key.pem);
        let config = format!(
            "[DEFAULT]\ntenancy={}\nuser={}\nfingerprint={}\nkey_file=key.pem\n",
            key.tenancy, key.user, key.fingerprint
        );
        rig.fixture.write("config", &config);
        rig.set("config-file", "config")
    }

    /// As the instance.
    fn instance() -> Self {
        let rig = Self::without_identity().set("auth", "instance-principal");
        let url = rig.server.url();
        rig.set("metadata-url", &format!("{url}/opc/v2"))
            .set("auth-endpoint", &url)
    }

    fn without_identity() -> Self {
        let fixture = Fixture::new().named("oci");
        let fake = Oci::by(fixture.clock.clone());
        let vault = fake.add_vault();
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let fixture = fixture.set("endpoint", &server.url());
        Self {
            fake,
            vault,
            server,
            fixture,
        }
    }

    /// The same with something in the place of the service.
    fn answered_by(mut self, answer: impl Fn(&Oci, Request) -> Response + Send + Sync + 'static) -> Self {
        let fake = self.fake.clone();
        self.server = Server::start(move |request| answer(&fake, request));
        let url = self.server.url();
        self.set("endpoint", &url)
    }

    fn set(mut self, name: &'static str, text: &str) -> Self {
        self.fixture = self.fixture.set(name, text);
        self
    }

    fn add(&self, name: &str, content: &[u8]) -> String {
        self.fake.add_secret(&self.vault, name, content)
    }

    fn build(&self) -> Result<Arc<dyn Provider>, ConfigError> {
        self.fixture.build(KIND.build)
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.build().unwrap()
    }

    async fn ask(&self, provider: &Arc<dyn Provider>, text: &str) -> Result<Fetched, ProviderError> {
        let mut answers = provider.fetch(&[locator(text)], &self.fixture.fetch_cx()).await;
        assert_eq!(answers.len(), 1);
        answers.remove(0)
    }

    async fn get(&self, text: &str) -> Result<Fetched, ProviderError> {
        self.ask(&self.provider(), text).await
    }

    async fn gives(&self, provider: &Arc<dyn Provider>, text: &str, value: &[u8]) {
        let fetched = self.ask(provider, text).await;
        let fetched = fetched.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(fetched.value.matches(value), "{text} gave another value");
    }

    /// What was asked for since the last call.
    fn asked(&self) -> Vec<String> {
        let asked = self.server.requests().iter().map(Request::target).collect();
        self.server.forget();
        asked
    }

    fn pass(&self, time: Duration) {
        self.fixture.clock.advance(time);
    }
}

fn reference(text: &str) -> Reference {
    let schemes = Schemes::new([Scheme {
        name: "oci".into(),
        bare: false,
        fragment: Fragment::Json,
    }]);
    match Reference::parse(text, 0, Position::Tag, &schemes) {
        Parsed::Reference(reference) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

fn parsed(text: &str) -> Result<Locator, Vec<Diagnostic>> {
    (KIND.parse)(&reference(text))
}

fn locator(text: &str) -> Locator {
    parsed(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}
