//! What the image of a binary weighs, how soon a container of it is healthy, and what it then holds in memory.
//!
//! Usage: `locket-bench image DOCKERFILE CONTEXT`; prints bytes, milliseconds and KiB, or nothing where no engine is
//! installed. `cargo xtask features --sizes` does it for every set.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use locket_testkit::services::Engine;

use crate::process::median;

/// Containers that are started; the middle one counts.
const TURNS: usize = 5;

/// A container as people are told to run it, with one secret of a provider that every build has.
const RUN: &[&str] = &[
    "run",
    "--detach",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--network",
    "none",
    "--env",
    "VALUE=x",
    "measured",
    "--mode",
    "park",
    "--out",
    "/dev/shm/out",
    "--secret",
    "a={{ env://VALUE }}",
];

pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) {
    let mut next = || arguments.next().and_then(|word| word.into_string().ok());
    let file = next().expect("the path of the Dockerfile");
    let context = next().expect("the directory that the image is made of");
    let Some(engine) = Engine::start() else { return };
    engine.run(&["build", "--quiet", "--file", &file, "--tag", "measured", &context]);
    let bytes = engine.run(&["image", "inspect", "--format", "{{.Size}}", "measured"]);
    let mut times = Vec::new();
    let mut resident = Vec::new();
    for _ in 0..TURNS {
        let started = Instant::now();
        let id = engine.run(RUN);
        times.push(healthy(&engine, &id, started));
        resident.push(held(&engine, &id));
        engine.run(&["rm", "--force", &id]);
    }
    resident.sort_unstable();
    println!("{bytes} {} {}", median(times).as_millis(), resident[TURNS / 2]);
}

/// How long it is since `started` when the engine calls the container healthy.
fn healthy(engine: &Engine, id: &str, started: Instant) -> Duration {
    loop {
        match engine
            .run(&["inspect", "--format", "{{.State.Health.Status}}", id])
            .as_str()
        {
            "healthy" => return started.elapsed(),
            "starting" => assert!(started.elapsed() < Duration::from_secs(60), "it is never healthy"),
            other => panic!("{other}: {}", engine.run(&["logs", id])),
        }
    }
}

/// What its process holds in memory, in KiB.
fn held(engine: &Engine, id: &str) -> u64 {
    let pid = engine.run(&["inspect", "--format", "{{.State.Pid}}", id]);
    let status = engine.inside("cat").arg(format!("/proc/{pid}/status")).output();
    let status = String::from_utf8(status.expect("cat runs").stdout).expect("a text");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number
        .and_then(|number| number.parse().ok())
        .expect("a running container")
}
