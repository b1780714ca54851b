//! A place where one tool does a job: a server, secrets and templates in its language.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use locket_testkit::Server;
use locket_testkit::fakes::connect::{Connect, Item};
use tempfile::TempDir;

use super::tools::{Speaks, Tool};
use crate::process::{command, time};
use crate::server;

const SECRETS: usize = 500;

/// How much there is to render.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) templates: usize,
    /// In each template.
    pub(crate) references: usize,
}

impl Size {
    pub(crate) const NOTHING: Self = Self {
        templates: 0,
        references: 0,
    };
    pub(crate) const ONE: Self = Self {
        templates: 1,
        references: 1,
    };
    pub(crate) const MANY: Self = Self {
        templates: 1_000,
        references: 5,
    };
}

/// The place.
pub(crate) struct Scene {
    server: Option<Server>,
    directory: TempDir,
    token: String,
    size: Size,
}

impl Scene {
    pub(crate) fn new(tool: &Tool, delay: Duration, size: Size) -> Self {
        let (server, token) = match tool.speaks {
            Speaks::LocketToBao | Speaks::BaoAgent => (Some(server::start(delay)), "t".to_owned()),
            Speaks::LocketToConnect | Speaks::OtherToConnect => connect(delay),
            Speaks::LocketToStore | Speaks::Sops => (None, String::new()),
        };
        let scene = Self {
            server,
            directory: TempDir::new_in("/dev/shm").expect("there is a /dev/shm"),
            token,
            size,
        };
        fs::create_dir(scene.path("in")).expect("a directory");
        fs::create_dir(scene.path("out")).expect("a directory");
        scene.write("token", &scene.token);
        for template in 0..size.templates {
            let text: String = (0..size.references)
                .map(|index| {
                    let secret = secret(template, index);
                    format!("key{index} = {}\n", tool.tag(secret))
                })
                .collect();
            scene.write(&format!("in/{template}"), text);
        }
        match tool.speaks {
            Speaks::BaoAgent => scene.write_agent_files(),
            Speaks::LocketToStore => scene.make_store(&tool.binary),
            Speaks::Sops => scene.encrypt(&tool.binary),
            _ => {}
        }
        scene
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).expect("a file");
    }

    pub(crate) fn url(&self) -> String {
        self.server.as_ref().expect("these secrets are in a server").url()
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    pub(crate) fn requests(&self) -> usize {
        self.server.as_ref().map_or(0, Server::request_count)
    }

    /// The configuration of `bao agent` that runs a program with the variable `A`.
    pub(crate) fn agent_for_program(&self, tag: &str, program: &[&str]) -> String {
        format!(
            "{}exec {{\n  command = {program:?}\n  restart_on_secret_changes = \"always\"\n}}\nenv_template \"A\" {{\n  \
             contents = {tag:?}\n}}\n",
            self.agent(false)
        )
    }

    /// Waits until there are as many outputs as templates.
    pub(crate) fn await_outputs(&self) {
        let names = || fs::read_dir(self.path("out")).expect("a directory").flatten();
        let outputs = || names().filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'));
        let until = Instant::now() + Duration::from_secs(120);
        while outputs().count() < self.size.templates {
            assert!(
                Instant::now() < until,
                "there are {} outputs only",
                outputs().count()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Every output holds its values: what does less is not faster.
    pub(crate) fn check(&self, tool: &Tool) {
        for template in 0..self.size.templates {
            let text =
                fs::read_to_string(self.path(&format!("out/{template}"))).expect("the output is there");
            let expected: String = (0..self.size.references)
                .map(|index| format!("key{index} = value-of-s{}\n", secret(template, index)))
                .collect();
            assert_eq!(text, expected, "{}: template {template}", tool.name);
        }
    }

    fn agent(&self, ends: bool) -> String {
        format!(
            "exit_after_auth = {ends}\nvault {{\n  address = \"{}\"\n}}\nauto_auth {{\n  method {{\n    type = \
             \"token_file\"\n    config = {{\n      token_file_path = \"token\"\n    }}\n  }}\n}}\n",
            self.url()
        )
    }

    /// The configuration that renders once and ends, and the one that stays.
    fn write_agent_files(&self) {
        let templates: String = (0..self.size.templates)
            .map(|template| {
                format!("template {{\n  source = \"in/{template}\"\n  destination = \"out/{template}\"\n}}\n")
            })
            .collect();
        self.write("once.hcl", self.agent(true) + &templates);
        self.write("stay.hcl", self.agent(false) + &templates);
    }

    fn make_store(&self, locket: &Path) {
        let mut init = command(locket);
        init.args(["store", "init", "--file", "secrets.store"]);
        init.args(["--identity-file", "identity"])
            .current_dir(self.directory());
        time(&mut init);
        let mut set = command(locket);
        set.args(["store", "set", "s0", "--file", "secrets.store"]);
        set.args(["--identity-file", "identity"])
            .current_dir(self.directory());
        fed(&mut set, b"value-of-s0");
    }

    fn encrypt(&self, sops: &Path) {
        let mut generate = command("age-keygen".as_ref());
        time(
            generate
                .args(["--output", "identity"])
                .current_dir(self.directory()),
        );
        let identity = fs::read_to_string(self.path("identity")).expect("age-keygen writes it");
        let recipient = identity
            .lines()
            .find_map(|line| line.strip_prefix("# public key: "))
            .expect("the recipient stands above the identity");
        self.write("plain.env", "A=value-of-s0\n");
        let mut encrypt = command(sops);
        encrypt.args([
            "encrypt",
            "--age",
            recipient,
            "--output",
            "secrets.env",
            "plain.env",
        ]);
        time(encrypt.current_dir(self.directory()));
    }
}

fn secret(template: usize, index: usize) -> usize {
    (template * Size::MANY.references + index) % SECRETS
}

/// Runs a command that reads this.
fn fed(command: &mut Command, input: &[u8]) {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("the command starts");
    let mut pipe = child.stdin.take().expect("a pipe");
    pipe.write_all(input).expect("it reads");
    drop(pipe);
    assert!(child.wait().expect("it ends").success(), "{command:?}");
}

/// A Connect server with as many items as there are secrets.
fn connect(delay: Duration) -> (Option<Server>, String) {
    let account = Connect::new();
    let vault = account.add_vault("bench");
    for secret in 0..SECRETS {
        account.add_item(
            &vault,
            Item::login(&format!("s{secret}"), &format!("value-of-s{secret}")),
        );
    }
    let token = account.token(&[&vault]);
    let server = Server::start_async(move |request| {
        let account = account.clone();
        async move {
            if !delay.is_zero() {
                tokio::time::sleep(delay).await;
            }
            account.answer(&request)
        }
    });
    (Some(server), token)
}
