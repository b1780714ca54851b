//! The hosted core against the server that 1Password's own client vouches for.

mod lifetime;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::{ErrorKind, FetchCx, Fetched, Locator, Provider, ProviderError, Reference, SecretBytes};
use locket_testkit::fakes::connect::{Category, Field, Item};
use locket_testkit::fakes::onepassword::{OnePassword, ServiceAccount};
use locket_testkit::{Request, Response, Server, TestCa, services};
use reqwest::Url;
use serde_json::Value;

use super::engine::Code;
use super::glue::GLUE;
use super::invocation::Call;
use super::session::Session;
use super::traffic::Traffic;
use crate::http::Client;
use crate::op::KIND;
use crate::registry;
use crate::testing::Fixture;

type Answer = Result<Fetched, ProviderError>;

struct Rig {
    core: PathBuf,
    fake: OnePassword,
    ca: TestCa,
    server: Server,
    vault: String,
    account: ServiceAccount,
    fixture: Fixture,
}

/// What a session talks through.
struct Line {
    cx: FetchCx,
    http: Client,
    home: Url,
}

impl Line {
    fn traffic(&self) -> Traffic<'_> {
        Traffic {
            http: &self.http,
            home: &self.home,
            cx: &self.cx,
        }
    }
}

impl Rig {
    /// `None` where the core is not installed.
    fn new() -> Option<Self> {
        let core = services::find("op-core/op-core.cwasm")?;
        let fake = OnePassword::new();
        let vault = fake.add_vault("vault");
        let account = fake.account(&[&vault]);
        let ca = TestCa::new();
        let answering = fake.clone();
        let server = Server::builder()
            .tls(&ca)
            .start(move |request| answering.answer(&request));
        let token = account.token(&server.address().to_string());
        let fixture = Fixture::new()
            .set("core", core.to_str().unwrap())
            .set("ca-file", ca.file().to_str().unwrap())
            // Each login computes with large numbers, which takes long where much else is going on.
            .set("timeout", "60s")
            .set_credential("token-file", &token);
        Some(Self {
            core,
            fake,
            ca,
            server,
            vault,
            account,
            fixture,
        })
    }

    fn token(&self) -> String {
        self.account.token(&self.server.address().to_string())
    }

    fn add(&self, title: &str, fields: &[&str]) -> String {
        let item = fields
            .iter()
            .fold(Item::new(Category::Database, title), |item, name| {
                item.field(Field::concealed(name, &format!("{title}-{name}")))
            });
        self.fake.add_item(&self.vault, item)
    }

    fn provider(&self) -> Arc<dyn Provider> {
        self.fixture.build(KIND.build).unwrap()
    }

    async fn fetch(&self, provider: &Arc<dyn Provider>, references: &[String]) -> Vec<Answer> {
        let batch: Vec<_> = references.iter().map(|text| locator(text)).collect();
        provider.fetch(&batch, &self.fixture.fetch_cx()).await
    }

    async fn fetch_one(&self, provider: &Arc<dyn Provider>, reference: &str) -> Answer {
        self.fetch(provider, &[reference.to_owned()]).await.remove(0)
    }

    /// What the official client gets.
    fn official(&self, node: &Path, package: &Path, token: &str, references: &[&str]) -> Value {
        let script = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../locket-testkit/src/services/op_official_client.cjs"
        );
        let output = Command::new(node)
            .arg(script)
            .arg(package)
            .args(references)
            .env_clear()
            .env("NODE_EXTRA_CA_CERTS", self.ca.file())
            .env("OP_SERVICE_ACCOUNT_TOKEN", token)
            .env("INTEGRATION_VERSION", concat!("v", env!("CARGO_PKG_VERSION")))
            .output()
            .unwrap();
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What sessions of ours talk through.
    fn line(&self) -> Line {
        Line {
            cx: self.fixture.fetch_cx(),
            http: self.fixture.build(Client::new).unwrap(),
            home: Url::parse(&self.server.url()).unwrap(),
        }
    }

    /// A session of the account.
    async fn session(&self, traffic: &Traffic<'_>) -> Session {
        let token = SecretBytes::new(self.token().into_bytes());
        let code = Arc::new(Code::at(self.core.clone()));
        Session::open(&code, &token, traffic).await.unwrap()
    }

    /// What our host of the core gets.
    async fn hosted(&self, references: &[&str]) -> Value {
        let line = self.line();
        let traffic = line.traffic();
        let session = self.session(&traffic).await;
        let call = Call::SecretsResolveAll {
            secret_references: references,
        };
        let (_, text) = session
            .call(call, &traffic)
            .await
            .map_err(|failed| failed.error)
            .unwrap();
        serde_json::from_str(&text).unwrap()
    }
}

