//! `locket plan` says what a run then does, and does nothing itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use locket_testkit::fakes::connect::{Connect, Item};
use locket_testkit::{Response, Server};
use serde_json::Value;

use crate::support::Scene;

fn plan(scene: &Scene, more: &[&str]) -> Output {
    let always = [
        "plan",
        "--map",
        "in:out",
        "--state-dir",
        "state",
        "--log-level",
        "warn",
    ];
    scene.locket(always.iter().chain(more)).output().unwrap()
}

fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("{error}: {}", String::from_utf8_lossy(&output.stderr));
    })
}

fn inject(scene: &Scene) -> String {
    let arguments = ["inject", "--map", "in:out", "--state-dir", "state"];
    let output = scene.locket(arguments).output().unwrap();
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> Option<i32> {
    output.status.code()
}

/// Every path below `directory` with its inode, times, mode and content.
fn everything(directory: &Path) -> BTreeMap<String, (u64, i64, i64, u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(path) = open.pop() {
        let metadata = fs::symlink_metadata(&path).unwrap();
        if metadata.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().flatten().map(|entry| entry.path()));
        }
        let content = fs::read(&path).unwrap_or_default();
        let times = (metadata.mtime(), metadata.mtime_nsec());
        let what = (metadata.ino(), times.0, times.1, metadata.mode(), content);
        found.insert(path.display().to_string(), what);
    }
    found
}

#[test]
fn the_exit_code_tells_whether_a_run_would_change_something() {
    let scene = Scene::new();
    scene.write("secrets/pw", "one");
    scene.write("in/app", "pw={{ file://secrets/pw }}\n");
    assert_eq!(
        code(&plan(&scene, &["--exit-code"])),
        Some(3),
        "there is no output yet"
    );
    assert_eq!(
        code(&plan(&scene, &[])),
        Some(0),
        "a change is told to those who ask"
    );
    inject(&scene);
    assert_eq!(code(&plan(&scene, &["--exit-code"])), Some(0));
    scene.write("secrets/pw", "two");
    assert_eq!(code(&plan(&scene, &["--exit-code"])), Some(3), "a rotated secret");
    inject(&scene);
    assert_eq!(
        code(&plan(&scene, &["--exit-code", "--file-mode", "0640"])),
        Some(3),
        "another mode"
    );
    scene.write("in/more", "{{ file://secrets/none }}");
    assert_eq!(
        code(&plan(&scene, &["--exit-code"])),
        Some(4),
        "a secret that does not exist"
    );
    assert_eq!(
        code(&plan(&scene, &["--exit-code", "--on-error", "ignore"])),
        Some(0)
    );
    scene.write("in/more", "{{ file://secrets/none | uper }}");
    assert_eq!(
        code(&plan(&scene, &["--on-error", "ignore"])),
        Some(4),
        "a mistake is no missing secret"
    );
    assert_eq!(
        code(&plan(&scene, &["--map", "nowhere:out2"])),
        Some(2),
        "a run would refuse to begin"
    );
    assert_eq!(
        code(&plan(&scene, &["--offline", "--exit-code"])),
        Some(2),
        "who asks nobody cannot know"
    );
}

