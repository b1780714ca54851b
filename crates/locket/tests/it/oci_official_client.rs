//! Oracle's own client reads the fake tenancy that the provider is tested against, and is refused by it. It is half a
//! gigabyte: `cargo xtask test --contract` installs it and runs this.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use locket_testkit::fakes::oci::{Oci, Session};
use locket_testkit::{Server, services};
use serde_json::{Value, json};

const CONTENT: &[u8] = b"\0\xff\x80 not text \r\n\n";
const WAYS: &[&str] = &["api-key", "session", "resource", "instance"];

struct Account {
    fake: Oci,
    server: Server,
    vault: String,
    secret: String,
    directory: tempfile::TempDir,
}

impl Account {
    fn new() -> Self {
        let fake = Oci::new();
        let vault = fake.add_vault();
        let secret = fake.add_secret(&vault, "binary", b"first");
        fake.rotate_named(&secret, b"second", "blue");
        fake.rotate(&secret, CONTENT);
        let answering = fake.clone();
        let server = Server::start(move |request| answering.answer(&request));
        let account = Self {
            fake,
            server,
            vault,
            secret,
            directory: tempfile::tempdir().unwrap(),
        };
        account.issue();
        account
    }

    /// Writes what each of the ways needs.
    fn issue(&self) {
        let key = self.fake.api_key();
        let Session { token, pem } = self.fake.session(Duration::from_secs(3600));
        self.write("api.pem", &key.pem);
        self.write("key.pem", &pem);
        self.write("token", &token);
        let at = |name: &str| self.directory.path().join(name).display().to_string();
        let common = format!(
            "tenancy={}\nuser={}\nfingerprint={}\nregion=us-ashburn-1\n",
            key.tenancy, key.user, key.fingerprint
        );
        self.write(
            "api-key.ini",
            &format!("[TEST]\n{common}key_file={}\n", at("api.pem")),
        );
        self.write(
            "session.ini",
            &format!(
                "[TEST]\n{common}key_file={}\nsecurity_token_file={}\n",
                at("key.pem"),
                at("token")
            ),
        );
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.directory.path().join(name), text).unwrap();
    }

    /// What the official client got.
    fn read(&self, python: &Path, way: &str) -> Value {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/oci_official_client.py");
        let at = |name: &str| self.directory.path().join(name);
        let output = Command::new(python)
            .arg(script)
            .args([&self.server.url(), &self.secret, &self.vault, "binary"])
            .env_clear()
            .env("HOME", self.directory.path())
            .env("WAY", way)
            .env("CONFIG", at(&format!("{way}.ini")))
            .env("OCI_METADATA_BASE_URL", format!("{}/opc/v2", self.server.url()))
            .env("OCI_RESOURCE_PRINCIPAL_VERSION", "2.2")
            .env("OCI_RESOURCE_PRINCIPAL_RPST", at("token"))
            .env("OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM", at("key.pem"))
            .env("OCI_RESOURCE_PRINCIPAL_REGION", "us-ashburn-1")
            .output()
            .expect("python can be started");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{way}: {}: {told}", output.status);
        serde_json::from_slice(&output.stdout).expect("the script prints JSON")
    }
}

fn bundle(account: &Account, number: u64, name: Option<&str>, stages: &[&str], content: &[u8]) -> Value {
    json!({"ok": {
        "id": account.secret,
        "content": data_encoding::HEXLOWER.encode(content),
        "type": "BASE64",
        "number": number,
        "name": name,
        "stages": stages,
        "made": "2024-05-02T18:33:00.123000+00:00",
    }})
}

#[test]
fn the_official_client_reads_the_fake_tenancy_in_every_way() {
    let Some(python) = services::contract_python("oci") else {
        return;
    };
    let account = Account::new();
    for way in WAYS {
        let got = account.read(&python, way);
        let current = bundle(&account, 3, None, &["CURRENT", "LATEST"], CONTENT);
        let second = bundle(&account, 2, Some("blue"), &["PREVIOUS"], b"second");
        assert_eq!(got["current"], current, "{way}: {got}");
        assert_eq!(got["by name"], current, "{way}");
        assert_eq!(got["previous"], second, "{way}");
        assert_eq!(got["blue"], second, "{way}");
        assert_eq!(
            got["first"],
            bundle(&account, 1, None, &["DEPRECATED"], b"first"),
            "{way}"
        );
        let missing = json!({"status": 404, "code": "NotAuthorizedOrNotFound"});
        for what in ["missing version", "missing", "missing name"] {
            assert_eq!(got[what], missing, "{way}: {what}");
        }
    }
}

#[test]
fn the_official_client_is_refused_with_wrong_credentials() {
    let Some(python) = services::contract_python("oci") else {
        return;
    };
    let account = Account::new();
    account.fake.revoke_api_keys();
    account.fake.end_tokens();
    account.fake.distrust_instance();
    let refused = json!({"status": 401, "code": "NotAuthenticated"});
    for way in WAYS {
        let got = account.read(&python, way);
        for (what, outcome) in got.as_object().expect("one outcome for each attempt") {
            assert_eq!(*outcome, refused, "{way}: {what}");
        }
    }
    // A token with the key of another.
    let account = Account::new();
    let stranger = account.fake.session(Duration::from_secs(3600));
    account.write("key.pem", &stranger.pem);
    assert_eq!(account.read(&python, "session")["current"], refused);
    assert_eq!(
        account.read(&python, "api-key")["missing"]["status"],
        404,
        "the control"
    );
}
