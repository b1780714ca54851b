//! The real binary against the Connect server of the tests: what the documents this project was asked for show.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locket_testkit::fakes::connect::{Category, Connect, Field, FieldType, File, Item};
use locket_testkit::{Canary, Server};

/// RFC 8032's first key, in PKCS#8.
const KEY: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n-----END PRIVATE KEY-----\n";

/// An account as the examples assume it, its server, and a directory to work in.
struct Sidecar {
    server: Server,
    pass: Canary,
    token: String,
    directory: tempfile::TempDir,
}

impl Sidecar {
    fn new() -> Self {
        let fake = Connect::new();
        let pass = Canary::awkward("pass");
        let (vault, mordin) = (fake.add_vault("vault"), fake.add_vault("Mordin"));
        fake.add_item(
            &vault,
            Item::new(Category::Database, "db")
                .field(Field::concealed("pass", pass.as_str()))
                .field(Field::new(FieldType::String, "host", "db.internal")),
        );
        fake.add_item(
            &vault,
            Item::new(Category::SshKey, "keys").field(Field::new(FieldType::SshKey, "privatekey", KEY)),
        );
        fake.add_item(
            &mordin,
            Item::login("SecretPassword", "p")
                .section("s", "Test Section")
                .field(Field::concealed("text", "outside of the section"))
                .field(Field::concealed("text", "secret text").section("s"))
                .field(Field::new(FieldType::Date, "date", "1714672800").section("s"))
                .file(File::new("blob", b"\0\xff\r\n")),
        );
        let token = fake.token(&[&vault, &mordin]);
        let server = Server::start(move |request| fake.answer(&request));
        let directory = tempfile::tempdir().expect("a directory can be made");
        fs::write(directory.path().join("op_token"), format!("{token}\n")).expect("the token can be written");
        Self {
            server,
            pass,
            token,
            directory,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn out(&self, name: &str) -> Vec<u8> {
        let path = self.path("out").join(name);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    /// `locket` with an environment of its own.
    fn locket(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_locket"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.directory.path())
            .current_dir(self.directory.path());
        command
    }

    /// Runs it and wants success, with nothing secret in what it says.
    fn succeeds(&self, command: &mut Command) -> Output {
        let output = command.output().expect("locket can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {said}", output.status);
        self.says_nothing_secret(&output.stderr);
        output
    }

    fn says_nothing_secret(&self, said: &[u8]) {
        assert_eq!(self.pass.find(said), None);
        assert_eq!(Canary::of("token", self.token.as_bytes()).find(said), None);
    }

    fn requests_to(&self, end: &str) -> usize {
        let requests = self.server.requests();
        requests
            .iter()
            .filter(|request| request.path.ends_with(end))
            .count()
    }
}

#[test]
fn the_sidecar_of_seed_001_with_flags() {
    let sidecar = Sidecar::new();
    let templates = sidecar.path("templates");
    fs::create_dir(&templates).expect("a directory can be made");
    fs::write(
        templates.join("app.conf"),
        "password = {{ op://vault/db/pass }}\nhost = {{ op://vault/db/host }}\n",
    )
    .expect("a template can be written");
    let map = format!("--map={}:{}", templates.display(), sidecar.path("out").display());
    let mut run = sidecar.locket(&[
        "run",
        "--mode=one-shot",
        "--provider=op-connect",
        "--op.token-file=op_token",
        &map,
        "--secret=db_pass={{ op://vault/db/pass }}",
        "--secret=db_host={{ op://vault/db/host }}",
        "--secret=key={{ op://vault/keys/privatekey?ssh-format=openssh }}",
    ]);
    sidecar.succeeds(run.env("OP_CONNECT_HOST", sidecar.server.url()));

    assert_eq!(sidecar.out("db_pass"), sidecar.pass.bytes());
    assert_eq!(sidecar.out("db_host"), b"db.internal");
    let conf = format!("password = {}\nhost = db.internal\n", sidecar.pass.as_str());
    assert_eq!(sidecar.out("app.conf"), conf.as_bytes());
    assert!(
        sidecar
            .out("key")
            .starts_with(b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    );
    assert_eq!(sidecar.requests_to("/v1/vaults"), 1, "one look-up of the vault");
    assert_eq!(
        sidecar.server.request_count(),
        1 + 2 + 2,
        "beside it a look-up and a read for each item"
    );
}

#[test]
fn the_sidecar_with_its_environment_forms() {
    let sidecar = Sidecar::new();
    let mut run = sidecar.locket(&["run"]);
    run.env("LOCKET_MODE", "one-shot")
        .env("SECRETS_PROVIDER", "op-connect")
        .env("OP_CONNECT_HOST", sidecar.server.url())
        .env("OP_CONNECT_TOKEN_FILE", sidecar.path("op_token"))
        .env("DEFAULT_SECRET_DIR", sidecar.path("out"))
        .env(
            "SECRET_VALUES",
            "secret1={{ op://Mordin/SecretPassword/Test Section/text }};\
             secret2={{ op://Mordin/SecretPassword/Test Section/date }};\
             blob={{ op://Mordin/SecretPassword/blob }}",
        );
    sidecar.succeeds(&mut run);
    assert_eq!(sidecar.out("secret1"), b"secret text");
    assert_eq!(sidecar.out("secret2"), b"1714672800");
    assert_eq!(sidecar.out("blob"), b"\0\xff\r\n");
}

#[test]
fn one_reference_is_printed_byte_for_byte() {
    let sidecar = Sidecar::new();
    let mut get = sidecar.locket(&["get", "op://vault/db/pass"]);
    get.env("OP_CONNECT_HOST", sidecar.server.url())
        .env("OP_CONNECT_TOKEN", &sidecar.token);
    assert_eq!(sidecar.succeeds(&mut get).stdout, sidecar.pass.bytes());
}

#[test]
fn a_one_time_password_is_computed_here_and_is_not_the_servers() {
    let fake = Connect::new();
    let vault = fake.add_vault("vault");
    fake.add_item(
        &vault,
        Item::login("web", "p").field(Field::otp(
            "code",
            "otpauth://totp/x?secret=JBSWY3DPEHPK3PXP",
            "no code",
        )),
    );
    let token = fake.token(&[&vault]);
    let server = Server::start(move |request| fake.answer(&request));
    let output = Command::new(env!("CARGO_BIN_EXE_locket"))
        .args(["get", "op://vault/web/code?attribute=otp"])
        .env_clear()
        .env("OP_CONNECT_HOST", server.url())
        .env("OP_CONNECT_TOKEN", token)
        .output()
        .expect("locket can be started");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(
        printed.len() == 6 && printed.bytes().all(|byte| byte.is_ascii_digit()),
        "{printed:?} {output:?}"
    );
}

#[test]
fn a_missing_address_is_a_configuration_error_that_says_so() {
    let sidecar = Sidecar::new();
    let output = sidecar
        .locket(&[
            "get",
            "--provider=op-connect",
            "--op.token-file=op_token",
            "op://vault/db/pass",
        ])
        .output()
        .expect("locket can be started");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(
        said.contains("OP_CONNECT_HOST") && said.contains("connect.host"),
        "{said}"
    );
}

#[test]
fn what_cannot_be_read_is_named_and_nothing_is_written_in_its_place() {
    let sidecar = Sidecar::new();
    for (reference, told) in [
        ("op://vault/db/pas", "Did you mean `pass`?"),
        ("op://vault/bd/pass", "Did you mean `db`?"),
        ("op://vautl/db/pass", "Did you mean `vault`?"),
    ] {
        let secret = format!("--secret=bad={{{{ {reference} }}}}");
        let out = format!("--out={}", sidecar.path("out").display());
        let mut run = sidecar.locket(&[
            "run",
            "--mode=one-shot",
            &out,
            &secret,
            "--secret=good={{ op://vault/db/host }}",
        ]);
        let output = run
            .env("OP_CONNECT_HOST", sidecar.server.url())
            .env("OP_CONNECT_TOKEN", &sidecar.token)
            .output()
            .expect("locket can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(4), "{said}");
        assert!(said.contains(reference) && said.contains(told), "{said}");
        assert!(!Path::new(&sidecar.path("out").join("bad")).exists());
        assert_eq!(sidecar.out("good"), b"db.internal");
        sidecar.says_nothing_secret(&output.stderr);
    }
}