#[test]
fn each_output_is_told_with_its_source_mode_policy_and_references() {
    let scene = Scene::new();
    scene.write("secrets/pw", "one");
    for name in ["kept", "changed", "created"] {
        scene.write(&format!("in/{name}"), "pw={{ file://secrets/pw }}\n");
    }
    inject(&scene);
    scene.write("out/changed", "something else");
    fs::remove_file(scene.path("out/created")).unwrap();
    let output = plan(
        &scene,
        &[
            "--format",
            "json",
            "--file-mode",
            "0600",
            "--user",
            "0:0",
            "--on-error",
            "error",
        ],
    );
    let told = document(&output);
    let would: Vec<_> = told["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|output| &output["would"])
        .collect();
    assert_eq!(would, ["change", "create", "keep"]);
    let first = &told["outputs"][0];
    assert_eq!(first["path"], scene.path("out/changed").to_str().unwrap());
    assert_eq!(
        first["source"]["file"],
        scene.path("in/changed").to_str().unwrap()
    );
    assert_eq!(first["references"], serde_json::json!(["file://secrets/pw"]));
    assert_eq!((&first["mode"], &first["owner"]), (&"0600".into(), &"0:0".into()));
    assert_eq!(first["on_error"], "error");
    assert_eq!(told["would_change"], true);
    let text = plan(&scene, &["--file-mode", "0600"]);
    let text = String::from_utf8_lossy(&text.stdout).into_owned();
    assert!(
        text.contains("3 outputs: 1 to create, 1 to change, 1 to keep"),
        "{text}"
    );
}

#[test]
fn planning_writes_nothing_and_shows_no_value() {
    let scene = Scene::new();
    scene.write("secrets/pw", "canary-9f8e7d");
    scene.write("in/app", "pw={{ file://secrets/pw }}\n");
    scene.write("in/hash", "{{ file://secrets/pw | htpasswd \"ada\" }}");
    scene.write("out/hash", "ada:old");
    let before = everything(scene.base());
    for more in [
        vec![],
        vec!["--format", "json"],
        vec!["--offline"],
        vec!["--exit-code"],
        vec![
            "--status-file",
            "status",
            "--notify",
            "exec:touch told",
            "--log-level",
            "trace",
        ],
        vec!["--on-error", "passthrough", "--secret", "x={{ file://none }}"],
    ] {
        let output = plan(&scene, &more);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            !said.contains("canary-9f8e7d") && !said.contains("$2y$"),
            "{more:?}: {said}"
        );
        assert_eq!(everything(scene.base()), before, "{more:?}");
    }
    inject(&scene);
    assert_ne!(everything(scene.base()), before, "what a run writes is noticed");
    assert!(
        scene.read("out/app").unwrap().contains("canary-9f8e7d"),
        "the secret is there to be shown"
    );
}

#[test]
fn the_counted_calls_are_those_that_a_run_makes() {
    let connect = Connect::new();
    let vault = connect.add_vault("prod");
    let ids: Vec<_> = (0..7)
        .map(|n| connect.add_item(&vault, Item::login(&format!("item {n}"), "pw")))
        .collect();
    let token = connect.token(&[&vault]);
    let server = Server::start(move |request| connect.answer(&request));
    let scene = Scene::new();
    scene.write("secrets/pw", "one");
    for n in 0..ids.len() {
        let text = format!("{{{{ op://prod/item {n}/password }}}} {{{{ op://prod/item {n}/username }}}}");
        scene.write(&format!("in/{n}"), text + " {{ file://secrets/pw }}");
    }
    let with_server = |command: &mut Command| {
        command
            .env("OP_CONNECT_HOST", server.url())
            .env("OP_CONNECT_TOKEN", &token)
            .output()
            .unwrap()
    };
    let arguments = ["--map", "in:out", "--state-dir", "state"];
    let mut offline = scene.locket(["plan", "--offline", "--format", "json"].iter().chain(&arguments));
    let told = document(&with_server(&mut offline));
    assert_eq!(server.request_count(), 0, "nobody was asked");
    let providers = told["providers"].as_array().unwrap();
    let calls: u64 = providers
        .iter()
        .filter_map(|provider| provider["calls"].as_u64())
        .sum();
    let of = |name: &str| {
        providers
            .iter()
            .find(|provider| provider["name"] == name)
            .unwrap()
    };
    assert_eq!(
        (&of("op")["items"], &of("op")["local"]),
        (&7.into(), &false.into())
    );
    assert_eq!(
        of("op")["calls_a_day"],
        of("op")["calls"].as_u64().unwrap() * 4,
        "every six hours"
    );
    let run = with_server(&mut scene.locket(["inject"].iter().chain(&arguments)));
    let log = String::from_utf8_lossy(&run.stderr).into_owned();
    assert!(
        log.contains(&format!("; {calls} provider call")),
        "{calls} were foretold: {log}"
    );
}

