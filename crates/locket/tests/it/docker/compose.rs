//! locket as a provider of Compose, and Compose below `locket exec`.

use std::process::Output;

use locket_testkit::Server;
use locket_testkit::fakes::connect::{Connect, Field, FieldType, Item};
use locket_testkit::services::Engine;

use super::{all, docker, engine};
use crate::support::Scene;

/// The example of seed 001, with a name of its own for each test.
const EXAMPLE: &str = r#"---
name: NAME

services:
  locket:
    provider:
      type: locket
      options:
        provider: op-connect
        connect.token-file: TOKEN
        connect.host: $OP_CONNECT_HOST
        secrets:
          - "secret1={{ op://Mordin/SecretPassword/Test Section/text }}"
          - "secret2={{ op://Mordin/SecretPassword/Test Section/date }}"
  demo:
    image: busybox
    user: "1000:1000"
    network_mode: none
    command:
      - sh
      - -c
      - "env | grep LOCKET"
    depends_on:
      - locket
"#;

struct Project {
    engine: &'static Engine,
    scene: Scene,
    server: Server,
    name: &'static str,
}

impl Project {
    fn new(name: &'static str) -> Option<Self> {
        let engine = engine()?;
        let fake = Connect::new();
        let vault = fake.add_vault("Mordin");
        fake.add_item(
            &vault,
            Item::login("SecretPassword", "p")
                .section("s", "Test Section")
                .field(Field::concealed("text", "secret $text \"quoted\"").section("s"))
                .field(Field::new(FieldType::Date, "date", "1714672800").section("s")),
        );
        let token = fake.token(&[&vault]);
        let project = Self {
            engine,
            scene: Scene::new(),
            server: Server::start(move |request| fake.answer(&request)),
            name,
        };
        project.scene.write("token", token);
        project.write(EXAMPLE, "./token");
        Some(project)
    }

    fn write(&self, text: &str, token: &str) {
        let text = text.replace("NAME", self.name).replace("TOKEN", token);
        self.scene.write("compose.yaml", text);
    }

    fn compose(&self, arguments: &[&str]) -> Output {
        let words: Vec<_> = ["compose"].iter().chain(arguments).copied().collect();
        let mut command = docker(self.engine, self.scene.base(), &words);
        command.env("OP_CONNECT_HOST", self.server.url());
        command.output().unwrap()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        self.compose(&["down", "--volumes", "--timeout", "0"]);
    }
}

#[test]
fn the_provider_example_brings_up_a_container_with_its_variables() {
    let Some(project) = Project::new("locket-example") else {
        return;
    };
    let up = project.compose(&["up", "--abort-on-container-exit", "--exit-code-from", "demo"]);
    let shown = all(&up);
    assert!(up.status.success(), "{shown}");
    assert!(
        shown.contains("LOCKET_SECRET1=secret $text \"quoted\"")
            || shown.contains("LOCKET_secret1=secret $text \"quoted\""),
        "{shown}"
    );
    assert!(shown.contains("1714672800"), "{shown}");
    // What the page says first.
    let id = String::from_utf8(project.compose(&["ps", "--all", "--quiet", "demo"]).stdout).unwrap();
    let inspected = project.engine.run(&["inspect", id.trim()]);
    assert!(
        inspected.contains("secret $text"),
        "a variable is shown by `docker inspect`: {inspected}"
    );
    let down = project.compose(&["down"]);
    assert!(down.status.success(), "{}", all(&down));
}

#[test]
fn an_unresolved_reference_fails_up_by_its_name_and_nothing_starts() {
    let Some(project) = Project::new("locket-unresolved") else {
        return;
    };
    project.write(
        &EXAMPLE.replace("Test Section/date", "Test Section/missing"),
        "./token",
    );
    let up = project.compose(&["up", "--detach"]);
    let shown = all(&up);
    assert!(!up.status.success(), "{shown}");
    assert!(
        shown.contains("op://Mordin/SecretPassword/Test Section/missing"),
        "{shown}"
    );
    assert!(!shown.contains("secret $text"), "{shown}");
    let running = project.compose(&["ps", "--all", "--quiet"]);
    assert!(running.stdout.is_empty(), "the app never ran: {}", all(&running));
    project.write(
        &EXAMPLE.replace(
            "{{ op://Mordin/SecretPassword/Test Section/date }}",
            "{{ opp://a/b }}",
        ),
        "./token",
    );
    let shown = all(&project.compose(&["up", "--detach"]));
    assert!(shown.contains("opp"), "{shown}");
}

#[test]
fn a_relative_token_that_is_not_there_is_told_with_its_directory() {
    let Some(project) = Project::new("locket-relative") else {
        return;
    };
    project.write(EXAMPLE, "./nowhere/token");
    let shown = all(&project.compose(&["up", "--detach"]));
    let directory = project.scene.base().canonicalize().unwrap();
    assert!(shown.contains("nowhere/token"), "{shown}");
    assert!(
        shown.contains(&format!("Relative paths count from {}", directory.display())),
        "{shown}"
    );
    // `base-dir` names another.
    let text = EXAMPLE.replace(
        "connect.token-file: TOKEN",
        "connect.token-file: token\n        base-dir: BASE",
    );
    let base = project.scene.base().display().to_string();
    project.write(&text.replace("BASE", &base), "");
    let elsewhere = tempfile::tempdir().unwrap();
    let file = format!("{base}/compose.yaml");
    let mut command = docker(
        project.engine,
        elsewhere.path(),
        &["compose", "-f", &file, "up", "--abort-on-container-exit"],
    );
    let up = command
        .env("OP_CONNECT_HOST", project.server.url())
        .output()
        .unwrap();
    assert!(
        up.status.success() && all(&up).contains("1714672800"),
        "{}",
        all(&up)
    );
}

