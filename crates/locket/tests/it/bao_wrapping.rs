//! Secret ids in response-wrapping tokens, which open once, against the real server.

use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::{Clock, Environment, ErrorKind, FetchCx, Fetched, Provider, ProviderError, Reference};
use locket_providers::{BuildCx, Credential, ProviderKind, Settings, schemes};
use locket_testkit::services::OpenBao;
use locket_testkit::{Fault, Faults, ManualClock, Rule};
use serde_json::json;

/// A role on a server of the test's own, a file for its wrapping token, and a provider that logs in with it.
struct Desk {
    bao: OpenBao,
    role_id: String,
    directory: tempfile::TempDir,
    clock: Arc<ManualClock>,
}

impl Desk {
    fn new() -> Option<Self> {
        let bao = OpenBao::start()?;
        bao.put("app", &json!({"f": "v"}));
        let admin = bao.admin();
        admin.policy("read", r#"path "secret/*" { capabilities = ["read"] }"#);
        let role = json!({"token_policies": ["read"], "token_ttl": "60s", "token_max_ttl": "90s"});
        let role_id = admin.approle("apps", "app", &role);
        admin.approle("apps", "other", &role);
        bao.audit();
        Some(Self {
            bao,
            role_id,
            directory: tempfile::tempdir().unwrap(),
            clock: Arc::default(),
        })
    }

    fn put(&self, token: &str) {
        let staged = self.directory.path().join("staged");
        std::fs::write(&staged, token).unwrap();
        std::fs::rename(staged, self.directory.path().join("token")).unwrap();
    }

    fn wrapped(&self) -> String {
        self.bao.admin().wrapped_secret_id("apps", "app")
    }

    fn provider(&self, url: &str) -> Arc<dyn Provider> {
        let token = Credential::File(self.directory.path().join("token"));
        let settings = Settings::default()
            .with("url", url)
            .with("auth-mount", "apps")
            .with("role", "app")
            .with("role-id", &self.role_id)
            .with("secret-id-wrapped", "true")
            .with_credential("secret-id-file", token);
        let clock: Arc<dyn Clock> = self.clock.clone();
        let kind = ProviderKind::by_name("bao").unwrap();
        (kind.build)(&BuildCx {
            instance: "bao",
            settings: &settings,
            environment: &Environment::default(),
            base_dir: self.directory.path(),
            clock: &clock,
        })
        .unwrap()
    }

    async fn read(&self, provider: &Arc<dyn Provider>) -> Result<Fetched, ProviderError> {
        let cx = FetchCx::new(
            self.clock.clone(),
            self.clock.monotonic() + Duration::from_secs(60),
        );
        let text = "bao://secret/app/f";
        let Parsed::Reference(reference) = Reference::parse(text, 0, Position::Tag, &schemes()) else {
            panic!("{text}")
        };
        let kind = ProviderKind::by_name("bao").unwrap();
        let batch = [(kind.parse)(&reference).unwrap()];
        provider.fetch(&batch, &cx).await.remove(0)
    }

    fn unwraps(&self) -> usize {
        self.bao.count("update", "sys/wrapping/unwrap")
    }

    fn logins(&self) -> usize {
        self.bao.count("update", "auth/apps/login")
    }
}

#[tokio::test]
async fn a_wrapped_secret_id_is_unwrapped_once_and_serves_every_login() {
    let Some(desk) = Desk::new() else { return };
    desk.put(&desk.wrapped());
    let provider = desk.provider(&desk.bao.url());
    for logins in 1..=3 {
        assert!(desk.read(&provider).await.unwrap().value.matches(b"v"));
        assert_eq!((desk.unwraps(), desk.logins()), (1, logins));
        desk.clock.advance(Duration::from_secs(100));
    }
    // The token is spent, and whoever tidies up removes it.
    std::fs::remove_file(desk.directory.path().join("token")).unwrap();
    assert!(desk.read(&provider).await.unwrap().value.matches(b"v"));
    assert_eq!((desk.unwraps(), desk.logins()), (1, 4));
    desk.clock.advance(Duration::from_secs(100));
    desk.put(&desk.wrapped());
    desk.read(&provider).await.unwrap();
    assert_eq!(
        desk.unwraps(),
        2,
        "another token in the file is another secret id"
    );
}

#[tokio::test]
async fn a_wrapping_token_that_somebody_else_used_is_said_aloud() {
    let Some(desk) = Desk::new() else { return };
    let token = desk.wrapped();
    desk.put(&token);
    let admin = desk.bao.admin();
    let stolen = admin.send("POST", "sys/wrapping/unwrap", &json!(null), &token);
    assert!(stolen.status.is_success(), "the control: it opens once");
    let error = desk.read(&desk.provider(&desk.bao.url())).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.context.contains("somebody else may have read"), "{error}");
    assert!(error.hint.unwrap().contains("audit log"));
    assert_eq!(desk.logins(), 0);
    assert!(!error.context.contains(&token));
}

#[tokio::test]
async fn a_wrapping_token_of_something_else_is_refused_unopened() {
    let Some(desk) = Desk::new() else { return };
    let admin = desk.bao.admin();
    for token in [
        admin.wrapped_secret_id("apps", "other"),
        admin.wrapped("sys/wrapping/wrap"),
    ] {
        desk.put(&token);
        let error = desk.read(&desk.provider(&desk.bao.url())).await.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Auth);
        assert!(error.context.contains("put this token in its place"), "{error}");
        assert_eq!((desk.unwraps(), desk.logins()), (0, 0));
    }
}

#[tokio::test]
async fn an_answer_that_got_lost_on_the_way_is_told_from_a_theft() {
    let Some(desk) = Desk::new() else { return };
    desk.put(&desk.wrapped());
    let faults = Faults::before(&desk.bao.url());
    let provider = desk.provider(&faults.url());
    faults.inject(Rule::new(Fault::Status(502)).on("/v1/sys/wrapping/unwrap"));
    let first = desk.read(&provider).await.unwrap_err();
    assert_eq!(first.kind, ErrorKind::Unavailable, "{first}");
    faults.clear();
    // The server never saw that attempt; had it, the token would be spent.
    let token = std::fs::read_to_string(desk.directory.path().join("token")).unwrap();
    let admin = desk.bao.admin();
    admin.send("POST", "sys/wrapping/unwrap", &json!(null), &token);
    let second = desk.read(&provider).await.unwrap_err();
    assert!(second.context.contains("an attempt of this process"), "{second}");
}