#[test]
fn a_refresh_that_would_pass_the_daily_budget_is_warned_about() {
    let scene = Scene::new();
    scene.write(
        "in/app",
        "{{ op://prod/db/password }} {{ op://prod/web/password }}",
    );
    scene.write("secrets/token", "none");
    let told = |refresh: &str, more: &[&str]| {
        let always = [
            "--offline",
            "--connect.host",
            "http://127.0.0.1:9",
            "--connect.token-file",
            "secrets/token",
        ];
        let budget = ["--connect.daily-budget", "1000", "--refresh", refresh];
        let arguments: Vec<_> = always.iter().chain(&budget).chain(more).copied().collect();
        let output = plan(&scene, &arguments);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let text = told("1m", &[]);
    assert!(
        text.contains("2880 times a day, more than its `daily-budget` of 1000"),
        "{text}"
    );
    for (refresh, more) in [("10m", &[][..]), ("off", &[]), ("1m", &["--mode", "one-shot"])] {
        let text = told(refresh, more);
        assert!(
            !text.contains("more than its `daily-budget`"),
            "{refresh}: {text}"
        );
    }
}

#[test]
fn what_containers_ask_for_by_labels_is_in_the_plan() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    let secrets = scene.path("secrets").display().to_string();
    let may = format!("file://{secrets}/**");
    scene.write("labels.toml", format!("[labels]\nallow = ['{may}']\n"));
    let asks = format!("{{{{ file://{secrets}/a }}}}");
    let containers = serde_json::json!([{
        "Id": "1",
        "Names": ["/web"],
        "State": "running",
        "Labels": { "locket.secret.a": asks, "locket.secret.b": "{{ file:///elsewhere }}" },
    }]);
    let engine = Server::start(move |_| Response::json(200, &containers));
    let plan = |host: &str, more: &[&str]| {
        let always = [
            "plan",
            "--config",
            "labels.toml",
            "--out",
            "out",
            "--format",
            "json",
        ];
        let mut command = scene.locket(always.iter().chain(more));
        command.env("DOCKER_HOST", host).output().unwrap()
    };
    let here = engine.url().replace("http://", "tcp://");
    let output = plan(&here, &["--docker-labels"]);
    let told = document(&output);
    let outputs = told["outputs"].as_array().unwrap();
    let paths: Vec<_> = outputs.iter().map(|output| &output["path"]).collect();
    assert_eq!(paths, [scene.path("out/web/a").to_str().unwrap()]);
    assert_eq!(told["run"]["docker_labels"]["read"], true);
    assert!(!scene.path("out").exists(), "nothing is written");
    let log = String::from_utf8_lossy(&output.stderr);
    assert!(log.contains("locket.secret.b of web gets nothing"), "{log}");

    // An engine that cannot be asked is told of.
    let told = document(&plan("unix:///nowhere/docker.sock", &["--docker-labels"]));
    assert_eq!(told["run"]["docker_labels"]["read"], false);
    assert!(told["run"]["docker_labels"]["reason"].is_string());
    let before = engine.request_count();
    let told = document(&plan(&here, &["--secret", "x=y"]));
    assert!(told["run"]["docker_labels"].is_null());
    assert_eq!(engine.request_count(), before, "nobody asked for labels");
}

#[test]
fn a_secret_without_a_place_is_told_of_offline() {
    let scene = Scene::new();
    scene.write("in/a", "{{ file://secrets/pw }}");
    assert_eq!(code(&plan(&scene, &["--offline"])), Some(0));
    fs::create_dir_all(scene.path("out/a")).unwrap();
    let output = plan(&scene, &["--offline", "--format", "json"]);
    assert_eq!(document(&output)["outputs"][0]["would"], "unwritable");
    assert_eq!(code(&output), Some(1));
}
