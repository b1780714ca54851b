//! Bitwarden's own clients read the fake server that the provider is tested against, and are refused by it.

use std::path::Path;
use std::process::{Command, Output};

use locket_testkit::fakes::bitwarden::Bitwarden;
use locket_testkit::{Request, Server, TestCa, services};
use serde_json::{Value, json};

use crate::support::locket;

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

    /// What the official program says, which keeps its session in `home`.
    fn bws(&self, program: &Path, home: &Path, token: &str, arguments: &[&str]) -> Output {
        Command::new(program)
            .args(["--server-url", &self.server.url(), "--color", "no"])
            .args(arguments)
            .env_clear()
            .env("HOME", home)
            .env("SSL_CERT_FILE", self.ca.file())
            .env("BWS_ACCESS_TOKEN", token)
            .output()
            .expect("bws can be started")
    }

    /// What locket makes of a template.
    fn rendered(&self, template: &str) -> String {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let file = directory.path().join("template");
        std::fs::write(&file, template).expect("a template can be written");
        let output = locket()
            .arg("render")
            .arg(file)
            .args(["--bws.server-url", &self.server.url()])
            .arg("--bws.ca-file")
            .arg(self.ca.file())
            .env("BWS_ACCESS_TOKEN", &self.token)
            .env("LOCKET_STATE_DIR", directory.path().join("state"))
            .output()
            .expect("locket can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        String::from_utf8(output.stdout).expect("the secrets are text")
    }

    /// What was asked since the last call.
    fn asked(&self) -> Vec<Request> {
        let asked = self.server.requests();
        self.server.forget();
        asked
    }

    /// Tokens that are not good here, and what each has of a good one.
    fn wrong_tokens(&self) -> [(&'static str, String); 4] {
        let foreign = Bitwarden::new().access_token(&[&self.project]);
        let revoked = self.fake.access_token(&[&self.project]);
        self.fake.revoke(&revoked);
        let (head, tail) = self.token.split_once(':').expect("two halves");
        let other_key = format!("{head}:{}", foreign.split_once(':').expect("two halves").1);
        let other_secret = format!("{head}x:{tail}");
        [
            ("of another server", foreign),
            ("revoked", revoked),
            ("with another key", other_key),
            ("with another secret", other_secret),
        ]
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
    for (which, token) in account.wrong_tokens() {
        let got = account.read(&python, &token);
        for (what, outcome) in got.as_object().expect("one outcome for each attempt") {
            assert!(outcome["refused"].is_string(), "{which}: {what}: {outcome}");
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
fn the_official_program_shows_what_locket_reads() {
    let Some(bws) = services::contract_program("bws", "bin/bws") else {
        return;
    };
    let account = Account::new();
    let home = tempfile::tempdir().expect("a home for the program's session");
    let says = |arguments: &[&str]| {
        let output = account.bws(&bws, home.path(), &account.token, arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {told}");
        output.stdout
    };
    let shows = |arguments: &[&str], expected: &[&Value]| {
        let printed = serde_json::from_slice(&says(arguments)).expect("the program prints JSON");
        let printed = undated(printed);
        assert_eq!(printed.iter().collect::<Vec<_>>(), expected, "{arguments:?}");
    };
    let whole = |id: &str, key: &str| {
        json!({
            "id": id,
            "organizationId": account.fake.organization(),
            "projectId": account.project,
            "key": key,
            "value": account.rendered(&format!("{{{{ bws://{id} }}}}")),
            "note": "",
        })
    };
    let (one, other) = (
        whole(&account.one, "one"),
        whole(&account.other, "other \u{1f511}"),
    );
    assert_eq!((&one["value"], &other["value"]), (&json!(AWKWARD), &json!("2")));
    account.server.forget();
    shows(&["secret", "get", &account.one], &[&one]);
    shows(&["secret", "get", &account.other], &[&other]);
    let mut both = [&one, &other];
    both.sort_by_key(|secret| secret["id"].to_string());
    shows(&["secret", "list"], &both);
    shows(&["secret", "list", &account.project], &both);
    let project = json!({
        "id": account.project,
        "organizationId": account.fake.organization(),
        "name": "prod",
    });
    shows(&["project", "list"], &[&project]);
    shows(&["project", "get", &account.project], &[&project]);
    let printed = says(&["run", "--shell=/bin/sh", "--", "printf %s \"$one\""]);
    assert_eq!(String::from_utf8_lossy(&printed), AWKWARD);
    let is_login = |request: &Request| request.path == "/identity/connect/token";
    let logins = account.asked().iter().filter(|request| is_login(request)).count();
    assert_eq!(logins, 1, "the session outlives the program that began it");
}

#[test]
fn the_official_program_and_locket_send_the_same_requests() {
    let Some(bws) = services::contract_program("bws", "bin/bws") else {
        return;
    };
    let account = Account::new();
    let home = tempfile::tempdir().expect("a home for the program's session");
    let output = account.bws(
        &bws,
        home.path(),
        &account.token,
        &["secret", "list", &account.project],
    );
    assert!(output.status.success(), "{output:?}");
    let of_the_program: Vec<_> = account.asked().iter().map(essence).collect();
    let project = &account.project;
    let got = account.rendered(&format!(
        "{{{{ bws://{project}/one }}}}{{{{ bws://{project}/other%20%F0%9F%94%91 }}}}"
    ));
    assert_eq!(got, format!("{AWKWARD}2"));
    let of_locket: Vec<_> = account.asked().iter().map(essence).collect();
    assert_eq!(of_the_program, of_locket);
    let asked: Vec<_> = of_locket.iter().map(|request| request["asked"].clone()).collect();
    assert_eq!(
        asked,
        [
            json!("POST /identity/connect/token"),
            json!(format!("GET /api/projects/{project}/secrets")),
            json!("POST /api/secrets/get-by-ids"),
        ]
    );
}

#[test]
fn the_official_program_is_refused_with_a_wrong_token_and_what_its_token_does_not_open() {
    let Some(bws) = services::contract_program("bws", "bin/bws") else {
        return;
    };
    let account = Account::new();
    let get = |token: &str, secret: &str| {
        let home = tempfile::tempdir().expect("a home for the program's session");
        account.bws(&bws, home.path(), token, &["secret", "get", secret])
    };
    let refused = |what: &str, output: &Output| {
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{what}: {output:?}"
        );
    };
    for (which, token) in account.wrong_tokens() {
        refused(which, &get(&token, &account.one));
    }
    let withheld = get(&account.token, &account.closed);
    refused("withheld", &withheld);
    assert!(
        String::from_utf8_lossy(&withheld.stderr).contains("404"),
        "{withheld:?}"
    );
    assert!(get(&account.token, &account.one).status.success(), "the control");
}

/// Secrets or projects as the program prints them, one or several, in the order of their ids and without their dates.
fn undated(printed: Value) -> Vec<Value> {
    let mut all = match printed {
        Value::Array(all) => all,
        one => vec![one],
    };
    for one in all.iter_mut().filter_map(Value::as_object_mut) {
        for date in ["creationDate", "revisionDate"] {
            assert!(one.remove(date).is_some_and(|date| date.is_string()), "{date}");
        }
    }
    all.sort_by_key(|one| one["id"].to_string());
    all
}

/// What counts of a request: neither the session, which differs, nor orders and spellings that mean nothing.
fn essence(request: &Request) -> Value {
    let body = match request.json::<Value>() {
        Some(mut body) => {
            let ids = body["ids"].as_array_mut().expect("the only body in JSON");
            ids.sort_by_key(Value::to_string);
            body
        }
        None => ["grant_type", "scope", "client_id", "client_secret"]
            .map(|name| request.form_field(name))
            .into(),
    };
    json!({
        "asked": format!("{} {}", request.method, request.target()),
        "as": request.header("device-type"),
        "with a session": request.bearer().is_some(),
        "kind": request.header("content-type"),
        "body": body,
        "fields of the form": String::from_utf8_lossy(&request.body).matches('=').count(),
    })
}

fn assert_refused(outcome: &Value, because: &str) {
    let message = outcome["refused"].as_str();
    let message = message.unwrap_or_else(|| panic!("not refused: {outcome}"));
    assert!(message.contains(because), "{message}");
}
