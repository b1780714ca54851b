//! An agent's whole life and its violent ends: what it says, and what it leaves behind.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use locket_testkit::Canary;

use super::world::World;
use crate::support::{Agent, eventually};

const AGENT: &[&str] = &[
    "run",
    "--map",
    "in:out/run",
    "--status-file",
    "state/status",
    "--state-dir",
    "state/dir",
    "--notify",
    "pid:state/nobody:HUP",
    "--debounce",
    "30ms",
];

fn start(world: &World, format: &str) -> Agent {
    let agent = Agent::start(world.command(AGENT).env("LOCKET_LOG_FORMAT", format));
    eventually("the first round is over", || {
        world.scene.read("out/run/all").is_some()
    });
    agent.says("start");
    agent
}

#[test]
fn an_agents_whole_life_at_the_most_talkative_level_tells_no_secret() {
    for format in ["text", "json"] {
        let world = World::new();
        let agent = start(&world, format);
        world
            .scene
            .write("in/more", "{{ store://other }} {{ store://nothing }}");
        agent.says("store://nothing");
        world
            .scene
            .write("in/wrong", "{{ store://text | nonsense }} {{ stor://text }}");
        agent.says("nonsense");
        let rotated = world.canary("rotated").bytes().to_vec();
        assert!(
            world
                .locket(&["store", "set", "text"], Some(&rotated))
                .status
                .success()
        );
        agent.signal("HUP");
        eventually("the rotation arrives", || {
            let output = fs::read(world.scene.path("out/run/all")).unwrap_or_default();
            world.canary("rotated").find(output).is_some()
        });
        fs::remove_file(world.scene.path("locket.store")).unwrap();
        agent.signal("HUP");
        agent.says("keeps its last good value");
        let (_, log) = agent.stop();
        assert!(log.contains("TRACE"), "the log is talkative: {log}");
        let leaks: Vec<_> = world
            .found_in("the log", log.as_bytes())
            .into_iter()
            .chain(world.found_in_files())
            .collect();
        assert!(leaks.is_empty(), "{}\n{log}", leaks.join("\n"));
    }
}

#[test]
fn an_agent_that_is_aborted_leaves_nothing_behind() {
    for signal in ["ABRT", "KILL"] {
        let world = World::new();
        let agent = start(&world, "text");
        agent.signal(signal);
        let (status, log) = agent.wait();
        assert_eq!(status.signal(), Some(if signal == "ABRT" { 6 } else { 9 }));
        let leaks: Vec<_> = world
            .found_in("the log", log.as_bytes())
            .into_iter()
            .chain(world.found_in_files())
            .collect();
        assert!(leaks.is_empty(), "{}", leaks.join("\n"));
    }
}

/// Says to this test in a process of its own which canary to hold while it panics.
const PANICS_WITH: &str = "LOCKET_TEST_CANARY";

#[test]
fn a_panic_in_the_midst_of_secrets_tells_none() {
    let canary = Canary::text("held");
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "canaries::ends::panics", "--ignored", "--nocapture"])
        .env(PANICS_WITH, canary.as_str())
        .env("RUST_BACKTRACE", "full")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let told = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&told);
    assert!(
        text.contains("the provider fell over"),
        "the control: it panicked: {text}"
    );
    assert!(
        text.contains("SecretBytes"),
        "the control: the secret's wrapper was printed: {text}"
    );
    assert_eq!(canary.find(&told), None);
}

#[tokio::test]
#[ignore = "panics: the test above runs it in a process of its own"]
#[expect(
    clippy::disallowed_methods,
    reason = "a process of its own is told what to hold by its environment"
)]
async fn panics() {
    let Ok(held) = std::env::var(PANICS_WITH) else {
        return;
    };
    let held = locket_core::SecretBytes::copy_from(held.as_bytes());
    let fetched = locket_core::Fetched::new(held);
    // What a careless `expect`, `assert_eq!` or `panic!` would print: everything that holds a value.
    let credential = locket_providers::Credential::Value(std::sync::Arc::new(
        locket_core::SecretBytes::copy_from(std::env::var(PANICS_WITH).unwrap().as_bytes()),
    ));
    let settings = locket_providers::Settings::default().with_credential("token-file", credential);
    panic!("the provider fell over: {fetched:?} {settings:?}");
}
