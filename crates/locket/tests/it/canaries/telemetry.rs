//! What is written down and counted for others: names, times and keyed digests.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::world::World;
use crate::support::{Agent, eventually};

#[test]
fn the_audit_log_and_the_metrics_hold_names_and_no_secret() {
    let world = World::new();
    let agent = Agent::start(&mut world.command(&[
        "run",
        "--map",
        "in:out/run",
        "--state-dir",
        "state/dir",
        "--audit-log",
        "state/audit",
        "--metrics",
        "127.0.0.1:0",
        "--notify",
        "exec:false",
        "--notify",
        "pid:state/nobody:HUP",
        "--debounce",
        "30ms",
    ]));
    agent.says("start");
    world
        .scene
        .write("in/more", "{{ store://other }} {{ store://nothing }}");
    agent.says("store://nothing");
    let rotated = world.canary("rotated").bytes().to_vec();
    let ran = world.locket(&["store", "set", "text"], Some(&rotated));
    assert!(ran.status.success());
    agent.signal("HUP");
    eventually("the rotation arrives", || {
        let output = std::fs::read(world.scene.path("out/run/all")).unwrap_or_default();
        world.canary("rotated").find(output).is_some()
    });
    let metrics = metrics(&agent.log());
    let (_, log) = agent.stop();
    let audit = world.scene.read("state/audit").unwrap();
    for (text, control) in [
        (&audit, "store://text"),
        (&audit, "fingerprint"),
        (&audit, "not-found"),
        (&audit, "out/run/all"),
        (&metrics, "locket_outputs"),
        (&metrics, "store"),
    ] {
        assert!(text.contains(control), "{control} is not told: {text}");
    }
    let leaks: Vec<_> = world
        .found_in("the audit log", audit.as_bytes())
        .into_iter()
        .chain(world.found_in("the metrics", metrics.as_bytes()))
        .chain(world.found_in("the log", log.as_bytes()))
        .chain(world.found_in_files())
        .collect();
    assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    // A plain digest would let whoever guesses a value know that it is right.
    for name in ["text", "other"] {
        let digest = world.locket(&["get", &format!("{{{{ store://{name} | sha256 }}}}")], None);
        let digest = String::from_utf8(digest.stdout).unwrap();
        assert_eq!(digest.len(), 64);
        assert!(!audit.contains(&digest), "a digest of {name} has no key");
    }
}

/// The page that the agent serves.
fn metrics(log: &str) -> String {
    let (_, rest) = log.split_once("metrics are at http://").unwrap();
    let (address, _) = rest.split_once('/').unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}
