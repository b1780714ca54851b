//! Microsoft's own clients read the fake vault that the provider is tested against, and are refused by it.

use std::path::Path;
use std::process::Command;

use locket_testkit::fakes::azure::{Application, Azure};
use locket_testkit::{Server, TestCa, services};
use serde_json::{Value, json};

const WAYS: &[&str] = &["secret", "certificate", "workload", "machine", "app-service"];

struct Account {
    fake: Azure,
    server: Server,
    ca: TestCa,
    application: Application,
    first: String,
    directory: tempfile::TempDir,
}

impl Account {
    fn new() -> Self {
        let fake = Azure::new();
        let first = fake.set("prod", "rotating", "first");
        fake.set("prod", "rotating", "second \"value\" \\ ä\n");
        for name in ["off", "hidden", "gone"] {
            fake.set("prod", name, "unseen");
        }
        fake.disable("prod", "off");
        fake.deny("prod", "hidden");
        fake.delete("prod", "gone");
        for number in 0..30 {
            fake.set("prod", &format!("s{number}"), "value");
        }
        let ca = TestCa::new();
        let answering = fake.clone();
        let server = Server::builder()
            .tls(&ca)
            .start(move |request| answering.answer(&request));
        Self {
            application: fake.application(),
            fake,
            server,
            ca,
            first,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// What the official clients got.
    fn read(&self, python: &Path, way: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/azkv_official_client.py");
        let write = |name: &str, text: &str| {
            let path = self.directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let application = &self.application;
        let port = self.server.address().port();
        let vault = format!("https://prod.vault.localhost:{port}");
        let authority = format!("https://localhost:{port}");
        let mut command = Command::new(python);
        command
            .arg(script)
            .args([&vault, &authority, &self.first])
            .env_clear()
            .env("HOME", self.directory.path())
            .env("WAY", way)
            .env("REQUESTS_CA_BUNDLE", self.ca.file())
            .env("AZURE_TENANT_ID", &application.tenant)
            .env("AZURE_CLIENT_ID", &application.client_id)
            .env("AZURE_CLIENT_SECRET", &application.secret)
            .env(
                "AZURE_CLIENT_CERTIFICATE_PATH",
                write("certificate.pem", &application.certificate_pem),
            )
            .env(
                "AZURE_FEDERATED_TOKEN_FILE",
                write("federated", &application.federated_token),
            );
        match way {
            "machine" => command.env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &authority),
            "app-service" => command
                .env("IDENTITY_ENDPOINT", format!("{authority}/msi/token"))
                .env("IDENTITY_HEADER", "word-of-the-platform"),
            _ => &mut command,
        };
        let output = command.output().expect("python can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{way}: {}: {told}", output.status);
        serde_json::from_slice(&output.stdout).expect("the script prints JSON")
    }
}

fn is_refused(outcome: &Value, status: u16, code: &str, inner: Option<&str>) {
    let told = (&outcome["status"], &outcome["code"], &outcome["inner"]);
    assert_eq!(told, (&json!(status), &json!(code), &json!(inner)), "{outcome}");
}

#[test]
fn the_official_clients_read_the_fake_vault_with_every_login() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    let mut names = vec!["rotating", "off", "hidden"];
    let numbered: Vec<String> = (0..30).map(|number| format!("s{number}")).collect();
    names.extend(numbered.iter().map(String::as_str));
    for way in WAYS {
        let got = account.read(&python, way);
        let current = &got["current"]["ok"];
        assert_eq!(current["value"], "second \"value\" \\ ä\n", "{way}: {got}");
        assert_eq!(
            (&current["name"], &current["enabled"]),
            (&json!("rotating"), &json!(true))
        );
        assert_eq!(
            got["first"],
            json!({"ok": {"name": "rotating", "value": "first", "version": account.first, "enabled": true}}),
            "{way}"
        );
        assert_eq!(got["names"], json!({"ok": names}), "{way}: more than one page");
        is_refused(&got["disabled"], 403, "Forbidden", Some("SecretDisabled"));
        is_refused(&got["denied"], 403, "Forbidden", Some("ForbiddenByRbac"));
        is_refused(&got["missing"], 404, "SecretNotFound", None);
        is_refused(&got["deleted"], 404, "SecretNotFound", None);
        assert_eq!(got["recoverable"], json!({"ok": "gone"}), "{way}");
    }
}

#[test]
fn the_official_clients_are_refused_with_wrong_credentials() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    account.fake.revoke_application();
    account.fake.remove_identity();
    for way in WAYS {
        let got = account.read(&python, way);
        for (what, outcome) in got.as_object().expect("one outcome for each attempt") {
            let refused = outcome["refused"].as_str().unwrap_or_default();
            assert!(
                matches!(
                    refused,
                    "ClientAuthenticationError" | "CredentialUnavailableError"
                ),
                "{way}: {what}: {outcome}"
            );
        }
    }
}

#[test]
fn the_official_clients_send_no_token_to_a_vault_that_asks_for_another_service() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    account.fake.ask_for("https://management.azure.com");
    let got = account.read(&python, "secret");
    let message = got["current"]["message"].as_str().unwrap_or_default();
    assert!(message.contains("does not match the requested domain"), "{got}");
}
