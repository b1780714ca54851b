//! Infisical's own client reads the fake server that the provider is tested against, and is refused by it.

use std::path::Path;
use std::process::Command;

use data_encoding::BASE64;
use locket_testkit::fakes::infisical::{Generations, Infisical, Login, Role, Secret};
use locket_testkit::{Request, Server, services};
use serde_json::{Value, json};

use crate::infisical_machine_logins::{essence, leave_out};
use crate::support::locket;

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

    /// What locket makes of a template after a login with the same credentials.
    fn locket(&self, method: &str, credentials: &[(&str, &str)], template: &str) -> String {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let file = directory.path().join("template");
        std::fs::write(&file, template).expect("a template can be written");
        // The script's variables are named as locket's own, but for their beginning.
        let variables = credentials
            .iter()
            .map(|(name, value)| match name.starts_with("AWS_") {
                true => ((*name).to_owned(), *value),
                false => (format!("INFISICAL_{name}"), *value),
            });
        let output = locket()
            .arg("render")
            .arg(file)
            .args(["--infisical.url", &self.server.url()])
            .args(["--infisical.auth", method])
            .args(["--infisical.default-project-id", "p1"])
            .args(["--infisical.default-environment", "prod"])
            .envs(variables)
            .env("LOCKET_STATE_DIR", directory.path().join("state"))
            .output()
            .expect("locket can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{method}: {told}");
        String::from_utf8(output.stdout).expect("the secrets are text")
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

/// A way to log in, and credentials that are good and wrong for it.
struct Way {
    login: Login,
    method: &'static str,
    right: Vec<(&'static str, &'static str)>,
    wrong: Vec<(&'static str, &'static str)>,
}

fn ways() -> [Way; 3] {
    const IDENTITY: &str = "7e1c7a2e-1f1b-4d8c-9d7e-6a5b4c3d2e1f";
    const SECRET_KEY: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    let oidc_with = |jwt| vec![("IDENTITY_ID", IDENTITY), ("JWT", jwt)];
    let aws_with = |secret| {
        vec![
            ("IDENTITY_ID", IDENTITY),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", "session"),
        ]
    };
    [
        Way {
            login: universal(),
            method: "universal",
            right: CLIENT.to_vec(),
            wrong: vec![CLIENT[0], ("CLIENT_SECRET", "another")],
        },
        Way {
            login: Login::Signed {
                path: "oidc-auth",
                identity: IDENTITY.to_owned(),
                jwt: "head.claims.good".to_owned(),
            },
            method: "oidc",
            right: oidc_with("head.claims.good"),
            wrong: oidc_with("head.claims.bad"),
        },
        Way {
            login: Login::Aws {
                identity: IDENTITY.to_owned(),
                access_key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
                secret_key: SECRET_KEY.to_owned(),
                session_token: Some("session".to_owned()),
            },
            method: "aws",
            right: aws_with(SECRET_KEY),
            wrong: aws_with("another"),
        },
    ]
}

#[test]
fn the_official_client_logs_in_by_each_way_that_it_knows_and_by_no_wrong_credential() {
    let Some(python) = services::python() else {
        return;
    };
    for Way {
        login,
        method,
        right,
        wrong,
    } in ways()
    {
        let account = Account::new(login);
        let got = account.read(&python, method, &right);
        assert_eq!(got["one"]["ok"]["value"], AWKWARD, "{method}: {got}");
        let got = account.read(&python, method, &wrong);
        assert_refused(&got["login"], "Invalid credentials", 401);
        assert!(got["one"]["refused"].is_string(), "{method}: {got}");
    }
}

#[test]
fn the_official_client_and_locket_send_the_same_requests() {
    let Some(python) = services::python() else {
        return;
    };
    for Way {
        login, method, right, ..
    } in ways()
    {
        let account = Account::new(login);
        let got = account.read(&python, method, &right);
        assert_eq!(got["one"]["ok"]["value"], AWKWARD, "{method}: {got}");
        let theirs = account.server.requests();
        account.server.forget();
        assert_eq!(
            account.locket(
                method,
                &right,
                "{{ infisical:///KEY }}{{ infisical:///KEY?path=/app/db }}"
            ),
            format!("{AWKWARD}of the folder")
        );
        assert_eq!(
            account.locket(
                method,
                &right,
                "{{ infisical:///KEY }}{{ infisical:///IMPORTED }}"
            ),
            format!("{AWKWARD}from elsewhere")
        );
        let ours = account.server.requests();
        assert_eq!(login_of(&theirs), login_of(&ours), "{method}");
        for folder in ["/", "/app/db"] {
            let (their, mut our) = (read_of(&theirs, "/KEY", folder), read_of(&ours, "/KEY", folder));
            leave_out(&mut our, "type", "shared");
            assert_eq!(their, our, "{method}");
        }
        let (mut their, our) = (read_of(&theirs, "", "/"), read_of(&ours, "", "/"));
        leave_out(&mut their, "recursive", "false");
        assert_eq!(their, our, "{method}");
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

/// The one login of these requests, without what changes from one second to the next.
fn login_of(requests: &[Request]) -> Value {
    let login = requests.iter().find(|request| request.path.ends_with("/login"));
    let mut login = essence(login.expect("a login"));
    let Some(headers) = login["fields"].get_mut("iamRequestHeaders") else {
        return login;
    };
    let text = BASE64.decode(headers.as_str().unwrap_or_default().as_bytes());
    *headers = serde_json::from_slice(&text.expect("base64")).expect("the headers in JSON");
    for (name, start) in [
        ("X-Amz-Date", "20"),
        ("Authorization", "AWS4-HMAC-SHA256 Credential="),
    ] {
        let value = headers[name].as_str().unwrap_or_default();
        assert!(value.starts_with(start), "{name}: {value}");
        headers[name] = json!(start);
    }
    login
}

/// The request among these for a secret of a folder, or for all of it.
fn read_of(requests: &[Request], path: &str, folder: &str) -> Value {
    let path = format!("/api/v3/secrets/raw{path}");
    let read = requests
        .iter()
        .find(|request| request.path == path && request.param("secretPath").as_deref() == Some(folder));
    essence(read.unwrap_or_else(|| panic!("nobody asked for {path} of {folder}")))
}

fn assert_refused(outcome: &Value, because: &str, status: u16) {
    let message = outcome["message"].as_str();
    let message = message.unwrap_or_else(|| panic!("not refused: {outcome}"));
    assert!(
        message.contains(because) && message.contains(&status.to_string()),
        "{message}"
    );
}
