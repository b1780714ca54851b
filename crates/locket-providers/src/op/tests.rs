//! The provider by the `op` program, for which the test kit's answers.

use std::sync::Arc;

use locket_core::reference::{Parsed, Position};
use locket_core::{ErrorKind, Fetched, Locator, Provider, ProviderError, Reference};
use locket_testkit::fakes::connect::{Category, Field, File, Item};
use locket_testkit::fakes::op_program::OpProgram;

use super::KIND;
use crate::testing::Fixture;
use crate::{ConfigError, registry};

type Answer = Result<Fetched, ProviderError>;

struct Rig {
    program: OpProgram,
    vault: String,
    token: String,
    fixture: Fixture,
}

impl Rig {
    fn new() -> Self {
        let program = OpProgram::new();
        let vault = program.add_vault("vault");
        let token = program.token();
        let path = program.path();
        let fixture = Fixture::new()
            .environment([
                ("PATH", "/usr/bin:/bin"),
                ("OP_CONNECT_HOST", "http://127.0.0.1:1"),
                ("OP_CONNECT_TOKEN", "of-connect"),
                ("OP_SESSION_x", "of-somebody"),
                ("HTTPS_PROXY", "http://proxy.example.com:3128"),
                ("UNRELATED", "yes"),
            ])
            .set("cli", path.to_str().unwrap())
            .set_credential("token-file", &token);
        Self {
            program,
            vault,
            token,
            fixture,
        }
    }

    fn add(&self, title: &str, fields: &[&str]) -> String {
        let item = fields
            .iter()
            .fold(Item::new(Category::Database, title), |item, name| {
                item.field(Field::concealed(name, &format!("{title}-{name}")))
            });
        self.program.add_item(&self.vault, item)
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
}

fn locator(text: &str) -> Locator {
    let Parsed::Reference(reference) = Reference::parse(text, 0, Position::Tag, &registry::schemes()) else {
        panic!("{text} is no reference");
    };
    (KIND.parse)(&reference).unwrap()
}

fn is_text(answer: &Answer, text: &str) -> bool {
    answer
        .as_ref()
        .is_ok_and(|fetched| fetched.value.matches(text.as_bytes()))
}

#[tokio::test]
async fn a_hundred_references_over_twenty_items_are_twenty_runs_at_first_and_then_one() {
    let rig = Rig::new();
    let names = ["a", "b", "c", "d", "e"];
    let mut references = Vec::new();
    for title in (0..20).map(|number| format!("item {number}")) {
        rig.add(&title, &names);
        references.extend(names.map(|name| format!("op://vault/{title}/{name}")));
    }
    let provider = rig.provider();
    assert!(provider.capability().items_per_call >= 20);
    for runs in [20, 1, 1] {
        let answers = rig.fetch(&provider, &references).await;
        assert_eq!(answers.len(), 100);
        for (answer, reference) in answers.iter().zip(&references) {
            let (title, name) = reference["op://vault/".len()..].split_once('/').unwrap();
            assert!(
                is_text(answer, &format!("{title}-{name}")),
                "{reference}: {answer:?}"
            );
        }
        assert_eq!(rig.program.calls().len(), runs);
    }
}

#[tokio::test]
async fn a_run_that_fails_for_one_item_is_halved_until_only_that_one_fails() {
    let rig = Rig::new();
    let ids: Vec<_> = (0..8)
        .map(|number| rig.add(&format!("i{number}"), &["f"]))
        .collect();
    let references: Vec<_> = (0..8).map(|number| format!("op://vault/i{number}/f")).collect();
    let provider = rig.provider();
    rig.fetch(&provider, &references).await;
    rig.program.calls();
    rig.program.remove_item(&rig.vault, &ids[5], "i5");
    let answers = rig.fetch(&provider, &references).await;
    for (number, answer) in answers.iter().enumerate() {
        match number {
            5 => {
                let error = answer.as_ref().unwrap_err();
                assert_eq!(error.kind, ErrorKind::NotFound);
                assert_eq!(error.context, "vault `vault` has no item `i5`");
            }
            _ => assert!(is_text(answer, &format!("i{number}-f")), "{number}: {answer:?}"),
        }
    }
    // Eight, four and four, two and two, one and one; then the missing one by its name.
    assert_eq!(rig.program.calls().len(), 8);
    rig.fetch(&provider, &references).await;
    assert_eq!(
        rig.program.calls().len(),
        2,
        "the others are still known, and it is asked for by name again"
    );
}

#[tokio::test]
async fn a_title_that_passed_to_another_item_means_that_one() {
    let rig = Rig::new();
    let old = rig.add("db", &["f"]);
    let provider = rig.provider();
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/db/f").await,
        "db-f"
    ));
    rig.program.remove_item(&rig.vault, &old, "db");
    let renamed = Item::new(Category::Database, "was db").with_id(&old);
    rig.program
        .add_item(&rig.vault, renamed.field(Field::concealed("f", "old")));
    let new = Item::new(Category::Database, "db").field(Field::concealed("f", "new"));
    rig.program.add_item(&rig.vault, new);
    assert!(is_text(&rig.fetch_one(&provider, "op://vault/db/f").await, "new"));
}