fn locator(text: &str) -> Locator {
    let Parsed::Reference(reference) = Reference::parse(text, 0, Position::Tag, &registry::schemes()) else {
        panic!("{text} is no reference");
    };
    (KIND.parse)(&reference).unwrap()
}

fn is_text(answer: &Answer, text: &str) -> bool {
    if let Err(error) = answer {
        println!("no text but {error}");
    }
    answer
        .as_ref()
        .is_ok_and(|fetched| fetched.value.matches(text.as_bytes()))
}

/// What of a request does not change from run to run: the method, the address, the headers of 1Password's own, and how
/// long its body is but for a login's public number, which is random and written without leading zeros.
fn shown(request: &Request) -> String {
    let own = [
        "op-user-agent",
        "user-agent",
        "x-agilebits-client",
        "op-data-consistency",
    ];
    let own = own.map(|name| format!("{name}: {}", request.header(name).unwrap_or("none")));
    let signed = request
        .header("x-agilebits-mac")
        .map_or(0, |mac| mac.split('|').count());
    let throttled = request.header("op-throttling-token").is_some();
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let random = body["userA"].as_str().map_or(0, str::len);
    format!(
        "{} {}?{} {} signed {signed} throttled {throttled} bytes {}",
        request.method,
        request.path,
        request.query,
        own.join(" "),
        request.body.len() - random,
    )
}

#[tokio::test]
async fn the_official_client_and_ours_send_the_same_requests_and_resolve_the_same_secrets() {
    let Some(rig) = Rig::new() else { return };
    let (Some(node), Some(package)) = (
        services::find("bin/node"),
        services::find("op-sdk/node_modules/@1password/sdk/package.json"),
    ) else {
        return;
    };
    rig.add("db", &["password", "host"]);
    let references = [
        "op://vault/db/password",
        "op://vault/db/host",
        "op://vault/db/nothing",
    ];
    let package = package.parent().unwrap();
    let theirs = rig.official(&node, package, &rig.token(), &references);
    let their_requests: Vec<_> = rig.server.requests().iter().map(shown).collect();
    assert_eq!(
        theirs["ok"]["individualResponses"]["op://vault/db/host"]["content"]["secret"], "db-host",
        "{theirs} after {their_requests:#?}"
    );
    rig.server.forget();
    let ours = rig.hosted(&references).await;
    let our_requests: Vec<_> = rig.server.requests().iter().map(shown).collect();
    assert_eq!(theirs["ok"]["individualResponses"], ours["individualResponses"]);
    assert_eq!(their_requests, our_requests);

    let stranger = OnePassword::new()
        .account(&[])
        .token(&rig.server.address().to_string());
    let refused = rig.official(&node, package, &stranger, &references);
    assert!(
        refused["refused"].is_string(),
        "a token that the server does not know: {refused}"
    );
}

#[tokio::test]
async fn a_hundred_references_over_twenty_items_are_eight_requests_at_first_and_then_one() {
    let Some(rig) = Rig::new() else { return };
    let names = ["a", "b", "c", "d", "e"];
    let mut references = Vec::new();
    for title in (0..20).map(|number| format!("item {number}")) {
        rig.add(&title, &names);
        references.extend(names.map(|name| format!("op://vault/{title}/{name}")));
    }
    let provider = rig.provider();
    for requests in [8, 1, 1] {
        rig.server.forget();
        let answers = rig.fetch(&provider, &references).await;
        for (answer, reference) in answers.iter().zip(&references) {
            let (title, name) = reference["op://vault/".len()..].split_once('/').unwrap();
            assert!(
                is_text(answer, &format!("{title}-{name}")),
                "{reference}: {answer:?}"
            );
        }
        assert_eq!(rig.server.request_count(), requests);
    }
}

#[tokio::test]
async fn a_new_reference_is_read_together_with_those_that_are_known() {
    let Some(rig) = Rig::new() else { return };
    for title in ["a", "b", "twice", "twice"] {
        rig.add(title, &["f"]);
    }
    let provider = rig.provider();
    assert!(is_text(&rig.fetch_one(&provider, "op://vault/a/f").await, "a-f"));
    rig.server.forget();
    let both = ["op://vault/a/f", "op://vault/b/f"].map(str::to_owned);
    let answers = rig.fetch(&provider, &both).await;
    assert!(is_text(&answers[0], "a-f") && is_text(&answers[1], "b-f"));
    assert_eq!(rig.server.request_count(), 1);
    let twice = rig.fetch_one(&provider, "op://vault/twice/f").await.unwrap_err();
    assert_eq!(twice.kind, ErrorKind::Invalid, "{twice}");
}

