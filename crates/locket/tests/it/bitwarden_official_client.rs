//! Bitwarden's own clients read the fake server that the provider is tested against, and are refused by it.

use std::path::Path;
use std::process::{Command, Output};

use locket_testkit::fakes::bitwarden::Bitwarden;
use locket_testkit::{Server, TestCa, services};
use serde_json::{Value, json};

const AWKWARD: &str = "pass \"word\" \\ \u{e4} {{ $x }}\r\n\n";

/// The clients speak TLS alone.
struct Account {
    fake: Bitwarden,
    server: Server,
    ca: TestCa,
    project: String,
    one: String,
    other: String,
    closed: String,
    token: String,
}

impl Account {
    fn new() -> Self {
        let fake = Bitwarden::new();
        let (project, hidden) = (fake.add_project("prod"), fake.add_project("hidden"));
        let token = fake.access_token(&[&project]);
        let answering = fake.clone();
        let ca = TestCa::new();
        let server = Server::builder()
            .tls(&ca)
            .start(move |request| answering.answer(&request));
        Self {
            one: fake.add_secret(&project, "one", AWKWARD),
            other: fake.add_secret(&project, "other \u{1f511}", "2"),
            closed: fake.add_secret(&hidden, "closed", "3"),
            fake,
            server,
            ca,
            project,
            token,
        }
    }

    /// What the official library got with `token`.
    fn read(&self, python: &Path, token: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/bitwarden_official_client.py");
        let output = Command::new(python)
            .arg(script)
            .args([&self.server.url(), &self.fake.organization()])
            .args([&self.one, &self.other, &self.closed, &self.project])
            .env_clear()
            .env("SSL_CERT_FILE", self.ca.file())
            .env("BWS_ACCESS_TOKEN", token)
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

    /// What the official program says.
    fn bws(&self, program: &Path, token: &str, arguments: &[&str]) -> Output {
        let home = tempfile::tempdir().expect("a home for the program's state");
        Command::new(program)
            .args([
                "--server-url",
                &self.server.url(),
                "--color",
                "no",
                "--output",
                "json",
            ])
            .args(arguments)
            .env_clear()
            .env("HOME", home.path())
            .env("SSL_CERT_FILE", self.ca.file())
            .env("BWS_ACCESS_TOKEN", token)
            .output()
            .expect("bws can be started")
    }
}

#[test]
fn the_official_library_reads_the_fake_bitwarden() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    let got = account.read(&python, &account.token);
    let organization = account.fake.organization();
    let (one, other) = (
        json!({"key": "one", "value": AWKWARD, "organization": organization}),
        json!({"key": "other \u{1f511}", "value": "2", "organization": organization}),
    );
    let both = json!({"ok": {&account.one: one, &account.other: other}});
    assert_eq!(got["login"], json!({ "ok": null }));
    assert_eq!(got["one"], json!({ "ok": one }));
    assert_eq!(got["both"], both);
    assert_eq!(got["sync"], both);
    assert_eq!(
        got["list"],
        json!({"ok": {&account.one: "one", &account.other: "other \u{1f511}"}})
    );
    assert_eq!(got["project"], json!({ "ok": "prod" }));
    assert_eq!(got["projects"], json!({"ok": {&account.project: "prod"}}));
    for withheld in ["one closed", "one of both closed", "one twice"] {
        assert_refused(&got[withheld], "404");
    }
}

#[test]
fn the_official_library_is_refused_with_a_wrong_token() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    let (foreign, revoked) = (
        Bitwarden::new().access_token(&[&account.project]),
        account.fake.access_token(&[&account.project]),
    );
    account.fake.revoke(&revoked);
    let (head, tail) = account.token.split_once(':').expect("two halves");
    let other_key = format!("{head}:{}", foreign.split_once(':').expect("two halves").1);
    let other_secret = format!("{head}x:{tail}");
    for token in [&foreign, &revoked, &other_key, &other_secret] {
        let got = account.read(&python, token);
        for (what, outcome) in got.as_object().expect("one outcome for each attempt") {
            assert!(outcome["refused"].is_string(), "{what}: {outcome}");
        }
    }
    let ended = Account::new();
    let sessions_end = ended.fake.clone();
    let answering = ended.fake.clone();
    let server = Server::builder().tls(&ended.ca).start(move |request| {
        let answer = answering.answer(&request);
        sessions_end.end_sessions();
        answer
    });
    let got = Account { server, ..ended };
    let got = got.read(&python, &got.token);
    assert_eq!(got["login"], json!({ "ok": null }));
    assert_refused(&got["one"], "401");
}

#[test]
fn the_official_program_reads_the_fake_bitwarden_and_is_refused_by_it() {
    let Some(bws) = services::find_for_contract("bin/bws") else {
        return;
    };
    let account = Account::new();
    let output = account.bws(&bws, &account.token, &["secret", "get", &account.one]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    let got: Value = serde_json::from_slice(&output.stdout).expect("the program prints JSON");
    assert_eq!((&got["key"], &got["value"]), (&json!("one"), &json!(AWKWARD)));
    let output = account.bws(&bws, &account.token, &["secret", "list", &account.project]);
    let got: Value = serde_json::from_slice(&output.stdout).expect("the program prints JSON");
    assert_eq!(got.as_array().map(Vec::len), Some(2), "{got}");
    let output = account.bws(&bws, &account.token, &["project", "list"]);
    let got: Value = serde_json::from_slice(&output.stdout).expect("the program prints JSON");
    assert_eq!(got[0]["name"], "prod");
    let foreign = Bitwarden::new().access_token(&[&account.project]);
    for (token, secret) in [(&account.token, &account.closed), (&foreign, &account.one)] {
        let output = account.bws(&bws, token, &["secret", "get", secret]);
        assert!(!output.status.success());
        assert!(output.stdout.is_empty());
    }
}

fn assert_refused(outcome: &Value, because: &str) {
    let message = outcome["refused"].as_str();
    let message = message.unwrap_or_else(|| panic!("not refused: {outcome}"));
    assert!(message.contains(because), "{message}");
}