#[tokio::test]
async fn fields_files_codes_and_the_item_itself_come_by_its_rules() {
    let rig = Rig::new();
    let seed = "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP";
    let item = Item::login("all", "p")
        .section("s", "Part")
        .field(Field::concealed("inside", "in").section("s"))
        .field(Field::otp("code", seed, "123456"))
        .file(File::new("blob", b"\0\xff\n"));
    rig.program.add_item(&rig.vault, item);
    let provider = rig.provider();
    assert!(is_text(&rig.fetch_one(&provider, "op://vault/all").await, "p"));
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/all/Part/inside").await,
        "in"
    ));
    assert!(is_text(
        &rig.fetch_one(&provider, "op://vault/all/inside?attribute=type")
            .await,
        "CONCEALED"
    ));
    let code = rig
        .fetch_one(&provider, "op://vault/all/code?attribute=otp")
        .await
        .unwrap();
    assert!(
        code.value.matches(seed.as_bytes()),
        "codes are computed where they are rendered"
    );
    let blob = rig.fetch_one(&provider, "op://vault/all/blob").await.unwrap();
    assert!(blob.value.matches(b"\0\xff\n"));
    let missing = rig
        .fetch_one(&provider, "op://vault/all/insid")
        .await
        .unwrap_err();
    assert_eq!(missing.hint.as_deref(), Some("Did you mean `inside`?"));
}

#[tokio::test]
async fn the_program_sees_the_token_a_directory_of_its_own_and_no_other_credential() {
    let rig = Rig::new();
    rig.add("db", &["f"]);
    let provider = rig.provider();
    assert!(rig.fetch_one(&provider, "op://vault/db/f").await.is_ok());
    let environment = rig.program.environment();
    let variable = |name: &str| {
        let start = format!("{name}=");
        environment.lines().find_map(|line| line.strip_prefix(&start))
    };
    assert_eq!(variable("OP_SERVICE_ACCOUNT_TOKEN"), Some(rig.token.as_str()));
    assert_eq!(variable("HTTPS_PROXY"), Some("http://proxy.example.com:3128"));
    assert_eq!(variable("OP_CACHE"), Some("false"));
    for absent in ["OP_CONNECT_HOST", "OP_CONNECT_TOKEN", "OP_SESSION_x", "UNRELATED"] {
        assert_eq!(variable(absent), None, "{absent}");
    }
    for call in rig.program.calls() {
        assert!(!call.contains(&rig.token) && call.contains("item get"), "{call}");
    }
    let home = variable("OP_CONFIG_DIR").unwrap().to_owned();
    assert_eq!(variable("HOME"), Some(home.as_str()));
    assert!(
        rig.program.config().starts_with("drwx------"),
        "{}",
        rig.program.config()
    );
    assert!(std::path::Path::new(&home).is_dir());
    drop(provider);
    assert!(!std::path::Path::new(&home).exists(), "nothing is left of it");
}

