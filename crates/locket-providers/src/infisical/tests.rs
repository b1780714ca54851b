//! The provider against the fake server, which the official client has been run against.

mod behaviour;
mod faults;
mod logins;
mod requests;

use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::{Diagnostic, ErrorKind, Fetched, Locator, Provider, ProviderError, Reference, Wildcard};
use locket_testkit::fakes::infisical::{Generations, Infisical, Login, Role, Secret};
use locket_testkit::{Request, Response, Server};

use super::KIND;
use crate::testing::Fixture;

/// The folder of references that say nothing else.
const ROOT: (&str, &str, &str) = ("p1", "prod", "/");

/// A fake server with one project, and a provider whose identity may read its environment `prod`.
struct Rig {
    fake: Infisical,
    identity: usize,
    server: Server,
    fixture: Fixture,
    provider: Arc<dyn Provider>,
}

impl Rig {
    fn new() -> Self {
        Self::with(|fake, request| fake.answer(&request))
    }

    /// The same with something between the two.
    fn with(handler: impl Fn(&Infisical, Request) -> Response + Send + Sync + 'static) -> Self {
        Self::over(
            universal(),
            &[("client-id", "client")],
            &[("client-secret-file", "secret")],
            handler,
        )
    }

    /// An identity that logs in so, by these settings.
    fn over(
        login: Login,
        settings: &[(&'static str, &str)],
        credentials: &[(&'static str, &str)],
        handler: impl Fn(&Infisical, Request) -> Response + Send + Sync + 'static,
    ) -> Self {
        let fake = Infisical::new();
        fake.add_folder(ROOT.0, ROOT.1, ROOT.2);
        let identity = fake.identity(login);
        fake.grant(identity, ROOT.0, ROOT.1, Some(Role::Read));
        let answering = fake.clone();
        let server = Server::start(move |request| handler(&answering, request));
        let mut fixture = Fixture::new()
            .set("url", &server.url())
            .set("default-project-id", "p1")
            .set("default-environment", "prod");
        for (name, text) in settings {
            fixture = fixture.set(name, text);
        }
        for (name, text) in credentials {
            fixture = fixture.set_credential(name, text);
        }
        let provider = fixture.build(KIND.build).unwrap();
        Self {
            fake,
            identity,
            server,
            fixture,
            provider,
        }
    }

    fn put(&self, key: &str, value: &str) {
        self.fake.put(ROOT, Secret::new(key, value));
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

    /// The paths of the requests since the last call.
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
}

const LOGIN: &str = "/api/v1/auth/universal-auth/login";
const RENEW: &str = "/api/v1/auth/token/renew";
const LIST: &str = "/api/v4/secrets";

fn universal() -> Login {
    Login::Universal {
        client_id: "client".to_owned(),
        client_secret: "secret".to_owned(),
    }
}

fn reference(text: &str) -> Reference {
    match Reference::parse(text, 0, Position::Tag, &crate::schemes()) {
        Parsed::Reference(reference) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

fn parse(text: &str) -> Result<Locator, Vec<Diagnostic>> {
    if !text.contains('*') {
        return super::reference::parse(&reference(text));
    }
    let wildcard = Wildcard::parse(text, &crate::schemes())?;
    super::reference::parse_every(wildcard.reference())
}

fn locator(text: &str) -> Locator {
    parse(text).unwrap_or_else(|wrong| panic!("{text}: {wrong:?}"))
}

#[test]
fn the_forms_of_a_reference() {
    let plain = locator("infisical:///KEY");
    assert_eq!(plain, locator("infisical:///KEY?optional"));
    assert_eq!(
        locator("infisical:///KEY?path=/a/b"),
        locator("infisical:///KEY?path=a/b/"),
        "slashes around a path mean nothing"
    );
    assert!(locator("infisical:///*?path=/a&env=dev").is_every());
    let distinct = [
        "infisical:///KEY",
        "infisical:///key",
        "infisical:///KEY?env=a",
        "infisical:///KEY?path=/a",
        "infisical:///KEY?project_id=a",
        "infisical:///KEY?type=shared",
        "infisical:///KEY?type=personal",
        "infisical:///a%26b?env=c",
        "infisical:///b?env=c%26a",
    ];
    let items: std::collections::BTreeSet<_> = distinct
        .iter()
        .map(|text| locator(text).item().to_owned())
        .collect();
    assert_eq!(items.len(), distinct.len(), "{items:?}");
    for wrong in [
        "infisical://KEY",
        "infisical:///a/KEY",
        "infisical:///KEY?environment=prod",
        "infisical:///KEY?env=",
        "infisical:///KEY?path=/a/../b",
        "infisical:///KEY?path=a//b",
        "infisical:///KEY?type=private",
        "infisical:///*?type=personal",
    ] {
        let found = parse(wrong).expect_err(wrong);
        assert!(
            found.iter().all(|diagnostic| !diagnostic.message.is_empty()),
            "{wrong}"
        );
    }
}

#[test]
fn settings_that_cannot_work_are_refused_by_name() {
    let set = |settings: &[(&'static str, &str)]| {
        settings
            .iter()
            .fold(Fixture::new(), |fixture, (name, text)| fixture.set(name, text))
    };
    let token = |fixture: Fixture| fixture.set_credential("token-file", "t");
    for (fixture, said) in [
        (set(&[]), "no credential"),
        (set(&[("client-id", "c")]), "no `client-secret-file`"),
        (
            set(&[]).set_credential("client-secret-file", "s"),
            "no `client-id`",
        ),
        (
            token(set(&[("client-id", "c")]).set_credential("client-secret-file", "s")),
            "a client as well as a token",
        ),
        (set(&[("auth", "ldap")]), "`ldap`"),
        (set(&[("auth", "token")]), "no credential"),
        (set(&[("identity-id", "i")]), "several logins"),
        (set(&[("auth", "kubernetes")]), "no `identity-id`"),
        (set(&[("auth", "aws")]), "no `identity-id`"),
        (set(&[("auth", "oidc"), ("identity-id", "i")]), "no `jwt-file`"),
        (token(set(&[("url", "app.infisical.com")])), "infisical.url"),
        (token(set(&[("default-path", "/a/../b")])), "default-path"),
        (
            token(set(&[("default-secret-type", "mine")])),
            "default-secret-type",
        ),
    ] {
        let error = fixture.build(KIND.build).unwrap_err();
        assert!(
            error.message.contains(said) && error.hint.is_some(),
            "{said}: {error:?}"
        );
    }
    for auth in ["universal", "token", "kubernetes", "azure", "gcp", "aws"] {
        let fixture = set(&[("auth", auth), ("client-id", "c"), ("identity-id", "i")]);
        let fixture = token(fixture.set_credential("client-secret-file", "s"));
        fixture.build(KIND.build).unwrap();
    }
}
