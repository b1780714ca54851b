//! 1Password's own client reads the fake server that the provider is tested against, and is refused by it.

use std::path::Path;
use std::process::Command;

use data_encoding::BASE64;
use locket_testkit::fakes::connect::{Category, Connect, Field, FieldType, File, Item};
use locket_testkit::{Server, services};
use serde_json::{Value, json};

const SEED: &str = "otpauth://totp/Example:steve?secret=JBSWY3DPEHPK3PXP&issuer=Example";
const CONTENT: &[u8] = b"\0\xff\x80 not text \r\n\n";

struct Account {
    fake: Connect,
    server: Server,
    vault: String,
    item: String,
}

impl Account {
    fn new() -> Self {
        let fake = Connect::new();
        let vault = fake.add_vault("Mordin");
        let item = fake.add_item(
            &vault,
            Item::login("SecretPassword", "pass \"word\" \\ ä\n")
                .tag("production")
                .section("s1", "Test Section")
                .section("add more", "")
                .field(Field::concealed("text", "in the section").id("f1").section("s1"))
                .field(
                    Field::concealed("empty", "")
                        .id("f2")
                        .section("add more")
                        .without_value(),
                )
                .field(Field::otp("one-time password", SEED, "123456").id("f3"))
                .field(Field::new(FieldType::SshKey, "private key", "-----BEGIN PRIVATE KEY-----").id("f4"))
                .file(File::new("binary.bin", CONTENT))
                .file(File::new("section.txt", b"text").section("s1")),
        );
        fake.add_item(&vault, Item::new(Category::SecureNote, "note"));
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        Self {
            fake,
            server,
            vault,
            item,
        }
    }

    /// What the official client got with `token`.
    fn read(&self, python: &Path, token: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/connect_official_client.py");
        let output = Command::new(python)
            .arg(script)
            .args([
                &self.server.url(),
                "Mordin",
                "SecretPassword",
                &self.vault,
                &self.item,
            ])
            .env_clear()
            .env("OP_CONNECT_TOKEN", token)
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

fn field(id: &str, label: &str, kind: &str, value: Option<&str>, section: Option<&str>) -> Value {
    json!({"id": id, "label": label, "type": kind, "purpose": null, "section": section, "value": value, "totp": null})
}

#[test]
fn the_official_client_reads_the_fake_connect_server() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    let got = account.read(&python, &account.fake.token(&[&account.vault]));
    let (vault, item) = (&account.vault, &account.item);

    assert_eq!(got["vaults"], json!({"ok": {vault: "Mordin"}}));
    assert_eq!(got["vault by id"], json!({"ok": "Mordin"}));
    assert_eq!(got["vault by name"], json!({"ok": vault}));
    assert_eq!(got["items"], json!({"ok": ["SecretPassword", "note"]}));
    assert_eq!(got["items by filter"], json!({"ok": [item]}));

    let mut code = field("f3", "one-time password", "OTP", Some(SEED), None);
    code["totp"] = json!("123456");
    let mut username = field("username", "username", "STRING", Some("someone"), None);
    username["purpose"] = json!("USERNAME");
    let mut password = field(
        "password",
        "password",
        "CONCEALED",
        Some("pass \"word\" \\ ä\n"),
        None,
    );
    password["purpose"] = json!("PASSWORD");
    let expected = json!({"ok": {
        "id": item,
        "title": "SecretPassword",
        "category": "LOGIN",
        "version": 1,
        "vault": vault,
        "sections": {"s1": "Test Section", "add more": null},
        "fields": [
            username,
            password,
            field("f1", "text", "CONCEALED", Some("in the section"), Some("s1")),
            field("f2", "empty", "CONCEALED", None, Some("add more")),
            code,
            field("f4", "private key", "SSHKEY", Some("-----BEGIN PRIVATE KEY-----"), None),
        ],
    }});
    assert_eq!(got["item by title"], expected);
    assert_eq!(got["item by id"], expected);
    assert_eq!(
        got["files"],
        json!({"ok": {
            "binary.bin": {"size": CONTENT.len(), "content": BASE64.encode(CONTENT), "same": true, "alone": "binary.bin"},
            "section.txt": {"size": 4, "content": BASE64.encode(b"text"), "same": true, "alone": "section.txt"},
        }})
    );
}

#[test]
fn the_official_client_is_told_what_it_may_not_have() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    let got = account.read(&python, &account.fake.token(&[&account.vault]));
    assert_refused(&got["missing item"], "Found 0 items");
    assert_refused(&got["missing id"], "Received 404");
    assert_refused(&got["malformed id"], "Received 400");
    // The client does not escape the title, which the server cannot read then.
    assert_refused(&got["quote"], "Received 400");
    assert_refused(&got["write"], "Received 403");
}

#[test]
fn the_official_client_is_refused_with_a_wrong_token() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    let expired = account.fake.token(&[&account.vault]);
    account.fake.expire_token(&expired);
    let foreign = Account::new().fake.token(&["x"]);
    for token in ["not-a-token", &expired, &foreign] {
        let got = account.read(&python, token);
        for (what, outcome) in got.as_object().expect("one outcome for each attempt") {
            assert!(
                outcome["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("Received 401")),
                "{what}: {outcome}"
            );
        }
    }
}

#[test]
fn the_official_client_sees_no_vault_out_of_its_tokens_scope() {
    let Some(python) = services::python() else {
        return;
    };
    let account = Account::new();
    let other = account.fake.add_vault("other");
    let got = account.read(&python, &account.fake.token(&[&other]));
    assert_eq!(got["vaults"], json!({"ok": {&other: "other"}}));
    assert_refused(&got["vault by name"], "Found 0 vaults");
    for what in ["vault by id", "items", "item by id", "files"] {
        assert_refused(&got[what], "Received 403");
    }
}

fn assert_refused(outcome: &Value, because: &str) {
    let message = outcome["message"]
        .as_str()
        .unwrap_or_else(|| panic!("not refused: {outcome}"));
    assert!(message.contains(because), "{message}");
}
