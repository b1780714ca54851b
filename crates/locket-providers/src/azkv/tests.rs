//! The provider against the fake, which the official clients have been run against.

mod logins;
mod references;
mod refusals;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use locket_core::reference::{Parsed, Position};
use locket_core::schemes::Fragment;
use locket_core::{ErrorKind, Fetched, Locator, Provider, ProviderError, Reference, Scheme, Schemes};
use locket_testkit::fakes::azure::{Application, Azure};
use locket_testkit::{Request, Response, Server, TestCa};
use tokio::sync::Barrier;

use super::KIND;
use crate::ConfigError;
use crate::testing::Fixture;

const MINUTE: Duration = Duration::from_secs(60);

/// A tenant with the vault `prod`, on the clock of the provider, and what surrounds a provider that may read it.
struct Rig {
    fake: Azure,
    application: Application,
    server: Server,
    ca: TestCa,
    fixture: Fixture,
}

impl Rig {
    /// As an application with a secret.
    fn new() -> Self {
        let mut rig = Self::without_login();
        let Application {
            client_id, secret, ..
        } = rig.application.clone();
        rig.fixture = rig.fixture.set_credential("client-secret-file", &secret);
        rig.set("client-id", &client_id)
    }

    fn without_login() -> Self {
        Self::answered_by(|fake, request| fake.answer(&request))
    }

    /// The same with something before the service.
    fn answered_by(answer: impl Fn(&Azure, Request) -> Response + Send + Sync + 'static) -> Self {
        let fixture = Fixture::new().named("azkv");
        let fake = Azure::by(fixture.clock.clone());
        let ca = TestCa::new();
        let answering = fake.clone();
        let server = Server::builder()
            .tls(&ca)
            .start(move |request| answer(&answering, request));
        let authority = format!("https://localhost:{}", server.address().port());
        let fixture = fixture
            .set("ca-file", ca.file().to_str().unwrap())
            .set("authority-host", &authority);
        Self {
            application: fake.application(),
            fake,
            server,
            ca,
            fixture,
        }
    }

    fn with_secret(mut self) -> Self {
        let Application {
            client_id, secret, ..
        } = self.application.clone();
        self.fixture = self.fixture.set_credential("client-secret-file", &secret);
        self.set("client-id", &client_id)
    }

    fn set(mut self, name: &'static str, text: &str) -> Self {
        self.fixture = self.fixture.set(name, text);
        self
    }

    /// The reference to a secret of the vault `prod`.
    fn at(&self, name: &str) -> String {
        format!(
            "azkv://prod.vault.localhost:{}/{name}",
            self.server.address().port()
        )
    }

    /// Sets a secret and gives the reference to it.
    fn add(&self, name: &str, value: &str) -> String {
        self.fake.set("prod", name, value);
        self.at(name)
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

    async fn gives(&self, provider: &Arc<dyn Provider>, text: &str, value: &str) {
        let fetched = self.ask(provider, text).await;
        let fetched = fetched.unwrap_or_else(|error| panic!("{text}: {error:?}"));
        assert!(
            fetched.value.matches(value.as_bytes()),
            "{text} gave another value"
        );
    }

    /// The paths of what was asked for since the last call.
    fn asked(&self) -> Vec<String> {
        let asked = self
            .server
            .requests()
            .into_iter()
            .map(|request| request.path)
            .collect();
        self.server.forget();
        asked
    }

    fn pass(&self, time: Duration) {
        self.fixture.clock.advance(time);
    }
}

fn reference(text: &str) -> Reference {
    let schemes = Schemes::new([Scheme {
        name: "azkv".into(),
        bare: true,
        fragment: Fragment::Json,
    }]);
    match Reference::parse(text, 0, Position::Tag, &schemes) {
        Parsed::Reference(reference) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

fn locator(text: &str) -> Locator {
    let reference = reference(text.trim_end_matches('*'));
    let parsed = match (text.ends_with('*'), KIND.parse_every) {
        (true, Some(every)) => every(&reference),
        _ => (KIND.parse)(&reference),
    };
    parsed.unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}