#[test]
fn warnings_do_not_end_up_and_down_contacts_nobody() {
    let Some(project) = Project::new("locket-warned") else {
        return;
    };
    let warned = || {
        let mut command = docker(
            project.engine,
            project.scene.base(),
            &["compose", "up", "--abort-on-container-exit"],
        );
        // A variable that looks like ours and is not.
        command
            .env("OP_CONNECT_HOST", project.server.url())
            .env("LOCKET_LOG_LEVE", "debug");
        command.output().unwrap()
    };
    let up = warned();
    assert!(up.status.success(), "{}", all(&up));
    assert!(all(&up).contains("LOCKET_LOG_LEVE"), "{}", all(&up));
    let asked = project.server.requests().len();
    for command in [&["stop"][..], &["down"]] {
        let ended = project.compose(command);
        assert!(ended.status.success(), "{}", all(&ended));
    }
    assert_eq!(project.server.requests().len(), asked);
    let words = [
        "compose",
        "--project-name=x",
        "down",
        "--provider=op-connect",
        "--secrets=a=b",
        "locket",
    ];
    let alone = project.scene.locket(words).output().unwrap();
    assert!(
        alone.status.success() && alone.stdout.is_empty(),
        "{}",
        all(&alone)
    );
}

#[test]
fn lists_env_files_and_raw_are_what_the_protocol_says() {
    let scene = Scene::new();
    scene.write("secrets/a", "one\ntwo");
    scene.write("x.env", "FROM_FILE=<{{ file://secrets/a }}>\nB=file\n");
    let up = |more: &[&str]| {
        let words = [
            "compose",
            "--project-name=p",
            "up",
            "--env-file=x.env",
            "--env=B=env",
        ];
        let words = words
            .iter()
            .chain(more)
            .chain(&["--secrets=A={{ file://secrets/a }}", "locket"]);
        scene.locket(words).output().unwrap()
    };
    let shown = up(&[]);
    assert_eq!(
        String::from_utf8_lossy(&shown.stdout),
        concat!(
            r#"{"type":"setenv","message":"A=one\ntwo"}"#,
            "\n",
            r#"{"type":"setenv","message":"B=env"}"#,
            "\n",
            r#"{"type":"setenv","message":"FROM_FILE=<one\ntwo>"}"#,
            "\n",
        ),
        "{}",
        all(&shown)
    );
    // Compose's version decides about `raw`; here a stand-in tells one.
    scene.write("bin/docker", "#!/bin/sh\necho \"$VERSION\"\n");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scene.path("bin/docker"), mode).unwrap();
    let raw = |version: &str| {
        let words = [
            "compose",
            "up",
            "--raw=true",
            "--secrets=A={{ file://secrets/a }}",
            "locket",
        ];
        let mut command = scene.locket(words);
        command
            .env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()))
            .env("VERSION", version);
        command.output().unwrap()
    };
    assert_eq!(
        String::from_utf8_lossy(&raw("5.2.0").stdout),
        "{\"type\":\"rawsetenv\",\"message\":\"A=one\\ntwo\"}\n"
    );
    let refused = raw("2.40.3");
    let line: serde_json::Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(line["type"], "error");
    assert!(
        line["message"]
            .as_str()
            .unwrap()
            .contains("`raw: true` needs Compose 5.2 or newer"),
        "{line}"
    );
    assert!(!refused.status.success());
}

#[test]
fn docker_knows_the_plugin_and_runs_every_command_of_it() {
    let Some(engine) = engine() else { return };
    let info = engine.run(&[
        "info",
        "--format",
        "{{range .ClientInfo.Plugins}}{{.Name}} {{end}}",
    ]);
    assert!(info.split(' ').any(|name| name == "locket"), "{info}");
    assert!(engine.run(&["locket", "--version"]).starts_with("locket "));
    let scene = Scene::new();
    scene.write("secrets/a", "value");
    let got = docker(engine, scene.base(), &["locket", "get", "file://secrets/a"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&got.stdout), "value", "{}", all(&got));
}

#[test]
fn compose_below_exec_has_the_variables_of_the_project() {
    let Some(engine) = engine() else { return };
    let scene = Scene::new();
    scene.write("secrets/a", "of the provider");
    scene.write("x.env", "MY_SECRET={{ file://secrets/a }}\n");
    scene.write(
        "compose.yaml",
        "name: locket-below-exec\nservices:\n  app:\n    image: busybox\n    network_mode: none\n    command: [echo, \"it is $MY_SECRET\"]\n",
    );
    let docker_program = engine.docker().get_program().to_owned();
    let run = |words: &[&str]| {
        let mut command = scene.locket(["exec", "--env", "x.env", "--"]);
        command
            .arg(&docker_program)
            .arg("compose")
            .args(words)
            .envs(engine.environment());
        command.output().unwrap()
    };
    let up = run(&["up", "--abort-on-container-exit"]);
    assert!(
        up.status.success() && all(&up).contains("it is of the provider"),
        "{}",
        all(&up)
    );
    run(&["down", "--timeout", "0"]);
}
