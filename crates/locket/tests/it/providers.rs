//! `locket providers` and `locket doctor`: what is set up, what answers, and what to do about the rest.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::process::{Command, Output, Stdio};

use locket_testkit::fakes::connect::{Connect, Item};
use locket_testkit::{Response, Server};
use rustix::fs::OFlags;
use serde_json::Value;

use crate::support::{Scene, eventually};

/// A Connect server with one vault in sight, and one that its token cannot see.
struct Account {
    server: Server,
    connect: Connect,
    token: String,
    scene: Scene,
}

impl Account {
    fn new() -> Self {
        let connect = Connect::new();
        let seen = connect.add_vault("prod");
        let unseen = connect.add_vault("other");
        connect.add_item(&seen, Item::login("db", "canary-5a4b3c"));
        connect.add_item(&unseen, Item::login("db", "canary-5a4b3c"));
        let token = connect.token(&[&seen]);
        let server = {
            let connect = connect.clone();
            Server::start(move |request| connect.answer(&request))
        };
        let scene = Scene::new();
        scene.write("token", &token);
        Self {
            server,
            connect,
            token,
            scene,
        }
    }

    fn locket(&self, arguments: &[&str]) -> Output {
        let mut command = self.scene.locket(arguments);
        command
            .env("OP_CONNECT_HOST", self.server.url())
            .env("OP_CONNECT_TOKEN", &self.token)
            .env("LOCKET_STATE_DIR", self.scene.path("state"));
        command.output().unwrap()
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(output)))
}

