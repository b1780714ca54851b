//! The OpenBao provider against the real server, as the registry makes it. Time is the test's, so that leases end
//! without waiting for them.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use locket_core::reference::{Parsed, Position};
use locket_core::{
    Clock, Environment, ErrorKind, FetchCx, Fetched, Locator, Provider, ProviderError, Reference,
};
use locket_providers::{BuildCx, Credential, ProviderKind, Settings, schemes};
use locket_testkit::services::OpenBao;
use locket_testkit::{ManualClock, TestCa};
use serde_json::json;

/// One configured provider in a directory of its own.
struct Reader {
    provider: Arc<dyn Provider>,
    clock: Arc<ManualClock>,
    directory: tempfile::TempDir,
}

/// A reader that is not made yet.
struct Setup {
    settings: Settings,
    directory: tempfile::TempDir,
}

impl Setup {
    fn new(bao: &OpenBao) -> Self {
        Self {
            settings: Settings::default().with("url", bao.url()),
            directory: tempfile::tempdir().unwrap(),
        }
    }

    fn set(mut self, name: &'static str, text: &str) -> Self {
        self.settings = self.settings.with(name, text);
        self
    }

    fn credential(mut self, name: &'static str, content: &str) -> Self {
        let path = self.directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        self.settings = self.settings.with_credential(name, Credential::File(path));
        self
    }

    fn approle(self, mount: &str, role_id: &str, secret_id: &str) -> Self {
        self.set("auth-mount", mount)
            .set("role-id", role_id)
            .credential("secret-id-file", secret_id)
    }

    fn build(self) -> Reader {
        let manual = Arc::new(ManualClock::new());
        let clock: Arc<dyn Clock> = manual.clone();
        let kind = ProviderKind::by_name("bao").unwrap();
        let provider = (kind.build)(&BuildCx {
            instance: "bao",
            settings: &self.settings,
            environment: &Environment::default(),
            base_dir: self.directory.path(),
            clock: &clock,
        });
        Reader {
            provider: provider.unwrap(),
            clock: manual,
            directory: self.directory,
        }
    }
}

impl Reader {
    /// With the root token.
    fn root(bao: &OpenBao) -> Self {
        Self::with_token(bao, bao.root_token())
    }

    fn with_token(bao: &OpenBao, token: &str) -> Self {
        Setup::new(bao).credential("token-file", token).build()
    }

    async fn read(&self, locator: &str) -> Result<Fetched, ProviderError> {
        let cx = FetchCx::new(
            self.clock.clone(),
            self.clock.monotonic() + Duration::from_secs(60),
        );
        let batch = [locate(&format!("bao://{locator}"))];
        let mut results = self.provider.fetch(&batch, &cx).await;
        assert_eq!(results.len(), 1, "one result for each locator");
        results.remove(0)
    }

