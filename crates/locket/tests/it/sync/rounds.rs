//! What a round of `sync` does: consumers told once, drills, repetitions, crashes.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::lines::{map, sync};
use crate::support::{Agent, Scene, eventually};

/// A map of two files of one consumer and one of another; consumers write a line each time that they are told.
fn scene() -> Scene {
    let scene = Scene::new();
    for name in ["a", "b", "c"] {
        scene.write(&format!("secrets/{name}"), "1");
    }
    map(
        &scene,
        "file://secrets/a,BASE/out/a,,\"exec:sh -c 'echo one >> BASE/told'\",\n\
         file://secrets/b,BASE/out/b,,\"exec:sh -c 'echo one >> BASE/told'\",\n\
         file://secrets/c,BASE/out/c,,\"exec:sh -c 'echo two >> BASE/told'\",\n",
    );
    scene
}

fn times(scene: &Scene, word: &str) -> usize {
    scene
        .read("told")
        .unwrap_or_default()
        .lines()
        .filter(|line| *line == word)
        .count()
}

#[test]
fn a_consumer_of_several_rows_is_told_once_after_all_of_them() {
    let scene = scene();
    assert_eq!(sync(&scene, &[]).0, 3);
    assert_eq!((times(&scene, "one"), times(&scene, "two")), (1, 1));
    assert_eq!(sync(&scene, &[]).0, 0);
    assert_eq!(
        (times(&scene, "one"), times(&scene, "two")),
        (1, 1),
        "nothing changed"
    );
    scene.write("secrets/b", "2");
    assert_eq!(sync(&scene, &[]).0, 3);
    assert_eq!((times(&scene, "one"), times(&scene, "two")), (2, 1));
}

#[test]
fn a_drill_writes_every_value_anew_and_tells_everybody() {
    let scene = scene();
    assert_eq!(sync(&scene, &[]).0, 3);
    let before = fs::metadata(scene.path("out/a")).unwrap();
    let (code, out, errors) = sync(&scene, &["--drill"]);
    assert_eq!((code, out.lines().count()), (3, 3), "{out}{errors}");
    let after = fs::metadata(scene.path("out/a")).unwrap();
    assert_ne!(before.ino(), after.ino(), "a new file");
    assert_eq!(scene.read("out/a").as_deref(), Some("1"), "with the same value");
    assert_eq!((times(&scene, "one"), times(&scene, "two")), (2, 2));
    assert_eq!(sync(&scene, &[]).0, 0, "what a drill wrote is as it should be");
}

#[test]
fn a_consumer_that_cannot_be_told_fails_the_round_and_is_told_by_the_next() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(
        &scene,
        "file://secrets/a,BASE/out/a,,\"exec:sh -c 'test -e BASE/up && echo one >> BASE/told'\",\n",
    );
    let (code, out, errors) = sync(&scene, &["--notify-timeout", "1s"]);
    assert_eq!(code, 1, "{errors}");
    assert!(
        out.starts_with("Updated ") && errors.contains("ERR: notify exec:sh failed: "),
        "{out}{errors}"
    );
    assert_eq!(
        scene.read("out/a").as_deref(),
        Some("1"),
        "the file is written all the same"
    );
    scene.write("up", "");
    let (code, out, errors) = sync(&scene, &[]);
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");
    assert_eq!(times(&scene, "one"), 1);
    assert_eq!(sync(&scene, &[]).0, 0);
    assert_eq!(times(&scene, "one"), 1);
}

#[test]
fn every_repeats_the_round_and_reads_the_map_again() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(&scene, "file://secrets/a,BASE/out/a\n");
    let arguments = [
        "sync",
        "map.csv",
        "--every",
        "200ms",
        "--jitter",
        "0s",
        "--state-dir",
        "state",
    ];
    let agent = Agent::start(&mut scene.locket(arguments));
    scene.becomes("out/a", "1");
    scene.write("secrets/a", "2");
    scene.becomes("out/a", "2");
    let base = scene.base().display();
    let both = format!("file://secrets/a,{base}/out/a\nfile://secrets/a,{base}/out/b,0640\n");
    scene.write("new.csv", both);
    fs::rename(scene.path("new.csv"), scene.path("map.csv")).unwrap();
    scene.becomes("out/b", "2");
    scene.write("map.csv", "nonsense\n");
    agent.says("the one before it stays in force");
    scene.write("secrets/a", "3");
    scene.becomes("out/b", "3");
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
}

#[test]
fn an_agent_of_the_same_configuration_keeps_no_sync_from_its_work() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(&scene, "file://secrets/a,BASE/out/a,,exec:true,\n");
    scene.write(
        "both.toml",
        "[run]\nstatus-file = 'status'\nmetrics = '127.0.0.1:0'\nstate-dir = 'state'\n\
         [[secret]]\nname = 'own'\ntemplate = '{{ file://secrets/a }}'\n",
    );
    let configured = |words: &[&str]| {
        let mut command = scene.locket(words);
        command.env("LOCKET_CONFIG", "both.toml");
        command
    };
    let agent = Agent::start(&mut configured(&["run", "--out", "agent"]));
    scene.state_becomes("ready");
    let second = configured(&["run", "--out", "agent"]).output().unwrap();
    assert_eq!(second.status.code(), Some(2), "the status file is the agent's");
    let output = configured(&["sync", "map.csv"]).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert_eq!(scene.read("out/a").as_deref(), Some("1"));
    assert!(
        scene.path("state/sync").is_dir(),
        "what outlives it lies beside the agent's"
    );
    assert!(agent.stop().0.success());
}

#[test]
fn a_thousand_rows_are_one_round_and_each_consumer_is_told_once() {
    const ROWS: usize = 1000;
    let scene = Scene::new();
    let mut text = String::new();
    for index in 0..ROWS {
        scene.write(&format!("secrets/{index}"), "1");
        let consumer = index % 20;
        text.push_str(&format!(
            "file://secrets/{index},BASE/out/{index},,\"exec:sh -c 'echo {consumer} >> BASE/told'\",\n"
        ));
    }
    map(&scene, &text);
    let (code, out, _) = sync(&scene, &[]);
    assert_eq!((code, out.lines().count()), (3, ROWS));
    fs::remove_file(scene.path("told")).unwrap();
    for index in 0..50 {
        scene.write(&format!("secrets/{index}"), "2");
    }
    let (code, out, _) = sync(&scene, &[]);
    assert_eq!((code, out.lines().count()), (3, 50));
    eventually("everybody is told", || scene.path("told").exists());
    for consumer in 0..20 {
        assert_eq!(times(&scene, &consumer.to_string()), 1);
    }
}
