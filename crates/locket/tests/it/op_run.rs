//! The examples of the first document this project was asked for, with `--provider=op`, as the users that it names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locket_sys::landlock;
use locket_testkit::fakes::connect::{Category, Field, Item};
use locket_testkit::fakes::onepassword::OnePassword;
use locket_testkit::fakes::op_program::OpProgram;
use locket_testkit::{Canary, Server, TestCa, services};

use crate::support::{Agent, eventually};

/// The image's own user, and one that no passwd file knows.
const USERS: [u32; 2] = [65532, 4242];

/// 1Password's side of the examples, and which way to it is there.
enum Account {
    Program(OpProgram),
    /// The core beside locket.
    Core(Box<Service>),
}

/// What the core speaks to.
struct Service {
    fake: OnePassword,
    /// The vault `vaults`, and the item `db_host` in it.
    vault: String,
    host: String,
    server: Server,
    ca: TestCa,
}

/// An account as the examples assume it, and directories as their containers have them, all of one user.
struct Sidecar {
    account: Account,
    token: String,
    basic_auth: Canary,
    directory: tempfile::TempDir,
    user: Option<u32>,
}

impl Sidecar {
    /// By the `op` program.
    fn of(user: Option<u32>) -> Self {
        let program = OpProgram::new();
        let basic_auth = Canary::text("basic auth");
        let vaults = program.add_vault("vaults");
        let devops = program.add_vault("DevOps");
        let [password, host, traefik] = items(&basic_auth);
        program.add_item(&vaults, password);
        program.add_item(&vaults, host);
        program.add_item(&devops, traefik);
        let token = program.token();
        let sidecar = Self::with(Account::Program(program), token, basic_auth, user);
        sidecar.open(sidecar.program().path().parent().unwrap());
        sidecar
    }

    /// By the core at `core`, which is put beside locket.
    fn with_core(core: &Path, user: Option<u32>) -> Self {
        let fake = OnePassword::new();
        let basic_auth = Canary::text("basic auth");
        let (vault, devops) = (fake.add_vault("vaults"), fake.add_vault("DevOps"));
        let [password, host, traefik] = items(&basic_auth);
        fake.add_item(&vault, password);
        let host = fake.add_item(&vault, host);
        fake.add_item(&devops, traefik);
        let who = fake.account(&[&vault, &devops]);
        let (answering, ca) = (fake.clone(), TestCa::new());
        let server = Server::builder()
            .tls(&ca)
            .start(move |request| answering.answer(&request));
        let token = who.token(&server.address().to_string());
        let service = Service {
            fake,
            vault,
            host,
            server,
            ca,
        };
        let sidecar = Self::with(Account::Core(service.into()), token, basic_auth, user);
        fs::copy(core, sidecar.path("op-core.cwasm")).unwrap();
        sidecar
    }

    fn with(account: Account, token: String, basic_auth: Canary, user: Option<u32>) -> Self {
        let sidecar = Self {
            account,
            token,
            basic_auth,
            directory: tempfile::tempdir().unwrap(),
            user,
        };
        for name in ["config/templates", "run/secrets", "tmp"] {
            fs::create_dir_all(sidecar.path(name)).unwrap();
        }
        fs::write(
            sidecar.path("run/secrets/op_token"),
            format!("{}\n", sidecar.token),
        )
        .unwrap();
        fs::copy(env!("CARGO_BIN_EXE_locket"), sidecar.path("locket")).unwrap();
        sidecar
    }

    fn program(&self) -> &OpProgram {
        match &self.account {
            Account::Program(program) => program,
            Account::Core(_) => panic!("there is no program"),
        }
    }

