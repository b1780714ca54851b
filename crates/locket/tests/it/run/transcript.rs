//! A whole run as its log tells it. The transcripts are read by people: whoever changes one asks whether it still says
//! what happened, why, and what to do.

use std::fs;

use locket_testkit::services::OpenBao;
use serde_json::json;

use crate::support::{Agent, Scene, eventually};

/// The log at `level` of a start, an edit, a rotation and an end, with a secret that does not exist.
fn life(
    scene: &Scene,
    level: &str,
    provider: &str,
    variables: &[(&str, String)],
    rotate: impl FnOnce(),
) -> String {
    scene.write(
        "in/app.conf",
        format!("password={{{{ {provider}://{} }}}}\n", path(provider, "password")),
    );
    scene.write(
        "in/broken.conf",
        format!("key={{{{ {provider}://{} }}}}\n", path(provider, "nothing")),
    );
    let mut command = scene.locket([
        "run",
        "--map",
        "in:out",
        "--debounce",
        "30ms",
        "--notify",
        "pid:app.pid:HUP",
        "--state-dir",
        "state",
        "--log-level",
        level,
    ]);
    command.envs(variables.iter().cloned());
    let agent = Agent::start(&mut command);
    agent.says("from now on");
    eventually("nobody is told", || {
        agent.log().matches("is not told").count() == 1
    });
    // In one step, or the log may tell of two edits.
    let edited = format!("secret={{{{ {provider}://{} }}}}\n", path(provider, "password"));
    scene.write("edited", edited);
    fs::rename(scene.path("edited"), scene.path("in/app.conf")).unwrap();
    eventually("the edit is told", || {
        agent.log().matches("is not told").count() == 2
    });
    rotate();
    agent.signal("HUP");
    eventually("the rotation is told", || {
        agent.log().matches("is not told").count() == 3
    });
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    assert!(scene.read("out/app.conf").unwrap().contains("second"), "{log}");
    for value in ["first-value", "second-value"] {
        assert!(!log.contains(value), "{log}");
    }
    settled(scene, &log)
}

fn path(provider: &str, name: &str) -> String {
    match provider {
        "bao" => format!("secret/transcript/{name}"),
        _ => name.to_owned(),
    }
}

/// The log without what differs from run to run.
fn settled(scene: &Scene, log: &str) -> String {
    let base = scene.base().display().to_string();
    let mut lines = Vec::new();
    for line in log.lines() {
        let line = line
            .split_once(' ')
            .map_or(line, |(_, rest)| rest)
            .replace(&base, "BASE");
        let line = between(&line, " read={", " write={", "…}");
        let line = between(&line, " landlock=", " ", "N");
        let line = between(&line, "own user (", ")", "UID");
        let line = until_end(&line, "provider call in ");
        let line = until_end(&line, "provider calls in ");
        lines.push(between(&line, " ms=", " ", "N"));
    }
    // One call answers for all that it was asked, in no order.
    for answers in lines.chunk_by_mut(|one, other| [one, other].iter().all(|line| line.contains(": answer ")))
    {
        answers.sort();
    }
    lines.join("\n")
}

/// `line` with `instead` between `start` and the next `end`, which may be the end of the line.
fn between(line: &str, start: &str, end: &str, instead: &str) -> String {
    let Some((before, after)) = line.split_once(start) else {
        return line.to_owned();
    };
    let rest = after.find(end).map_or("", |at| &after[at..]);
    format!("{before}{start}{instead}{rest}")
}

fn until_end(line: &str, start: &str) -> String {
    match line.split_once(start) {
        Some((before, _)) => format!("{before}{start}TIME"),
        None => line.to_owned(),
    }
}

fn with_a_store(level: &str) -> String {
    let scene = Scene::new();
    let home = scene.path("home");
    fs::create_dir(&home).unwrap();
    let variables = [("HOME", home.display().to_string())];
    let set = |value: &str| {
        scene.write("value", value);
        let mut command = scene.locket(["store", "set", "password"]);
        let input = fs::File::open(scene.path("value")).unwrap();
        assert!(
            command
                .envs(variables.clone())
                .stdin(input)
                .output()
                .unwrap()
                .status
                .success()
        );
    };
    assert!(
        scene
            .locket(["store", "init"])
            .envs(variables.clone())
            .output()
            .unwrap()
            .status
            .success()
    );
    set("first-value");
    life(&scene, level, "store", &variables, || set("second-value"))
}

fn with_openbao(level: &str) -> Option<String> {
    let bao = OpenBao::start()?;
    let scene = Scene::new();
    let set = |value: &str| bao.put("transcript", &json!({ "password": value }));
    set("first-value");
    let variables = [
        ("BAO_ADDR", bao.url()),
        ("BAO_TOKEN", bao.root_token().to_owned()),
    ];
    let log = life(&scene, level, "bao", &variables, || set("second-value"));
    let url = bao.url();
    let address = url.strip_prefix("http://").unwrap();
    Some(log.replace(address, "SERVER"))
}

#[test]
fn the_log_of_a_run_with_a_store() {
    insta::assert_snapshot!("store-info", with_a_store("info"));
    insta::assert_snapshot!("store-trace", with_a_store("trace"));
}

#[test]
fn the_log_of_a_run_with_openbao() {
    if let (Some(info), Some(trace)) = (with_openbao("info"), with_openbao("trace")) {
        insta::assert_snapshot!("openbao-info", info);
        insta::assert_snapshot!("openbao-trace", trace);
    }
}
