//! Where secrets are kept while the agent runs.

use std::process::Command;

use crate::support::{Agent, Scene};

const WARNING: &str = "the limit of locked memory is reached";

#[test]
fn past_the_limit_of_locked_memory_the_agent_warns_once_and_goes_on() {
    let log = two_rounds("64");
    assert_eq!(log.matches(WARNING).count(), 1, "{log}");
    let log = two_rounds("8192");
    assert_eq!(log.matches(WARNING).count(), 0, "{log}");
}

/// The log of an agent that may lock this many KiB and holds a secret of 300.
fn two_rounds(limit: &str) -> String {
    let scene = Scene::new();
    scene.write("secrets/a", "a".repeat(300 << 10));
    scene.write("in/t", "{{ file://secrets/a }}");
    // Root is above the limit unless it gives up the capability to be.
    let script = r#"ulimit -l "$1"; shift
        if [ "$(id -u)" = 0 ]; then exec setpriv --bounding-set=-ipc_lock "$@"; fi
        exec "$@""#;
    let mut command = Command::new("bash");
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .current_dir(scene.base())
        .args(["-c", script, "bash", limit, env!("CARGO_BIN_EXE_locket")])
        .args(["run", "--map", "in:out", "--status-file", "status"]);
    let agent = Agent::start(&mut command);
    scene.state_becomes("ready");
    scene.write("secrets/a", "b".repeat(300 << 10));
    agent.signal("HUP");
    scene.becomes("out/t", &"b".repeat(300 << 10));
    let (status, log) = agent.stop();
    assert!(status.success(), "{log}");
    log
}
