//! Infisical's own client reads the fake server that the provider is tested against, and is refused by it.

use std::path::Path;
use std::process::Command;

use locket_testkit::fakes::infisical::{Generations, Infisical, Login, Role, Secret};
use locket_testkit::{Server, services};
use serde_json::{Value, json};

const AWKWARD: &str = "pass \"word\" \\ \u{e4} {{ $x }}\r\n\n";
const ROOT: (&str, &str, &str) = ("p1", "prod", "/");

struct Account {
    fake: Infisical,
    server: Server,
    identity: usize,
}

impl Account {
    /// A server of the generation that the client speaks, with one identity.
    fn new(login: Login) -> Self {
        let fake = Infisical::new().speaking(Generations::Third);
        let (folder, imported) = (("p1", "prod", "/app/db"), ("p1", "prod", "/shared"));
        fake.put(ROOT, Secret::new("KEY", AWKWARD));
        fake.put(folder, Secret::new("KEY", "of the folder"));
        fake.put(imported, Secret::new("IMPORTED", "from elsewhere"));
        fake.import(ROOT, imported);
        let identity = fake.identity(login);
        fake.grant(identity, "p1", "prod", Some(Role::Read));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        Self {
            fake,
            server,
            identity,
        }
    }

    /// What the official client got after a login with these credentials.
    fn read(&self, python: &Path, method: &str, credentials: &[(&str, &str)]) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/infisical_official_client.py");
        let output = Command::new(python)
            .arg(script)
            .args([&self.server.url(), method])
            .env_clear()
            .envs(credentials.iter().copied())
            .output()
            .expect("python can be started");
        assert!(
            output.status.success(),
            "the script ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("the script prints JSON")
    }
}

fn universal() -> Login {
    Login::Universal {
        client_id: "client".to_owned(),
        client_secret: "client secret".to_owned(),
    }
}

const CLIENT: [(&str, &str); 2] = [("CLIENT_ID", "client"), ("CLIENT_SECRET", "client secret")];

fn secret(key: &str, value: &str, path: &str) -> Value {
    json!({"key": key, "value": value, "version": 1, "type": "shared", "hidden": false, "path": path})
}

#[test]
fn the_official_client_reads_the_fake_infisical() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new(universal());
    let got = account.read(&python, "universal", &CLIENT);
    let (own, imported) = (
        secret("KEY", AWKWARD, "/"),
        secret("IMPORTED", "from elsewhere", "/shared"),
    );
    assert_eq!(got["login"], json!({ "ok": null }));
    assert_eq!(got["one"], json!({ "ok": own }));
    assert_eq!(
        got["in a folder"],
        json!({"ok": secret("KEY", "of the folder", "/app/db")})
    );
    assert_eq!(got["imported"], json!({ "ok": imported }));
    assert_eq!(
        got["list"],
        json!({"ok": {"secrets": [own], "imports": [[imported]]}})
    );
    assert_eq!(got["names"]["ok"]["secrets"][0]["hidden"], true);
    assert_ne!(got["names"]["ok"]["secrets"][0]["value"], AWKWARD);
    for (what, said) in [
        ("missing secret", "not found"),
        ("missing folder", "not found"),
        ("missing project", "not found"),
    ] {
        assert_refused(&got[what], said, 404);
    }
}

#[test]
fn the_official_client_logs_in_by_each_way_that_it_knows_and_by_no_wrong_credential() {
    let Some(python) = services::python() else {
        return;
    };
    let identity = "7e1c7a2e-1f1b-4d8c-9d7e-6a5b4c3d2e1f";
    let oidc = Login::Signed {
        path: "oidc-auth",
        identity: identity.to_owned(),
        jwt: "head.claims.good".to_owned(),
    };
    let aws = Login::Aws {
        identity: identity.to_owned(),
        access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
        secret_key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
        session_token: Some("session".to_owned()),
    };
    let aws_with = |secret| {
        vec![
            ("IDENTITY_ID", identity),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", "session"),
        ]
    };
    let good = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let oidc_with = |jwt| vec![("IDENTITY_ID", identity), ("JWT", jwt)];
    for (login, method, right, wrong) in [
        (
            universal(),
            "universal",
            CLIENT.to_vec(),
            vec![CLIENT[0], ("CLIENT_SECRET", "another")],
        ),
        (
            oidc,
            "oidc",
            oidc_with("head.claims.good"),
            oidc_with("head.claims.bad"),
        ),
        (aws, "aws", aws_with(good), aws_with("another")),
    ] {
        let account = Account::new(login);
        let got = account.read(&python, method, &right);
        assert_eq!(got["one"]["ok"]["value"], AWKWARD, "{method}: {got}");
        let got = account.read(&python, method, &wrong);
        assert_refused(&got["login"], "Invalid credentials", 401);
        assert!(got["one"]["refused"].is_string(), "{method}: {got}");
    }
}

#[test]
fn the_official_client_is_told_what_it_may_not_have() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new(universal());
    account
        .fake
        .grant(account.identity, "p1", "prod", Some(Role::Describe));
    let got = account.read(&python, "universal", &CLIENT);
    assert_eq!(got["one"]["ok"]["hidden"], true);
    assert_ne!(got["one"]["ok"]["value"], AWKWARD);
    account.fake.grant(account.identity, "p1", "prod", None);
    let got = account.read(&python, "universal", &CLIENT);
    assert_refused(&got["one"], "not allowed", 403);
    let (token, identity) = account.fake.token();
    account.fake.grant(identity, "p1", "prod", Some(Role::Read));
    let with_token = [("TOKEN", token.as_str())];
    let got = account.read(&python, "token", &with_token);
    assert_eq!(got["one"]["ok"]["value"], AWKWARD);
    account.fake.end_tokens();
    let got = account.read(&python, "token", &with_token);
    assert_refused(&got["one"], "expired", 403);
    account.fake.revoke(identity);
    let got = account.read(&python, "token", &with_token);
    assert_refused(&got["list"], "revoked", 401);
}

fn assert_refused(outcome: &Value, because: &str, status: u16) {
    let message = outcome["message"].as_str();
    let message = message.unwrap_or_else(|| panic!("not refused: {outcome}"));
    assert!(
        message.contains(because) && message.contains(&status.to_string()),
        "{message}"
    );
}