    fn service(&self) -> &Service {
        match &self.account {
            Account::Core(service) => service,
            Account::Program(_) => panic!("there is no core"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Gives a directory with all that is in it to the user.
    fn open(&self, directory: &Path) {
        let Some(user) = self.user else { return };
        chown(directory, Some(user), Some(user)).unwrap();
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            match entry.file_type().unwrap() {
                kind if kind.is_dir() => self.open(&entry.path()),
                kind if kind.is_file() => chown(entry.path(), Some(user), Some(user)).unwrap(),
                _ => {}
            }
        }
    }

    /// `locket run` in a container's stead: its own user, no capability, nothing of the caller's environment.
    fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        self.open(self.directory.path());
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = Command::new(self.path("locket"));
        command.arg("run").args(arguments).arg("--state-dir=state");
        match &self.account {
            Account::Program(program) => command.arg("--op.cli").arg(program.path()),
            Account::Core(service) => {
                let copy = self.path("ca.pem");
                fs::write(&copy, service.ca.pem()).unwrap();
                fs::set_permissions(&copy, fs::Permissions::from_mode(0o444)).unwrap();
                // Each login computes with large numbers, which takes long where much else is going on.
                command.args(["--op.timeout", "60s", "--op.ca-file"]).arg(copy)
            }
        };
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", self.path("tmp"))
            .envs(environment.iter().copied())
            .current_dir(self.directory.path());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let arguments = [&["--mode=one-shot"], arguments].concat();
        self.command(&arguments, environment).output().unwrap()
    }

    fn succeeds(&self, arguments: &[&str], environment: &[(&str, &str)]) {
        let output = self.run(arguments, environment);
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{:?}: {log}", self.user);
        assert_eq!(
            Canary::of("token", self.token.as_str()).find(&output.stderr),
            None
        );
        assert_eq!(self.basic_auth.find(&output.stderr), None);
    }

    fn is(&self, name: &str, text: &str) {
        let path = self.path(name);
        let found = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(found, text);
    }
}

/// `db_pass` and `db_host` of the vault `vaults`, and `Traefik` of `DevOps`.
fn items(basic_auth: &Canary) -> [Item; 3] {
    let traefik = Item::new(Category::Login, "Traefik");
    [
        Item::login("db_pass", "p$ss \"word\" #1"),
        Item::login("db_host", "db.internal"),
        traefik.field(Field::concealed("basic_auth_user", basic_auth.as_str())),
    ]
}

/// Each user of the examples where this test may become one of them, else whoever runs it.
fn users() -> Vec<Option<u32>> {
    match rustix::process::geteuid().is_root() {
        true => USERS.map(Some).into(),
        false => vec![None],
    }
}

/// The example for each of its users, by the `op` program.
fn sidecars() -> Vec<Sidecar> {
    users().into_iter().map(Sidecar::of).collect()
}

/// The same by 1Password's own core, where that is installed.
fn sidecars_with_core() -> Vec<Sidecar> {
    let Some(core) = services::find("op-core/op-core.cwasm") else {
        return Vec::new();
    };
    users()
        .into_iter()
        .map(|user| Sidecar::with_core(&core, user))
        .collect()
}

#[test]
fn the_quick_start_of_seed_000_as_its_users() {
    for sidecar in sidecars() {
        fs::write(
            sidecar.path("config/templates/app.conf"),
            "host={{ op://vaults/db_host }}\n",
        )
        .unwrap();
        sidecar.succeeds(
            &[
                "--provider=op",
                "--token-file=run/secrets/op_token",
                "--map=config/templates:run/secrets/out",
                "--secret=db_pass={{op://vaults/db_pass}}",
                "--secret=db_host={{op://vaults/db_host}}",
            ],
            &[],
        );
        sidecar.is("run/secrets/out/db_pass", "p$ss \"word\" #1");
        sidecar.is("run/secrets/out/db_host", "db.internal");
        sidecar.is("run/secrets/out/app.conf", "host=db.internal\n");
        assert_eq!(sidecar.program().calls().len(), 2, "an item is read once");
        let left = fs::read_dir(sidecar.path("tmp")).unwrap().count();
        assert_eq!(left, 0, "the program's directory is gone");
    }
}

#[test]
fn the_quick_start_of_seed_000_by_the_core_beside_locket_as_its_users() {
    for sidecar in sidecars_with_core() {
        fs::write(
            sidecar.path("config/templates/app.conf"),
            "host={{ op://vaults/db_host }}\n",
        )
        .unwrap();
        sidecar.succeeds(
            &[
                "--provider=op",
                "--token-file=run/secrets/op_token",
                "--map=config/templates:run/secrets/out",
                "--secret=db_pass={{op://vaults/db_pass}}",
                "--secret=db_host={{op://vaults/db_host}}",
                "--secret=auth={{ op://DevOps/Traefik/basic_auth_user }}",
            ],
            &[],
        );
        sidecar.is("run/secrets/out/db_pass", "p$ss \"word\" #1");
        sidecar.is("run/secrets/out/db_host", "db.internal");
        sidecar.is("run/secrets/out/app.conf", "host=db.internal\n");
        sidecar.is("run/secrets/out/auth", sidecar.basic_auth.as_str());
        let service = sidecar.service();
        // The login, the keys and the vaults; the titles of two vaults and the items of each.
        assert_eq!(service.server.request_count(), 10);
        let left = fs::read_dir(sidecar.path("tmp")).unwrap().count();
        assert_eq!(left, 0, "the core makes no files");
    }
}

#[test]
fn an_agent_that_confined_itself_reads_by_the_core_again_without_another_login() {
    for sidecar in sidecars_with_core() {
        let Service {
            fake,
            vault,
            host,
            server,
            ..
        } = sidecar.service();
        let agent = Agent::start(&mut sidecar.command(
            &[
                "--mode=park",
                "--log-level=debug",
                "--provider=op",
                "--token-file=run/secrets/op_token",
                "--out=run/secrets/out",
                "--secret=db_host={{op://vaults/db_host}}",
            ],
            &[],
        ));
        let reads = |text: &str| {
            let path = sidecar.path("run/secrets/out/db_host");
            eventually(&format!("it is {text:?}; the log says {}", agent.log()), || {
                fs::read_to_string(&path).is_ok_and(|found| found == text)
            });
        };
        reads("db.internal");
        server.forget();
        fake.change_item(vault, host, |item| item.set("password", "db2.internal"));
        agent.signal("HUP");
        reads("db2.internal");
        let asked: Vec<_> = server
            .requests()
            .into_iter()
            .map(|request| request.path)
            .collect();
        assert_eq!(asked, [format!("/api/v3/vault/{vault}/items/batch")]);
        let (status, log) = agent.stop();
        assert!(status.success(), "{log}");
        if landlock::version().is_ok() {
            assert!(log.contains("the agent is confined"), "{log}");
        }
    }
}

#[test]
fn the_quick_start_of_seed_000_by_the_environment() {
    for sidecar in sidecars() {
        fs::write(sidecar.path("config/templates/t"), "x").unwrap();
        sidecar.succeeds(
            &[],
            &[
                ("SECRETS_PROVIDER", "op"),
                ("OP_SERVICE_ACCOUNT_TOKEN_FILE", "run/secrets/op_token"),
                ("SECRET_MAP", "config/templates:run/secrets/out"),
                (
                    "SECRET_VALUES",
                    "db_pass={{op://vaults/db_pass}};db_host={{op://vaults/db_host}}",
                ),
            ],
        );
        sidecar.is("run/secrets/out/db_pass", "p$ss \"word\" #1");
        sidecar.is("run/secrets/out/db_host", "db.internal");
    }
}

#[test]
fn the_traefik_example_of_seed_000_finds_its_provider_by_the_token() {
    const TRAEFIK: &str = "http:\n  middlewares:\n    auth:\n      basicAuth:\n        users:\n          - \"{{ op://DevOps/Traefik/basic_auth_user }}\"\n";
    for sidecar in sidecars() {
        fs::write(sidecar.path("config/templates/dynamic_conf.yaml"), TRAEFIK).unwrap();
        sidecar.succeeds(
            &["--map=config/templates:run/secrets/out"],
            &[("OP_SERVICE_ACCOUNT_TOKEN_FILE", "run/secrets/op_token")],
        );
        let expected = TRAEFIK.replace(
            "{{ op://DevOps/Traefik/basic_auth_user }}",
            sidecar.basic_auth.as_str(),
        );
        sidecar.is("run/secrets/out/dynamic_conf.yaml", &expected);
    }
}

#[test]
fn a_token_that_is_not_accepted_ends_with_code_4_and_says_what_to_do() {
    let sidecar = Sidecar::of(None);
    sidecar.program().token();
    let output = sidecar.run(
        &[
            "--provider=op",
            "--token-file=run/secrets/op_token",
            "--out=out",
            "--secret=x={{ op://vaults/db_pass }}",
        ],
        &[],
    );
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{log}");
    assert!(
        log.contains("does not accept the token of the service account"),
        "{log}"
    );
    assert!(log.contains("Make a new token"), "{log}");
    assert!(!sidecar.path("out/x").exists());
}
