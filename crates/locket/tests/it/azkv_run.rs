//! The built binary with a key vault: what a run asks for, and what `providers check` says.

use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use locket_testkit::fakes::azure::{Application, Azure};
use locket_testkit::{Request, Response, Server, TestCa};

use crate::support::{Agent, Scene, locket};

/// An application and the vault `prod`.
struct Account {
    fake: Azure,
    application: Application,
    server: Server,
    ca: TestCa,
    scene: Scene,
}

impl Account {
    fn new() -> Self {
        Self::answered_by(|fake, request| fake.answer(&request))
    }

    fn answered_by(answer: impl Fn(&Azure, Request) -> Response + Send + Sync + 'static) -> Self {
        let (fake, ca) = (Azure::new(), TestCa::new());
        let answering = fake.clone();
        let server = Server::builder()
            .tls(&ca)
            .start(move |request| answer(&answering, request));
        Self {
            application: fake.application(),
            fake,
            server,
            ca,
            scene: Scene::new(),
        }
    }

    fn port(&self) -> u16 {
        self.server.address().port()
    }

    fn at(&self, name: &str) -> String {
        format!("azkv://prod.vault.localhost:{}/{name}", self.port())
    }

    fn add(&self, name: &str, value: &str) -> String {
        self.fake.set("prod", name, value);
        self.at(name)
    }