    #[track_caller]
    fn pass(&self, time: Duration) {
        self.clock.advance(time);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

fn locate(text: &str) -> Locator {
    match Reference::parse(text, 0, Position::Tag, &schemes()) {
        Parsed::Reference(reference) => {
            let kind = ProviderKind::by_name("bao").unwrap();
            (kind.parse)(&reference).unwrap()
        }
        other => panic!("{text}: {other:?}"),
    }
}

#[track_caller]
fn assert_value(read: Result<Fetched, ProviderError>, value: &str) {
    match read {
        Ok(fetched) => assert!(
            fetched.value.matches(value.as_bytes()),
            "another value than {value}"
        ),
        Err(error) => panic!("{error:?}"),
    }
}

#[track_caller]
fn assert_error(read: Result<Fetched, ProviderError>, kind: ErrorKind, said: &str) -> ProviderError {
    let error = read.expect_err("an error");
    assert_eq!(error.kind, kind, "{error:?}");
    assert!(error.context.contains(said), "{said}: {error:?}");
    error
}

#[tokio::test]
async fn both_versions_of_the_key_value_store_are_read_wherever_they_are_mounted() {
    let Some(bao) = OpenBao::shared() else { return };
    let admin = bao.admin();
    admin.mount_kv("plain", 1);
    admin.mount_kv("group/kv", 2);
    admin.call("POST", "plain/app/db", &json!({"password": "one"}));
    admin.put("group/kv", "app/db", &json!({"password": "two", "port": 5432}));
    let reader = Reader::root(bao);
    assert_value(reader.read("plain/app/db/password").await, "one");
    assert_value(reader.read("group/kv/app/db/password").await, "two");
    assert_value(reader.read("group/kv/app/db/port").await, "5432");
    assert_eq!(reader.read("plain/app/db/password").await.unwrap().version, None);
}

#[tokio::test]
async fn a_version_can_be_named_and_is_told() {
    let Some(bao) = OpenBao::shared() else { return };
    for number in 1..=3 {
        bao.put("versioned", &json!({"f": format!("v{number}")}));
    }
    let reader = Reader::root(bao);
    assert_value(reader.read("secret/versioned/f").await, "v3");
    assert_value(reader.read("secret/versioned/f?version=1").await, "v1");
    let told = reader.read("secret/versioned/f?version=2").await.unwrap().version;
    assert_eq!(told.unwrap().0, "2");
    let none = reader.read("secret/versioned/f?version=9").await;
    assert_error(none, ErrorKind::NotFound, "has no version 9");
}

#[tokio::test]
async fn what_is_gone_says_how_it_went() {
    let Some(bao) = OpenBao::shared() else { return };
    for _ in 1..=2 {
        bao.put("gone", &json!({"f": "v"}));
    }
    bao.call("PUT", "secret/destroy/gone", &json!({"versions": [1]}));
    bao.call("DELETE", "secret/data/gone", &json!(null));
    let reader = Reader::root(bao);
    let deleted = assert_error(
        reader.read("secret/gone/f").await,
        ErrorKind::NotFound,
        "version 2 of `secret/gone` is deleted",
    );
    assert!(deleted.hint.unwrap().contains("undelete"));
    assert_error(
        reader.read("secret/gone/f?version=1").await,
        ErrorKind::NotFound,
        "version 1 of `secret/gone` was destroyed",
    );
    assert_error(
        reader.read("secret/never/f").await,
        ErrorKind::NotFound,
        "`secret/never` does not exist",
    );
    bao.put("gone", &json!({"first": "1", "second": "2"}));
    let field = assert_error(
        reader.read("secret/gone/frist").await,
        ErrorKind::NotFound,
        "`secret/gone` has no field `frist`",
    );
    let hint = field.hint.unwrap();
    assert!(
        hint.contains("Did you mean `first`?") && hint.contains("`second`"),
        "{hint}"
    );
}

#[tokio::test]
async fn what_leads_nowhere_is_denied_and_never_missing() {
    let Some(bao) = OpenBao::shared() else { return };
    bao.put("somewhere", &json!({"f": "v"}));
    let reader = Reader::root(bao);
    let missing = reader.read("secret/never/f").await;
    assert_error(missing, ErrorKind::NotFound, "`secret/never` does not exist");
    let misspelt = assert_error(
        reader.read("nowhere/at/all").await,
        ErrorKind::Denied,
        "does not tell what is mounted at `nowhere/at`",
    );
    assert!(misspelt.hint.unwrap().contains("bao secrets list"));
    let elsewhere = Setup::new(bao)
        .set("namespace", "no-such-namespace")
        .credential("token-file", bao.root_token())
        .build();
    let lost = elsewhere.read("secret/somewhere/f").await;
    assert_error(lost, ErrorKind::Denied, "what is mounted at `secret/somewhere`");
    bao.admin().mount("nowhere-else/transit", "transit");
    assert_value(reader.read("secret/somewhere/f").await, "v");
    let none = reader.read("nowhere-else/transit/nonsense/f").await;
    assert_error(none, ErrorKind::Denied, "leads nowhere (404)");
    let no_key = reader.read("nowhere-else/transit/keys/none/f").await;
    assert_error(
        no_key,
        ErrorKind::NotFound,
        "`nowhere-else/transit/keys/none` does not exist",
    );
    let astray = Setup::new(bao)
        .set("url", &format!("{}/elsewhere", bao.url()))
        .credential("token-file", bao.root_token())
        .build();
    let wrong = astray.read("secret/somewhere/f").await;
    assert_error(wrong, ErrorKind::Unavailable, "not the API");
}

#[tokio::test]
async fn a_misspelt_mount_leaves_those_beside_it_as_they_are() {
    let Some(bao) = OpenBao::shared() else { return };
    bao.admin().mount("beside/transit", "transit");
    let reader = Reader::root(bao);
    let misspelt = reader.read("beside/oops/app/password").await;
    assert_error(misspelt, ErrorKind::Denied, "`beside/oops/app`");
    let random = reader
        .read("beside/transit/random/8/random_bytes?format=hex")
        .await;
    assert_eq!(
        random.unwrap().value.len(),
        16,
        "asked with options, without guessing"
    );
}

#[tokio::test]
async fn names_and_values_may_hold_anything() {
    let Some(bao) = OpenBao::shared() else { return };
    let reader = Reader::root(bao);
    // As a reference writes it, as the server's path has it, and the field.
    for (written, path, field) in [
        ("a b", "a%20b", "f"),
        ("plus+and&", "plus+and&", "f"),
        ("per%25cent", "per%25cent", "f"),
        ("what%3F", "what%3F", "f"),
        ("n%23mber", "n%23mber", "f"),
        ("ünïcode/😀", "%C3%BCn%C3%AFcode/%F0%9F%98%80", "f"),
        ("dots/..hidden", "dots/..hidden", "f"),
        ("fields", "fields", "a b"),
        ("fields", "fields", "a%2Fb"),
        ("fields", "fields", "tls.crt"),
    ] {
        let name = field.replace("%2F", "/");
        let value = format!("{written}\"\\\n\u{0}\u{1f600}<&>\u{2028}");
        bao.put(&format!("odd/{path}"), &json!({name: value}));
        assert_value(
            reader.read(&format!("secret/odd/{written}/{field}")).await,
            &value,
        );
    }
    let large = "x".repeat(900_000);
    bao.put("large", &json!({"f": large}));
    assert_value(reader.read("secret/large/f").await, &large);
}

#[tokio::test]
async fn a_store_that_is_upgraded_to_versions_goes_on_being_read() {
    let Some(bao) = OpenBao::shared() else { return };
    bao.admin().mount_kv("upgraded", 1);
    bao.call("POST", "upgraded/app", &json!({"f": "before"}));
    let reader = Reader::root(bao);
    assert_value(reader.read("upgraded/app/f").await, "before");
    bao.call(
        "POST",
        "sys/mounts/upgraded/tune",
        &json!({"options": {"version": "2"}}),
    );
    bao.admin().settled("upgraded");
    reader.pass(Duration::from_secs(60));
    assert_value(reader.read("upgraded/app/f").await, "before");
}

#[tokio::test]
async fn a_path_that_policies_deny_is_told_from_a_token_that_ended() {
    let Some(bao) = OpenBao::shared() else { return };
    let admin = bao.admin();
    bao.put("denied/mine", &json!({"f": "v"}));
    bao.put("denied/other", &json!({"f": "v"}));
    admin.policy(
        "mine",
        r#"path "secret/data/denied/mine" { capabilities = ["read"] }"#,
    );
    // Without the default policy a token may not even look itself up.
    for options in [
        json!({"policies": ["mine"]}),
        json!({"policies": ["mine"], "no_default_policy": true}),
        json!({"policies": ["mine"], "type": "batch"}),
    ] {
        let token = admin.token(&options);
        let reader = Reader::with_token(bao, &token);
        assert_value(reader.read("secret/denied/mine/f").await, "v");
        let denied = assert_error(
            reader.read("secret/denied/other/f").await,
            ErrorKind::Denied,
            "policies do not allow",
        );
        assert!(
            denied
                .hint
                .unwrap()
                .contains(r#"path "secret/data/denied/other""#)
        );
        if options["type"] != "batch" {
            admin.revoke(&token);
            reader.pass(Duration::from_secs(10));
            let ended = reader.read("secret/denied/mine/f").await;
            assert_error(ended, ErrorKind::Auth, "does not accept the token");
        }
    }
    let nobody = Reader::with_token(bao, "s.madeup");
    assert_error(
        nobody.read("secret/denied/mine/f").await,
        ErrorKind::Auth,
        "does not accept the token",
    );
}

#[tokio::test]
async fn a_token_file_that_is_replaced_goes_on_where_the_old_token_ended() {
    let Some(bao) = OpenBao::shared() else { return };
    let admin = bao.admin();
    bao.put("replaced", &json!({"f": "v"}));
    let [first, second] = [(); 2].map(|()| admin.token(&json!({"policies": ["root"]})));
    let reader = Reader::with_token(bao, &format!("{first}\n"));
    assert_value(reader.read("secret/replaced/f").await, "v");
    admin.revoke(&first);
    let ended = reader.read("secret/replaced/f").await;
    assert_error(ended, ErrorKind::Auth, "does not accept the token");
    let staged = reader.file("staged");
    std::fs::write(&staged, &second).unwrap();
    std::fs::rename(staged, reader.file("token-file")).unwrap();
    assert_value(reader.read("secret/replaced/f").await, "v");
}

/// A server of its own, so that every login in the log is the test's: a role `app` that may read everything.
fn approle(options: &serde_json::Value) -> Option<(OpenBao, Reader)> {
    let bao = OpenBao::start()?;
    let admin = bao.admin();
    for number in 0..50 {
        bao.put(&format!("s{number}"), &json!({"f": format!("v{number}")}));
    }
    admin.policy("read", r#"path "secret/*" { capabilities = ["read"] }"#);
    let role_id = admin.approle("apps", "app", options);
    let secret_id = admin.secret_id("apps", "app", &json!({}));
    let reader = Setup::new(&bao).approle("apps", &role_id, &secret_id).build();
    bao.audit();
    Some((bao, reader))
}

fn logins(bao: &OpenBao) -> usize {
    bao.count("update", "auth/apps/login")
}

fn renewals(bao: &OpenBao) -> usize {
    bao.count("update", "auth/token/renew-self")
}

#[tokio::test]
async fn fifty_reads_at_once_cost_one_login_and_fifty_reads() {
    let role = json!({"token_policies": ["read"], "token_ttl": "1h"});
    let Some((bao, reader)) = approle(&role) else {
        return;
    };
    let reader = &reader;
    let reads = (0..50).map(|number| async move { reader.read(&format!("secret/s{number}/f")).await });
    for (number, read) in join_all(reads).await.into_iter().enumerate() {
        assert_value(read, &format!("v{number}"));
    }
    assert_eq!((logins(&bao), bao.count("read", "secret/data/")), (1, 50));
    assert_eq!(bao.audited().len(), 52, "and one look-up of the mount");
}

#[tokio::test]
async fn an_approle_token_is_renewed_in_time_and_replaced_when_it_ended() {
    let role = json!({"token_policies": ["read"], "token_ttl": "60s", "token_max_ttl": "1h"});
    let Some((bao, reader)) = approle(&role) else {
        return;
    };
    assert_value(reader.read("secret/s1/f").await, "v1");
    reader.pass(Duration::from_secs(39));
    assert_value(reader.read("secret/s1/f").await, "v1");
    assert_eq!((logins(&bao), renewals(&bao)), (1, 0), "not before two thirds");
    reader.pass(Duration::from_secs(1));
    assert_value(reader.read("secret/s1/f").await, "v1");
    assert_eq!((logins(&bao), renewals(&bao)), (1, 1));
    reader.pass(Duration::from_secs(60));
    assert_value(reader.read("secret/s1/f").await, "v1");
    assert_eq!(
        (logins(&bao), renewals(&bao)),
        (2, 1),
        "past its end there is nothing to renew"
    );
}

#[tokio::test]
async fn an_approle_token_that_is_revoked_is_replaced_once_for_all_readers() {
    let role = json!({"token_policies": ["read"], "token_ttl": "1h"});
    let Some((bao, reader)) = approle(&role) else {
        return;
    };
    assert_value(reader.read("secret/s1/f").await, "v1");
    bao.call(
        "PUT",
        "sys/leases/revoke-prefix/auth/apps",
        &json!({"sync": true}),
    );
    reader.pass(Duration::from_secs(10));
    let reader = &reader;
    let reads = (0..20).map(|number| async move { reader.read(&format!("secret/s{number}/f")).await });
    for (number, read) in join_all(reads).await.into_iter().enumerate() {
        assert_value(read, &format!("v{number}"));
    }
    assert_eq!(logins(&bao), 2);
}

#[tokio::test]
async fn a_token_of_few_uses_is_never_used_up() {
    let role = json!({"token_policies": ["read"], "token_num_uses": 5});
    let Some((bao, reader)) = approle(&role) else {
        return;
    };
    for number in 0..20 {
        assert_value(
            reader.read(&format!("secret/s{number}/f")).await,
            &format!("v{number}"),
        );
    }
    let requests = bao.count("read", "secret/data/") + bao.count("read", "sys/internal/ui/mounts");
    assert_eq!(
        (requests, logins(&bao)),
        (21, 5),
        "no request was refused, and none wasted"
    );
}

#[tokio::test]
async fn a_login_that_is_refused_is_tried_once_for_all_readers() {
    let role = json!({"token_policies": ["read"]});
    let Some((bao, reader)) = approle(&role) else {
        return;
    };
    let right = std::fs::read(reader.file("secret-id-file")).unwrap();
    std::fs::write(reader.file("secret-id-file"), "wrong").unwrap();
    for _ in 0..3 {
        let reads = (0..10).map(|_| reader.read("secret/s1/f"));
        for read in join_all(reads).await {
            let error = assert_error(read, ErrorKind::Auth, "refused the AppRole login");
            assert!(error.hint.unwrap().contains("secret id"));
        }
    }
    assert_eq!(logins(&bao), 1);
    std::fs::write(reader.file("secret-id-file"), right).unwrap();
    assert_value(reader.read("secret/s1/f").await, "v1");

    let elsewhere = Setup::new(&bao).approle("nowhere", "id", "secret").build();
    let error = assert_error(
        elsewhere.read("secret/s1/f").await,
        ErrorKind::Auth,
        "refused the AppRole login",
    );
    assert!(
        error.hint.unwrap().contains("auth-mount"),
        "it looks the same to the server"
    );
}

#[tokio::test]
async fn a_namespace_has_mounts_and_logins_of_its_own() {
    let Some(bao) = OpenBao::shared() else { return };
    let team = bao.admin().namespace("team");
    team.mount_kv("secret", 2);
    team.put("secret", "spaced", &json!({"f": "team"}));
    bao.put("spaced", &json!({"f": "root"}));
    team.policy("read", r#"path "secret/*" { capabilities = ["read"] }"#);
    let role_id = team.approle("approle", "app", &json!({"token_policies": ["read"]}));
    let secret_id = team.secret_id("approle", "app", &json!({}));
    let inside = Setup::new(bao)
        .set("namespace", "team/")
        .set("role-id", &role_id)
        .credential("secret-id-file", &secret_id)
        .build();
    assert_value(inside.read("secret/spaced/f").await, "team");
    assert_value(Reader::root(bao).read("secret/spaced/f").await, "root");
    let outside = Setup::new(bao)
        .set("role-id", &role_id)
        .credential("secret-id-file", &secret_id)
        .build();
    assert!(
        outside.read("secret/spaced/f").await.is_err(),
        "the role is the namespace's"
    );
}

#[tokio::test]
async fn a_private_authority_and_a_client_certificate_are_enough_for_a_server_that_wants_both() {
    let ca = TestCa::new();
    let Some(bao) = OpenBao::builder().mutual_tls(&ca).start() else {
        return;
    };
    bao.put("app", &json!({"f": "v"}));
    let client = ca.client_leaf("locket");
    let path = |path: PathBuf| path.to_str().unwrap().to_owned();
    let trusting = || {
        Setup::new(&bao)
            .credential("token-file", bao.root_token())
            .set("ca-file", &path(ca.file()))
    };
    let identified = trusting()
        .set("client-cert-file", &path(client.certificate_file.clone()))
        .set("client-key-file", &path(client.key_file.clone()));
    assert_value(identified.build().read("secret/app/f").await, "v");
    // The server may hang up before its reason is read, so that the kind is not certain; the advice is.
    let anonymous = trusting().build().read("secret/app/f").await.unwrap_err();
    assert!(anonymous.hint.unwrap().contains("client-cert-file"));
    let distrusting = Reader::root(&bao).read("secret/app/f").await;
    assert_error(distrusting, ErrorKind::Unavailable, "is not trusted");
}

#[tokio::test]
async fn a_quota_is_told_with_the_time_to_wait_where_the_server_gives_one() {
    let Some(bao) = OpenBao::start() else { return };
    bao.admin().mount_kv("limited", 1);
    bao.call("POST", "limited/app", &json!({"f": "v"}));
    let reader = Reader::root(&bao);
    assert_value(reader.read("limited/app/f").await, "v");
    let quota = json!({"path": "limited/", "rate": 1, "interval": "1h"});
    bao.call("POST", "sys/quotas/rate-limit/limited", &quota);
    assert_value(reader.read("limited/app/f").await, "v");
    let silent = reader.read("limited/app/f").await.unwrap_err();
    assert_eq!(silent.kind, ErrorKind::RateLimited { retry_after: None });
    let telling = json!({"enable_rate_limit_response_headers": true});
    bao.call("POST", "sys/quotas/config", &telling);
    match reader.read("limited/app/f").await.unwrap_err().kind {
        ErrorKind::RateLimited {
            retry_after: Some(wait),
        } => assert!(wait > Duration::from_secs(3000), "{wait:?}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_sealed_or_stopped_server_is_unavailable_and_read_again_once_it_is_back() {
    let Some(bao) = OpenBao::start() else { return };
    bao.put("app", &json!({"f": "v"}));
    let reader = Reader::root(&bao);
    assert_value(reader.read("secret/app/f").await, "v");
    bao.seal();
    let sealed = assert_error(reader.read("secret/app/f").await, ErrorKind::Unavailable, "503");
    assert!(sealed.hint.unwrap().contains("sealed"));
    bao.unseal();
    assert_value(reader.read("secret/app/f").await, "v");
    drop(bao);
    let stopped = reader.read("secret/app/f").await.unwrap_err();
    assert_eq!(stopped.kind, ErrorKind::Unavailable, "{stopped}");
}
