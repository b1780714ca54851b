//! The built binary with a tenancy of Oracle Cloud: what a run asks for, and what `providers check` says.

use std::fmt::Write;
use std::fs;
use std::process::{Command, Output};
use std::time::Duration;

use locket_testkit::fakes::oci::Oci;
use locket_testkit::{Request, Response, Server};

use crate::support::{Scene, locket};

/// A user with an API key in the usual place, and a vault.
struct Account {
    fake: Oci,
    vault: String,
    server: Server,
    scene: Scene,
}

impl Account {
    fn new() -> Self {
        Self::answered_by(Oci::new(), |fake, request| fake.answer(&request))
    }

    fn answered_by(fake: Oci, answer: impl Fn(&Oci, Request) -> Response + Send + Sync + 'static) -> Self {
        let vault = fake.add_vault();
        let answering = fake.clone();
        let server = Server::start(move |request| answer(&answering, request));
        let scene = Scene::new();
        let key = fake.api_key();
        scene.write("home/.oci/key.pem", &key.pem);
        let config = format!(
            "[DEFAULT]\ntenancy={}\nuser={}\nfingerprint={}\nkey_file=~/.oci/key.pem\n",
            key.tenancy, key.user, key.fingerprint
        );
        scene.write("home/.oci/config", config);
        Self {
            fake,
            vault,
            server,
            scene,
        }
    }

    fn locket(&self, arguments: &[&str]) -> Command {
        let mut command = locket();
        command.args(arguments);
        if !arguments.contains(&"--oci.endpoint") {
            command.args(["--oci.endpoint", &self.server.url()]);
        }
        command
            .current_dir(self.scene.base())
            .env("HOME", self.scene.path("home"))
            .env("LOCKET_STATE_DIR", self.scene.path("state"));
        command
    }

    fn check(&self, reference: &str, more: &[&str]) -> String {
        let arguments = [&["providers", "check", reference], more].concat();
        let told = text(&self.locket(&arguments).output().unwrap());
        assert!(!told.contains("canary"), "{told}");
        told
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

#[test]
fn a_hundred_references_to_twenty_secrets_are_twenty_requests() {
    let account = Account::new();
    let (mut template, mut expected) = (String::new(), String::new());
    for number in 0..20 {
        let content = format!(r#"{{"a": "a{number}", "b": "b{number}", "c": {{"d": ["x", "d{number}"]}}}}"#);
        let name = format!("secret{number}");
        let id = account.fake.add_secret(&account.vault, &name, content.as_bytes());
        for (path, value) in [
            ("a", "a"),
            ("b", "b"),
            ("c.d.1", "d"),
            ("/c/d/1", "d"),
            ("a", "a"),
        ] {
            writeln!(template, "{{{{ {id}#{path} }}}}").unwrap();
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
    assert_eq!(account.server.request_count(), 20);
    assert!(account.server.peak_concurrency() <= 16);
}

#[test]
fn the_seeds_choice_of_the_instance_is_understood() {
    let account = Account::new();
    let id = account
        .fake
        .add_secret(&account.vault, "s", b"canary-of-the-instance");
    fs::remove_dir_all(account.scene.path("home/.oci")).unwrap();
    let url = account.server.url();
    let mut command = account.locket(&["get", &format!("oci://{id}"), "--oci.auth-endpoint", &url]);
    command
        .env("OCI_CLI_AUTH", "instance_principal")
        .env("OCI_METADATA_BASE_URL", format!("{url}/opc/v2"));
    let output = command.output().unwrap();
    assert_eq!(output.stdout, b"canary-of-the-instance", "{}", text(&output));
    let asked = account.server.requests();
    assert!(asked.iter().any(|request| request.path == "/v1/x509"));
    let wrong = command.env("OCI_CLI_AUTH", "instance_obo_user").output().unwrap();
    assert!(text(&wrong).contains("`api-key`"), "{}", text(&wrong));
}

#[test]
fn an_agent_that_gave_up_the_rest_of_the_machine_still_reads_its_profile() {
    let account = Account::new();
    let id = account.fake.add_secret(&account.vault, "s", b"value");
    account.scene.write("in/one", format!("{{{{ oci://{id} }}}}"));
    let output = account
        .locket(&[
            "run",
            "--mode",
            "one-shot",
            "--map",
            "in:out",
            "--log-level",
            "debug",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output));
    assert_eq!(account.scene.read("out/one").unwrap(), "value");
}

#[test]
fn a_check_says_which_of_name_permission_identity_clock_and_way_is_wrong() {
    let account = Account::new();
    let id = account.fake.add_secret(&account.vault, "s", b"canary");
    let hidden = account.fake.add_secret(&account.vault, "hidden", b"canary");
    account.fake.deny(&hidden);
    let good = format!("oci://{id}");
    let told = account.check(&good, &[]);
    assert!(told.starts_with("ok "), "{told}");

    let expect = |told: String, outcome: &str, says: &str| {
        assert!(
            told.starts_with(outcome) && told.contains(says),
            "{outcome}, {says}: {told}"
        );
    };
    expect(
        account.check(&format!("{good}?version=9"), &[]),
        "not-found",
        "no version 9",
    );
    expect(
        account.check(&format!("oci://{hidden}"), &[]),
        "denied",
        "read secret-bundles",
    );
    expect(
        account.check(&format!("oci://{hidden}"), &["--oci.region", "fra"]),
        "denied",
        "its OCID is of us-ashburn-1",
    );
    expect(
        account.check(&good, &["--oci.profile", "PROD"]),
        "auth",
        "no profile `PROD`",
    );
    expect(
        account.check(&good, &["--oci.endpoint", "http://127.0.0.1:9"]),
        "unavailable",
        "connection refused",
    );
    expect(
        account.check(&good, &["--oci.endpoint", "https://no-such-host.invalid"]),
        "unavailable",
        "has no address",
    );
    expect(
        account.check(
            &good,
            &["--oci.endpoint", &account.server.url().replace("http:", "https:")],
        ),
        "unavailable",
        "does not speak TLS",
    );
    let proxy = Server::start(|_| Response::text(403, "canary"));
    expect(
        account.check(
            &good,
            &[
                "--oci.endpoint",
                "https://vault.example",
                "--oci.proxy",
                &proxy.url(),
            ],
        ),
        "unavailable",
        "proxy",
    );
    account.fake.revoke_api_keys();
    expect(account.check(&good, &[]), "auth", "fingerprint");

    let slow = Account::answered_by(Oci::new(), |_, _| {
        Response::json(
            429,
            &serde_json::json!({"code": "TooManyRequests", "message": "canary"}),
        )
        .with_header("retry-after", "60")
    });
    expect(slow.check(&good, &[]), "rate-limited", "asked too often");
    let skewed = Account::answered_by(Oci::new(), |_, _| {
        let date = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        Response::json(
            401,
            &serde_json::json!({"code": "NotAuthenticated", "message": "canary"}),
        )
        .with_header("date", &httpdate::fmt_http_date(date))
    });
    expect(skewed.check(&good, &[]), "unavailable", "this machine's clock is");
    assert_eq!(skewed.server.request_count(), 1, "nothing is tried in a loop");
}
