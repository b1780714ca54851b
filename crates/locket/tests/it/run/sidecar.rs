//! The sidecar examples of the documents this project implements, as they are written there. What differs is what
//! `docs/seeds.md` lists: a Connect host, and paths below a scratch directory.

use std::fs;
use std::process::Command;

use locket_testkit::fakes::connect::{Category, Connect, Field, FieldType, Item};
use locket_testkit::{Request, Server};

use crate::support::{Agent, Scene, run};

/// A Connect server with the vaults that the examples name, and a scratch root.
struct Sidecar {
    scene: Scene,
    server: Server,
    connect: Connect,
    pass_item: String,
}

impl Sidecar {
    fn new() -> Self {
        let scene = Scene::new();
        run(Command::new("ssh-keygen")
            .args(["-q", "-t", "rsa", "-b", "2048", "-m", "PKCS8", "-N", "", "-f"])
            .arg(scene.path("id")));
        let connect = Connect::new();
        let vault = connect.add_vault("vault");
        let database = Item::new(Category::Database, "db")
            .field(Field::concealed("pass", "p$ss #1"))
            .field(Field::new(FieldType::String, "host", "db.internal"));
        let pass_item = connect.add_item(&vault, database);
        let pem = fs::read_to_string(scene.path("id")).unwrap();
        let keys =
            Item::new(Category::SshKey, "keys").field(Field::new(FieldType::SshKey, "privatekey", &pem));
        connect.add_item(&vault, keys);
        let vaults = connect.add_vault("vaults");
        connect.add_item(&vaults, Item::login("db_pass", "whole-item"));
        connect.add_item(&vaults, Item::login("db_host", "host-of-item"));
        let devops = connect.add_vault("DevOps");
        let traefik = Item::new(Category::Login, "Traefik")
            .field(Field::concealed("basic_auth_user", "admin:$2y$05$abc"));
        connect.add_item(&devops, traefik);
        let token = connect.token(&[&vault, &vaults, &devops]);
        scene.write("run/secrets/op_token", format!("{token}\n"));
        let answering = connect.clone();
        let server = Server::start(move |request: Request| answering.answer(&request));
        Self {
            scene,
            server,
            connect,
            pass_item,
        }
    }

    fn command(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
        let mut command = self
            .scene
            .locket(["run", "--mode=one-shot"].iter().chain(arguments));
        command
            .env("OP_CONNECT_HOST", self.server.url())
            .envs(environment.iter().copied());
        command
    }

    fn succeeds(&self, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let output = self.command(arguments, environment).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{log}");
        log
    }
}

const TRAEFIK: &str = r#"http:
  middlewares:
    auth:
      basicAuth:
        users:
          - "{{ op://DevOps/Traefik/basic_auth_user }}"

  routers:
    dashboard:
      rule: "Host(`traefik.localhost`)"
      service: "api@internal"
      middlewares: ["auth"]
"#;

#[test]
fn the_sidecar_by_flags() {
    let sidecar = Sidecar::new();
    sidecar.scene.write("templates/dynamic_conf.yaml", TRAEFIK);
    let log = sidecar.succeeds(
        &[
            "--provider=op-connect",
            "--op.token-file=run/secrets/op_token",
            "--map=templates:run/secrets/locket",
            "--secret=db_pass={{ op://vault/db/pass }}",
            "--secret=db_host={{ op://vault/db/host }}",
            "--secret=key={{ op://vault/keys/privatekey?ssh-format=openssh }}",
        ],
        &[],
    );
    let read = |name: &str| sidecar.scene.read(&format!("run/secrets/locket/{name}"));
    assert_eq!(read("db_pass").as_deref(), Some("p$ss #1"));
    assert_eq!(read("db_host").as_deref(), Some("db.internal"));
    let rendered = TRAEFIK.replace("{{ op://DevOps/Traefik/basic_auth_user }}", "admin:$2y$05$abc");
    assert_eq!(read("dynamic_conf.yaml"), Some(rendered));
    let public = Command::new("ssh-keygen")
        .args(["-y", "-f"])
        .arg(sidecar.scene.path("run/secrets/locket/key"))
        .output()
        .unwrap();
    let expected = sidecar.scene.read("id.pub").unwrap();
    let word = |text: &str| text.split_whitespace().nth(1).map(str::to_owned);
    assert_eq!(word(&String::from_utf8_lossy(&public.stdout)), word(&expected));
    for value in ["p$ss", "db.internal", "admin:"] {
        assert!(!log.contains(value), "{log}");
    }
}

#[test]
fn the_sidecar_by_a_mixture_and_flags_beat_the_environment() {
    let sidecar = Sidecar::new();
    sidecar.scene.write("templates/t", "x={{ op://vault/db/pass }}");
    let log = sidecar.succeeds(
        &[
            "--token-file=run/secrets/op_token",
            "--secret=db_host={{op://vaults/db_host}}",
        ],
        &[
            ("SECRETS_PROVIDER", "op-connect"),
            ("SECRET_MAP", "templates:run/secrets/out"),
            ("SECRET_VALUES", "db_pass={{op://vaults/db_pass}}"),
        ],
    );
    let read = |name: &str| sidecar.scene.read(&format!("run/secrets/out/{name}"));
    assert_eq!(read("db_host").as_deref(), Some("host-of-item"));
    assert_eq!(read("t").as_deref(), Some("x=p$ss #1"));
    assert_eq!(
        read("db_pass"),
        None,
        "the list of the higher layer replaces the lower one"
    );
    assert!(
        log.contains("db_pass") || log.contains("SECRET_VALUES"),
        "and says so: {log}"
    );
}

#[test]
fn the_default_mode_follows_templates_and_rotations() {
    let sidecar = Sidecar::new();
    sidecar.scene.write("templates/t", "x={{ op://vault/db/pass }}");
    let arguments = [
        "run",
        "--provider=op-connect",
        "--op.token-file=run/secrets/op_token",
        "--map=templates:run/secrets/locket",
        "--status-file=status",
        "--debounce=30ms",
    ];
    let mut command = sidecar.scene.locket(arguments);
    let agent = Agent::start(command.env("OP_CONNECT_HOST", sidecar.server.url()));
    sidecar.scene.becomes("run/secrets/locket/t", "x=p$ss #1");
    sidecar.scene.write("templates/t", "y={{ op://vault/db/pass }}");
    sidecar.scene.becomes("run/secrets/locket/t", "y=p$ss #1");
    sidecar
        .connect
        .change_item(&sidecar.pass_item, |item| item.set("pass", "rotated"));
    agent.signal("HUP");
    sidecar.scene.becomes("run/secrets/locket/t", "y=rotated");
    let healthy = sidecar
        .scene
        .locket(["healthcheck", "--status-file=status"])
        .status()
        .unwrap();
    assert!(healthy.success());
}
