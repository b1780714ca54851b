//! What a run promises beside its outputs: every key as a file, directories as a whole, an audit log, metrics, and
//! leaving nothing behind.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::support::{Agent, Scene, eventually};

#[test]
fn every_file_of_a_directory_becomes_a_secret_and_new_ones_are_followed() {
    let scene = Scene::new();
    scene.write("secrets/db_user", "ann");
    scene.write("secrets/db_pass", "s3cret");
    let arguments = [
        "run",
        "--mode",
        "park",
        "--secret-from",
        "file://secrets/*",
        "--out",
        "out",
    ];
    let more = [
        "--status-file",
        "status",
        "--state-dir",
        "state",
        "--delete-after",
        "1ms",
    ];
    let agent = Agent::start(&mut scene.locket(arguments.iter().chain(&more)));
    scene.becomes("out/db_user", "ann");
    scene.becomes("out/db_pass", "s3cret");
    scene.write("secrets/db_port", "5432");
    std::fs::remove_file(scene.path("secrets/db_user")).unwrap();
    agent.signal("HUP");
    scene.becomes("out/db_port", "5432");
    eventually("the file of the vanished key goes", || {
        !scene.path("out/db_user").exists()
    });
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    assert_eq!(
        scene.read("out/db_pass").as_deref(),
        Some("s3cret"),
        "without --cleanup outputs stay"
    );
}

#[test]
fn a_run_writes_down_what_it_did_serves_numbers_and_leaves_nothing_behind() {
    let scene = Scene::new();
    scene.write("secrets/db", "canary-value");
    scene.write("in/app.conf", "password={{ file://secrets/db }}");
    let agent = scene.watch(&[
        "--cleanup",
        "--audit-log",
        "audit.log",
        "--metrics",
        "127.0.0.1:0",
        "--state-dir",
        "state",
    ]);
    scene.becomes("out/app.conf", "password=canary-value");
    scene.state_becomes("ready");
    agent.says("/metrics");
    let log = agent.log();
    let address = log
        .split("http://")
        .nth(1)
        .and_then(|rest| rest.split('/').next())
        .unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
        .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    assert!(page.contains("\nlocket_outputs{standing=\"good\"} 1\n"), "{page}");
    assert!(
        page.contains("\nlocket_provider_calls_total{provider=\"file\",outcome=\"ok\"} 1\n"),
        "{page}"
    );
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    assert!(!scene.path("out/app.conf").exists(), "{log}");
    let audit = scene.read("audit.log").unwrap();
    let lines: Vec<serde_json::Value> = audit
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = lines.iter().map(|line| line["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["resolve", "write"], "{audit}");
    assert_eq!(lines[0]["reference"], "file://secrets/db");
    for text in [&audit, &page, &log] {
        assert!(!text.contains("canary-value"), "{text}");
    }
}

#[test]
fn a_directory_map_with_atomic_is_a_link_to_one_generation() {
    let scene = Scene::new();
    scene.write("secrets/cert", "c1");
    scene.write("in/tls.crt", "{{ file://secrets/cert }}");
    scene.write("in/skip.bak", "old");
    let map = "in:out:atomic=true,exclude=*.bak";
    let run = || {
        let output = scene
            .locket(["inject", "--map", map, "--state-dir", "state"])
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    run();
    assert_eq!(scene.read("out/tls.crt").as_deref(), Some("c1"));
    assert!(!scene.path("out/skip.bak").exists());
    let first = std::fs::read_link(scene.path("out/..data")).unwrap();
    run();
    assert_eq!(
        std::fs::read_link(scene.path("out/..data")).unwrap(),
        first,
        "nothing changed"
    );
    scene.write("secrets/cert", "c2");
    run();
    assert_eq!(scene.read("out/tls.crt").as_deref(), Some("c2"));
    assert_ne!(std::fs::read_link(scene.path("out/..data")).unwrap(), first);
}

#[test]
fn metrics_for_other_machines_are_refused_unless_they_are_wanted() {
    let scene = Scene::new();
    scene.write("in/a", "x");
    let output = scene
        .locket(["run", "--map", "in:out", "--metrics", "0.0.0.0:0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--metrics-public"));
    assert!(!scene.path("out").exists());
}
