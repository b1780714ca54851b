//! The examples of the first document this project was asked for, with `--provider=op`, as the users that it names.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locket_testkit::Canary;
use locket_testkit::fakes::connect::{Category, Field, Item};
use locket_testkit::fakes::op_program::OpProgram;

/// The image's own user, and one that no passwd file knows.
const USERS: [u32; 2] = [65532, 4242];

/// An account as the examples assume it, and directories as their containers have them, all of one user.
struct Sidecar {
    program: OpProgram,
    token: String,
    basic_auth: Canary,
    directory: tempfile::TempDir,
    user: Option<u32>,
}

impl Sidecar {
    fn of(user: Option<u32>) -> Self {
        let program = OpProgram::new();
        let vaults = program.add_vault("vaults");
        program.add_item(&vaults, Item::login("db_pass", "p$ss \"word\" #1"));
        program.add_item(&vaults, Item::login("db_host", "db.internal"));
        let basic_auth = Canary::text("basic auth");
        let devops = program.add_vault("DevOps");
        let traefik = Item::new(Category::Login, "Traefik");
        program.add_item(
            &devops,
            traefik.field(Field::concealed("basic_auth_user", basic_auth.as_str())),
        );
        let token = program.token();
        let sidecar = Self {
            program,
            token,
            basic_auth,
            directory: tempfile::tempdir().unwrap(),
            user,
        };
        sidecar.open(sidecar.program.path().parent().unwrap());
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
    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        self.open(self.directory.path());
        fs::set_permissions(self.directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let mut command = Command::new(self.path("locket"));
        command
            .args(["run", "--mode=one-shot"])
            .args(arguments)
            .args([
                "--op.cli",
                self.program.path().to_str().unwrap(),
                "--state-dir=state",
            ])
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("TMPDIR", self.path("tmp"))
            .envs(environment.iter().copied())
            .current_dir(self.directory.path());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.output().unwrap()
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

/// Each user of the examples where this test may become one of them, else whoever runs it.
fn sidecars() -> Vec<Sidecar> {
    match rustix::process::geteuid().is_root() {
        true => USERS.map(|user| Sidecar::of(Some(user))).into(),
        false => vec![Sidecar::of(None)],
    }
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
        assert_eq!(sidecar.program.calls().len(), 2, "an item is read once");
        let left = fs::read_dir(sidecar.path("tmp")).unwrap().count();
        assert_eq!(left, 0, "the program's directory is gone");
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
    sidecar.program.token();
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