#[tokio::test]
async fn names_sections_codes_and_the_item_itself_come_by_the_common_rules() {
    let Some(rig) = Rig::new() else { return };
    let seed = "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP";
    let item = Item::login("all", "p \"ä\"\n")
        .section("s", "Part")
        .field(Field::concealed("inside", "in").section("s"))
        .field(Field::otp("code", seed, "123456").section("s"));
    rig.fake.add_item(&rig.vault, item);
    let provider = rig.provider();
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/all").await,
        "p \"ä\"\n"
    ));
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/all/Part/inside").await,
        "in"
    ));
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/all/inside?attribute=type")
            .await,
        "CONCEALED"
    ));
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/all/Part/code?attribute=otp")
            .await,
        seed
    ));
    let missing = rig
        .fetch_one(&provider, "op://vault/all/insid")
        .await
        .unwrap_err();
    assert_eq!(missing.hint.as_deref(), Some("Did you mean `inside`?"));
}

#[tokio::test]
async fn one_bad_item_leaves_the_others_alone() {
    let Some(rig) = Rig::new() else { return };
    let ids: Vec<_> = (0..4)
        .map(|number| rig.add(&format!("i{number}"), &["f"]))
        .collect();
    let mut references: Vec<_> = (0..4).map(|number| format!("op://vault/i{number}/f")).collect();
    references.push("op://elsewhere/i0/f".into());
    let provider = rig.provider();
    let kinds = |answers: &[Answer]| -> Vec<Option<ErrorKind>> {
        answers
            .iter()
            .map(|answer| answer.as_ref().err().map(|error| error.kind))
            .collect()
    };
    let denied = Some(ErrorKind::Denied);
    assert_eq!(
        kinds(&rig.fetch(&provider, &references).await),
        [None, None, None, None, denied]
    );
    rig.fake.trash_item(&rig.vault, &ids[1]);
    rig.fake.remove_item(&rig.vault, &ids[2]);
    let gone = Some(ErrorKind::NotFound);
    assert_eq!(
        kinds(&rig.fetch(&provider, &references).await),
        [None, gone, gone, None, denied]
    );
}

#[tokio::test]
async fn what_stands_in_front_of_the_server_cannot_make_a_secret_missing() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["f"]);
    let vault = &rig.vault;
    for (path, status) in [
        ("/api/v3/auth/start".to_owned(), 404),
        ("/api/v3/auth/start".to_owned(), 410),
        ("/api/v1/vaults".to_owned(), 404),
        (format!("/api/v1/vault/{vault}/items/overviews"), 404),
        (format!("/api/v3/vault/{vault}/items/batch"), 404),
    ] {
        let (answering, denied) = (rig.fake.clone(), path.clone());
        let server = Server::builder().tls(&rig.ca).start(move |request: Request| {
            if request.path == denied {
                Response::status(status)
            } else {
                answering.answer(&request)
            }
        });
        let token = rig.account.token(&server.address().to_string());
        rig.fixture.write("token-file", &token);
        let error = rig
            .fetch_one(&rig.provider(), "op://vault/db/f")
            .await
            .unwrap_err();
        assert!(
            server.requests().iter().any(|request| request.path == path),
            "{path} was never asked for"
        );
        assert_eq!(error.kind, ErrorKind::Unavailable, "{path}: {error}");
    }
}

#[tokio::test]
async fn a_title_that_several_vaults_have_is_refused_in_every_round() {
    let Some(rig) = Rig::new() else { return };
    let shared = [rig.fake.add_vault("Shared"), rig.fake.add_vault("Shared")];
    for id in &shared {
        rig.fake.add_item(id, Item::login("db", id));
    }
    let account = rig.fake.account(&[&shared[0], &shared[1]]);
    rig.fixture
        .write("token-file", &account.token(&rig.server.address().to_string()));
    let provider = rig.provider();
    let references = [
        "op://Shared/db/password".to_owned(),
        format!("op://{}/db/password", shared[0]),
        format!("op://{}/db/password", shared[1]),
    ];
    for _ in 0..3 {
        let answers = rig.fetch(&provider, &references).await;
        let refused = answers[0].as_ref().unwrap_err();
        assert_eq!(refused.kind, ErrorKind::Invalid, "{refused}");
        assert!(is_text(&answers[1], &shared[0]) && is_text(&answers[2], &shared[1]));
    }
}