fn secure(scene: &Scene, name: &str, mode: u32) {
    fs::set_permissions(scene.path(name), fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn credentials_are_told_by_their_source_and_never_by_their_value() {
    let account = Account::new();
    account.scene.write(
        "locket.toml",
        "[providers.mine]\ntype = 'op-connect'\nhost = 'http://127.0.0.1:9'\ntoken = 'file:///none'\n",
    );
    secure(&account.scene, "locket.toml", 0o600);
    let output = account.locket(&["providers", "--connect.timeout", "3s"]);
    assert_eq!(output.status.code(), Some(0));
    let told = text(&output);
    let flat: Vec<_> = told
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for line in [
        "op:// 1Password Connect, `--provider op-connect`",
        "host from OP_CONNECT_HOST",
        "token-file from OP_CONNECT_TOKEN",
        "timeout from --connect.timeout",
        "mine:// 1Password Connect, `--provider op-connect`",
        "host from locket.toml:3",
        "token-file from locket.toml:4",
        "not set up: `bao` has no server: its `url` is not set",
    ] {
        assert!(flat.iter().any(|known| known == line), "{line}\n{told}");
    }
    assert!(!told.contains(&account.token), "{told}");
    let used = account.locket(&["get", "op://prod/db/password"]);
    assert!(
        text(&used).contains("canary-5a4b3c"),
        "the token was there to be shown"
    );
    let listed = json(&account.locket(&["providers", "--format", "json"]));
    let op = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "op")
        .unwrap();
    assert_eq!(
        (&op["provider"], &op["ready"]),
        (&"op-connect".into(), &true.into())
    );
    let token = op["settings"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["name"] == "token-file")
        .unwrap();
    assert_eq!(
        (&token["from"], &token["credential"]),
        (&"OP_CONNECT_TOKEN".into(), &true.into())
    );
}

#[test]
fn a_check_tells_what_came_of_each_reference_and_what_to_do() {
    let account = Account::new();
    let good = account.locket(&["providers", "check", "op://prod/db/password", "file://token"]);
    assert_eq!(good.status.code(), Some(0), "{}", text(&good));
    let told = text(&good);
    assert_eq!(
        told.lines()
            .filter(|line| line.starts_with("ok ") && line.contains(" ms "))
            .count(),
        2,
        "{told}"
    );
    for (reference, outcome) in [
        ("op://prod/nothing/password", "not-found"),
        ("op://other/db/password", "denied"),
        ("bao://kv/app/x", "not-set-up"),
    ] {
        let output = account.locket(&["providers", "check", "op://prod/db/password", reference]);
        let told = text(&output);
        let code = if outcome == "not-set-up" { 1 } else { 4 };
        assert_eq!(output.status.code(), Some(code), "{told}");
        assert!(told.lines().any(|line| line.starts_with(outcome)), "{told}");
        assert!(
            told.lines().any(|line| line.starts_with("ok")),
            "the others are told as well: {told}"
        );
        assert!(!told.contains("canary-5a4b3c"), "{told}");
    }
    account.connect.expire_token(&account.token);
    let output = account.locket(&["providers", "check", "op://prod/db/password", "--format", "json"]);
    let told = json(&output);
    assert_eq!(told[0]["outcome"], "auth");
    assert!(
        told[0]["milliseconds"].is_number() && told[0]["reason"].is_string(),
        "{told}"
    );
    account.server.go_down();
    let output = account.locket(&["providers", "check", "op://prod/db/password"]);
    assert!(text(&output).starts_with("unavailable"), "{}", text(&output));
    assert_eq!(
        account.locket(&["providers", "check", "opp://x"]).status.code(),
        Some(2)
    );
}

#[test]
fn without_references_each_instance_that_templates_name_is_asked_once() {
    let account = Account::new();
    let nothing = account.scene.locket(["providers", "check"]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2), "a check of nothing is no success");
    account.scene.write(
        "in/a",
        "{{ op://prod/db/password }} {{ op://prod/none/password }}",
    );
    account
        .scene
        .write("in/b", "{{ op://prod/db/username }} {{ file://token }}");
    let config = "[[map]]\nsource = 'in'\ndestination = 'out'\n[vault]\nurl = 'http://127.0.0.1:9'\ntoken-file = 'token'\n";
    account.scene.write("locket.toml", config);
    secure(&account.scene, "locket.toml", 0o600);
    let output = account.locket(&["providers", "check"]);
    let told = text(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    let subjects = |outcome: &str| told.lines().filter(|line| line.starts_with(outcome)).count();
    assert_eq!((subjects("ok"), subjects("not-tried")), (2, 1), "{told}");
    account
        .scene
        .write("locket.toml", config.replace("url =", "namespace ="));
    let output = account.locket(&["providers", "check"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn the_doctor_finds_nothing_on_a_good_machine_and_names_what_is_bad() {
    let account = Account::new();
    account.scene.write("in/a", "{{ op://prod/db/password }}");
    account
        .scene
        .write("locket.toml", "[[map]]\nsource = 'in'\ndestination = 'out'\n");
    secure(&account.scene, "locket.toml", 0o600);
    let doctor = |more: &[&str]| {
        let always = ["doctor", "--json", "--config", "locket.toml"];
        let arguments: Vec<_> = always.iter().chain(more).copied().collect();
        let output = account.locket(&arguments);
        let bad: Vec<_> = json(&output)
            .as_array()
            .unwrap()
            .iter()
            .filter(|found| found["state"] == "bad")
            .inspect(|found| assert!(found["cure"].is_string(), "{found}"))
            .map(|found| found["check"].as_str().unwrap().to_owned())
            .collect();
        assert!(!text(&output).contains("canary-5a4b3c"));
        (output.status.code(), bad)
    };
    assert_eq!(doctor(&[]), (Some(0), vec![]));
    let bad = |check: &str| (Some(1), vec![check.to_owned()]);
    assert_eq!(doctor(&["--connect.host", "http://127.0.0.1:9"]), bad("provider"));
    assert_eq!(doctor(&["--state-dir", "locket.toml"]), bad("state"));
    assert_eq!(doctor(&["--map", "in:token/x"]), bad("destination"));
    assert_eq!(doctor(&["--map", "nowhere:out"]), bad("plan"));
    assert_eq!(doctor(&["--secret", "x={{ opp://a/b/c }}"]), bad("plan"));
    assert_eq!(doctor(&["--status-file", "in"]), bad("state"));
    account.scene.write("wrong.toml", "[run]\ndebonce = '1s'\n");
    secure(&account.scene, "wrong.toml", 0o600);
    assert_eq!(doctor(&["--config", "wrong.toml"]), bad("configuration"));
    account.scene.write("identity.txt", "AGE-SECRET-KEY-1");
    account.scene.write("locket.store", "");
    secure(&account.scene, "identity.txt", 0o644);
    assert_eq!(
        doctor(&["--store.identity-file", "identity.txt"]),
        bad("identity")
    );
    secure(&account.scene, "identity.txt", 0o600);
    assert_eq!(
        doctor(&["--store.identity-file", "identity.txt"]),
        (Some(0), vec![])
    );
    secure(&account.scene, "locket.toml", 0o666);
    assert_eq!(
        doctor(&["--store.identity-file", "identity.txt"]),
        bad("configuration")
    );
}

#[test]
fn the_doctor_tells_what_it_found_while_a_check_still_waits() {
    let scene = Scene::new();
    let pipe = scene.path("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    scene.write(
        "bin/docker",
        format!("#!/bin/sh\nread answer <'{}'\necho \"$answer\"\n", pipe.display()),
    );
    secure(&scene, "bin/docker", 0o755);
    let mut doctor = scene
        .locket(["doctor", "--log-level", "off"])
        .env("PATH", scene.path("bin"))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(doctor.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let before = lines.find(|line| line.contains("destination"));
    assert!(before.is_some(), "told before anybody waits");
    // The pipe has a reader only while the check waits.
    let mut answer = None;
    eventually("the check waits", || {
        let mut options = fs::OpenOptions::new();
        let options = options
            .write(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        answer = options.open(&pipe).ok();
        answer.is_some()
    });
    answer.unwrap().write_all(b"2.40.0\n").unwrap();
    let answered = lines.find(|line| line.contains(" docker "));
    assert_eq!(
        answered.as_deref(),
        Some("ok    docker          Docker Compose 2.40.0")
    );
    lines.for_each(drop);
    doctor.wait().unwrap();
}

#[test]
fn the_doctor_writes_nothing_and_tells_one_line_for_each_finding() {
    let account = Account::new();
    account.scene.write("in/a", "{{ op://prod/db/password }}");
    let before: Vec<_> = fs::read_dir(account.scene.base())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let output = account.locket(&[
        "doctor",
        "--map",
        "in:out",
        "--status-file",
        "status",
        "--log-level",
        "off",
    ]);
    let after: Vec<_> = fs::read_dir(account.scene.base())
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    assert_eq!(before, after);
    for line in text(&output).lines() {
        let word = line.split_whitespace().next();
        assert!(matches!(word, Some("ok" | "weak" | "bad")), "{line}");
        assert!(
            word == Some("ok") || line.trim_end().ends_with('.'),
            "no cure: {line}"
        );
    }
}

#[test]
fn the_token_of_one_provider_reaches_no_server_of_another() {
    const TOKEN: &str = "canary-71c0de";
    let scene = Scene::new();
    let server = Server::start(|_| Response::status(403));
    let url = server.url();
    scene.write("a.tok", TOKEN);
    let ask = |provider: &str, flags: &[&str], variables: &[(&str, &str)]| {
        scene.write(
            "locket.toml",
            format!("[run]\nprovider = '{provider}'\ntoken-file = 'a.tok'\n"),
        );
        secure(&scene, "locket.toml", 0o600);
        server.forget();
        let always = ["get", "bao://kv/a/b", "--bao.url", &url, "--deadline", "5s"];
        let output = scene
            .locket(always.iter().chain(flags))
            .envs(variables.iter().copied())
            .env("LOCKET_STATE_DIR", scene.path("state"))
            .output()
            .unwrap();
        let mut requests = server.requests().into_iter();
        let is_reached = requests.any(|request| request.header("x-vault-token") == Some(TOKEN));
        (is_reached, text(&output))
    };
    for (flags, variables) in [
        (&["--provider", "bao"][..], &[][..]),
        (&[], &[("SECRETS_PROVIDER", "bao")]),
    ] {
        let (is_reached, told) = ask("op-connect", flags, variables);
        assert!(!is_reached, "{flags:?} {variables:?}: {told}");
        assert!(told.contains("was given for `op-connect`"), "{told}");
    }
    let (is_reached, told) = ask("bao", &[], &[]);
    assert!(is_reached, "the token of its own provider is sent: {told}");
}