    /// Without a login.
    fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = locket();
        command
            .args(arguments)
            .current_dir(self.scene.base())
            .env("HOME", self.scene.path("home"))
            .env("SSL_CERT_FILE", self.ca.file())
            .env(
                "AZURE_AUTHORITY_HOST",
                format!("https://localhost:{}", self.port()),
            )
            .env("LOCKET_STATE_DIR", self.scene.path("state"));
        command
    }

    fn locket(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(arguments);
        command
            .env("AZURE_TENANT_ID", &self.application.tenant)
            .env("AZURE_CLIENT_ID", &self.application.client_id)
            .env("AZURE_CLIENT_SECRET", &self.application.secret);
        command
    }

    fn check(&self, reference: &str, more: &[&str]) -> String {
        let arguments = [&["providers", "check", reference], more].concat();
        let told = text(&self.locket(&arguments).output().unwrap());
        assert!(
            !told.contains("canary") && !told.contains(&self.application.secret),
            "{told}"
        );
        told
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[test]
fn a_hundred_references_to_twenty_secrets_are_twenty_requests_after_the_login() {
    let account = Account::new();
    let (mut template, mut expected) = (String::new(), String::new());
    for number in 0..20 {
        let value = format!(r#"{{"a": "a{number}", "b": ["x", "b{number}"]}}"#);
        let reference = account.add(&format!("secret{number}"), &value);
        for (path, value) in [("a", "a"), ("b.1", "b"), ("/b/1", "b"), ("a", "a"), ("/a", "a")] {
            writeln!(template, "{{{{ {reference}#{path} }}}}").unwrap();
            writeln!(expected, "{value}{number}").unwrap();
        }
    }
    account.scene.write("in/all", &template);
    let output = account
        .locket(&["run", "--mode", "one-shot", "--map", "in:out"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(account.scene.read("out/all").unwrap(), expected);
    let requests = account.server.requests();
    let reads = requests.iter().filter(|request| request.bearer().is_some());
    assert_eq!(
        (reads.count(), requests.len()),
        (20, 22),
        "a challenge and a login beside the reads"
    );
}

#[test]
fn the_azure_clis_login_is_enough() {
    let account = Account::new();
    let reference = account.add("s", "canary-of-the-cli");
    let resource = format!("https://vault.localhost:{}", account.port());
    let token = account.fake.token(&resource);
    account.scene.write("home/.azure/azureProfile.json", "{}");
    let script = format!("#!/bin/sh\necho '{{\"accessToken\": \"{token}\", \"expires_on\": 4000000000}}'\n");
    account.scene.write("bin/az", script);
    std::fs::set_permissions(
        account.scene.path("bin/az"),
        std::fs::Permissions::from_mode(0o755),
    )
    .unwrap();
    let path = format!("{}:/usr/bin:/bin", account.scene.path("bin").display());
    let output = account
        .bare(&["get", &reference])
        .env("PATH", path)
        .output()
        .unwrap();
    assert_eq!(output.stdout, b"canary-of-the-cli", "{}", text(&output));
    assert!(!text(&output).contains(&token));
}

#[test]
fn a_rotated_secret_arrives_with_the_next_refresh() {
    let account = Account::new();
    let reference = account.add("s", "one");
    account
        .scene
        .write("in/file", format!("value={{{{ {reference} }}}}"));
    let agent = Agent::start(&mut account.locket(&["run", "--map", "in:out"]));
    account.scene.becomes("out/file", "value=one");
    account.add("s", "two");
    agent.signal("HUP");
    account.scene.becomes("out/file", "value=two");
}

#[test]
fn every_secret_of_a_vault_becomes_a_file() {
    let account = Account::new();
    for number in 0..30 {
        account.add(&format!("s{number}"), &format!("v{number}"));
    }
    let output = account
        .locket(&[
            "run",
            "--mode",
            "one-shot",
            "--secret-from",
            &account.at("*"),
            "--out",
            "out",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(account.scene.read("out/s29").unwrap(), "v29");
}

#[test]
fn a_check_says_which_of_name_permission_identity_and_way_is_wrong() {
    let account = Account::new();
    let good = account.add("s", "canary");
    for name in ["hidden", "off", "gone"] {
        account.add(name, "canary");
    }
    account.fake.deny("prod", "hidden");
    account.fake.disable("prod", "off");
    account.fake.delete("prod", "gone");
    let told = account.check(&good, &[]);
    assert!(told.starts_with("ok "), "{told}");

    let expect = |told: String, outcome: &str, says: &str| {
        assert!(
            told.starts_with(outcome) && told.contains(says),
            "{outcome}, {says}: {told}"
        );
    };
    expect(
        account.check(&account.at("nowhere"), &[]),
        "not-found",
        "has no secret",
    );
    expect(
        account.check(&account.at("s/0123"), &[]),
        "not-found",
        "no version",
    );
    expect(account.check(&account.at("gone"), &[]), "not-found", "recover");
    expect(account.check(&account.at("off"), &[]), "denied", "is disabled");
    expect(
        account.check(&account.at("hidden"), &[]),
        "denied",
        "Key Vault Secrets User",
    );
    expect(
        account.check("azkv://prod.vault.invalid/s", &[]),
        "unavailable",
        "no vault of this name",
    );
    expect(
        account.check(&good, &["--azkv.authority-host", "http://127.0.0.1:9"]),
        "unavailable",
        "connection refused",
    );
    let proxy = Server::start(|_| Response::text(403, "canary"));
    expect(
        account.check("azkv://prod.vault.example/s", &["--azkv.proxy", &proxy.url()]),
        "unavailable",
        "the proxy refuses to connect",
    );
    let mut untrusting = account.locket(&["providers", "check", &good]);
    let untrusting = untrusting.env("SSL_CERT_FILE", "/dev/null").output().unwrap();
    expect(text(&untrusting), "unavailable", "is not trusted");
    account.fake.expire_secrets();
    expect(account.check(&good, &[]), "auth", "has expired (AADSTS7000222)");

    let slow = Account::answered_by(|fake, request| match request.bearer() {
        Some(_) => Response::json(
            429,
            &serde_json::json!({"error": {"code": "Throttled", "message": "canary"}}),
        ),
        None => fake.answer(&request),
    });
    expect(slow.check(&slow.at("s"), &[]), "rate-limited", "asked too often");
    assert_eq!(slow.server.request_count(), 3, "nothing is tried in a loop");
}