#[tokio::test]
async fn a_vaults_title_is_believed_for_an_hour_and_checked_by_one_request() {
    let Some(rig) = Rig::new() else { return };
    let id = rig.add("db", &["f"]);
    let provider = rig.provider();
    let lists = || {
        let requests = rig.server.requests();
        let of = |end: &str| {
            requests
                .iter()
                .filter(|request| request.path.ends_with(end))
                .count()
        };
        (of("/api/v1/vaults"), of("/items/overviews"))
    };
    let by_id = format!("op://{}/{id}/f", rig.vault);
    for (minutes, reference, expected) in [
        (0, "op://vault/db/f", (1, 1)),
        (59, "op://vault/db/f", (0, 0)),
        (2, by_id.as_str(), (0, 0)),
        (0, "op://vault/db/f", (1, 0)),
        (1, "op://vault/db/f", (0, 0)),
    ] {
        rig.fixture.clock.advance(Duration::from_secs(minutes * 60));
        rig.server.forget();
        assert!(is_text(&rig.fetch_one(&provider, reference).await, "db-f"));
        assert_eq!(lists(), expected, "{reference}, {minutes} minutes later");
    }
}

#[tokio::test]
async fn names_in_another_case_are_looked_up_once_like_all_others() {
    let Some(rig) = Rig::new() else { return };
    let vaults = ["Private", "Shared"].map(|title| (title, rig.fake.add_vault(title)));
    for (title, vault) in &vaults {
        rig.fake.add_item(vault, Item::login("DB", title));
        rig.fake.add_item(vault, Item::login("Web", title));
    }
    let account = rig.fake.account(&[&vaults[0].1, &vaults[1].1]);
    rig.fixture
        .write("token-file", &account.token(&rig.server.address().to_string()));
    let provider = rig.provider();
    let lists = || {
        let requests = rig.server.requests();
        let is_list = |path: &str| path.ends_with("/api/v1/vaults") || path.ends_with("/items/overviews");
        requests.iter().filter(|request| is_list(&request.path)).count()
    };
    let mut references = vec!["op://private/db/password".to_owned()];
    // One that comes later makes a list necessary, and does not have the others forgotten.
    for (more, expected) in [
        (None, 2),
        (None, 0),
        (Some("op://private/web/password"), 2),
        (None, 0),
        (Some("op://SHARED/WEB/password"), 2),
        (None, 0),
        (Some("op://private/nothing/password"), 2),
    ] {
        references.extend(more.map(str::to_owned));
        rig.server.forget();
        let answers = rig.fetch(&provider, &references).await;
        for (answer, reference) in answers.iter().zip(&references) {
            let (title, _) = &vaults[usize::from(reference.contains("SHARED"))];
            assert!(
                is_text(answer, title) || reference.contains("nothing"),
                "{reference}"
            );
        }
        assert_eq!(lists(), expected, "{references:?}");
    }
    // An hour later one list tells that the names still stand for the same vaults.
    references.pop();
    rig.fixture.clock.advance(Duration::from_secs(60 * 60));
    rig.server.forget();
    let answers = rig.fetch(&provider, &references).await;
    assert!(answers.iter().all(Result::is_ok));
    assert_eq!(lists(), 1);
}

#[tokio::test]
async fn a_session_that_ended_is_replaced_and_a_deleted_account_is_told() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["f"]);
    let provider = rig.provider();
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/db/f").await,
        "db-f"
    ));
    rig.fake.end_sessions();
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/db/f").await,
        "db-f"
    ));
    rig.fake.delete_account(&rig.account);
    let error = rig.fetch_one(&provider, "op://vault/db/f").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().contains("make a new token"));
}

#[tokio::test]
async fn nothing_is_sent_to_another_address_than_the_tokens() {
    let Some(rig) = Rig::new() else { return };
    rig.add("db", &["f"]);
    let cx = rig.fixture.fetch_cx();
    let http = rig.fixture.build(Client::new).unwrap();
    let home = Url::parse("https://127.0.0.1:1/").unwrap();
    let traffic = Traffic {
        http: &http,
        home: &home,
        cx: &cx,
    };
    let token = SecretBytes::new(rig.token().into_bytes());
    let code = Arc::new(Code::at(rig.core.clone()));
    let Err(error) = Session::open(&code, &token, &traffic).await else {
        panic!("a login went elsewhere");
    };
    assert!(
        error.context.contains("which is not the address of the token"),
        "{error}"
    );
    assert_eq!(rig.server.request_count(), 0);
}

#[test]
fn every_import_is_named_once_and_in_order() {
    assert!(GLUE.imports.windows(2).all(|pair| pair[0].name < pair[1].name));
    assert!(
        GLUE.import("__wbg_fetch_0000000000000000").is_none(),
        "a name of another build is unknown"
    );
}