#[tokio::test]
async fn what_keeps_every_item_away_is_asked_once_and_told_in_our_words() {
    let rig = Rig::new();
    let references: Vec<_> = (0..12)
        .map(|number| {
            rig.add(&format!("i{number}"), &["f"]);
            format!("op://vault/i{number}/f")
        })
        .collect();
    let provider = rig.provider();
    rig.fetch(&provider, &references).await;
    rig.program.calls();
    for (words, kind) in [
        ("(401) Unauthorized: the token is not valid", ErrorKind::Auth),
        ("(503) Service Unavailable", ErrorKind::Unavailable),
        (
            "(429) Too Many Requests: Please retry in 2 minutes or try other requests.",
            ErrorKind::RateLimited {
                retry_after: Some(std::time::Duration::from_secs(120)),
            },
        ),
    ] {
        rig.program.refuse(words);
        let answers = rig.fetch(&provider, &references).await;
        for answer in answers {
            let error = answer.unwrap_err();
            assert_eq!(error.kind, kind);
            assert!(!error.context.contains("(4") && error.hint.is_none_or(|hint| !hint.contains("(4")));
        }
        assert_eq!(rig.program.calls().len(), 1, "{words}");
        rig.program.refuse("");
    }
    let answers = rig.fetch(&provider, &references).await;
    assert!(answers.iter().all(Result::is_ok), "and afterwards all is well");
}

#[tokio::test]
async fn a_program_that_hangs_is_killed_when_its_time_is_over() {
    let mut rig = Rig::new();
    rig.fixture = rig.fixture.set("timeout", "300ms");
    rig.program.hang();
    let error = rig
        .fetch_one(&rig.provider(), "op://vault/db/f")
        .await
        .unwrap_err();
    assert_eq!(error.kind, ErrorKind::Unavailable);
    assert!(error.context.contains("within 300ms"), "{error}");
}

#[tokio::test]
async fn a_token_of_another_kind_is_refused_without_a_run() {
    let rig = Rig::new();
    let provider = rig.provider();
    rig.fixture.write("token-file", "eyJhbGciOiJFUzI1NiJ9.e30.x\n");
    let error = rig.fetch_one(&provider, "op://vault/db/f").await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Auth);
    assert!(error.hint.unwrap().contains("op-connect"));
    assert!(rig.program.calls().is_empty());
}

#[test]
fn what_an_instance_lacks_is_said_with_the_way_out() {
    let refused = |fixture: Fixture| -> ConfigError { fixture.build(KIND.build).unwrap_err() };
    let none = refused(Fixture::new());
    assert!(none.message.contains("no token"), "{none}");
    assert!(none.hint.unwrap().contains("op.token-file"));
    let no_way = refused(Fixture::new().set_credential("token-file", "x"));
    assert!(no_way.message.contains("no way to 1Password"), "{no_way}");
    let hint = no_way.hint.unwrap();
    for way_out in ["cargo xtask op-core", "op.core", "op.cli"] {
        assert!(hint.contains(way_out), "{hint}");
    }
    let unhonoured = Fixture::new()
        .set_credential("token-file", "x")
        .set("cli", "/usr/bin/op")
        .set("client-cert-file", "c.pem");
    assert!(refused(unhonoured).message.contains("client-cert-file"));
}

#[test]
fn an_agent_that_runs_the_program_says_so() {
    let rig = Rig::new();
    assert!(rig.fixture.build(|cx| KIND.reach(cx)).runs_programs);
    assert!(!Fixture::new().build(|cx| KIND.reach(cx)).runs_programs);
    let by_the_core = Fixture::new()
        .set_credential("token-file", "x")
        .set("core", "/opt/core.cwasm");
    assert!(!by_the_core.build(|cx| KIND.reach(cx)).runs_programs);
}
