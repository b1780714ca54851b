//! One action, told by each command that makes outputs.

use super::World;
use crate::support::{Agent, eventually};

const LISTENER: &str = "trap 'echo told' HUP; echo ready; while :; do sleep 1 & wait; done";

#[test]
fn a_container_is_told_once_of_each_change_whichever_command_makes_it() {
    let Some(world) = World::new() else { return };
    let _plugin = world.plugin();
    world.engine.run(&[
        "run", "--detach", "--name", "app", "busybox", "sh", "-c", LISTENER,
    ]);
    let lines = |line: &str| {
        let log = world.engine.run(&["logs", "app"]);
        log.lines().filter(|known| *known == line).count()
    };
    eventually("the container listens", || lines("ready") == 1);
    // One signal at a time: two of a kind that wait at once are one to the kernel.
    let mut told = 0;
    let mut is_told = |by: &str| {
        told += 1;
        eventually(by, || lines("told") >= told);
        assert_eq!(lines("told"), told, "{by}: once");
    };
    let action = "container:app:HUP";
    let reference = world.secret("a", "1");
    let host = format!("unix://{}", world.engine.socket().display());
    let locket = |words: &[&str]| {
        let mut command = world.scene.locket(words);
        command.env("DOCKER_HOST", &host);
        command
    };
    let rotate = |value: &str| world.scene.write("secrets/a", value);
    world.scene.write("in/t", format!("{{{{ {reference} }}}}"));
    world.scene.write(
        "map.csv",
        format!("{reference},{},,app,HUP\n", world.scene.path("synced").display()),
    );

    let run = [
        "run",
        "--map",
        "in:run",
        "--notify",
        action,
        "--state-dir",
        "s-run",
    ];
    let agent = Agent::start(&mut locket(&run));
    is_told("run, of its first outputs");
    rotate("2");
    agent.signal("HUP");
    is_told("run, of a rotation");
    agent.stop();

    let sync = ["sync", "map.csv", "--state-dir", "s-sync"];
    assert_eq!(locket(&sync).status().unwrap().code(), Some(3));
    is_told("sync, of its first outputs");
    rotate("3");
    assert_eq!(locket(&sync).status().unwrap().code(), Some(3));
    is_told("sync, of a rotation");
    assert_eq!(locket(&sync).status().unwrap().code(), Some(0));

    let exec = [
        "exec",
        "--map",
        "in:exec",
        "--notify",
        action,
        "--state-dir",
        "s-exec",
        "--refresh",
        "100ms",
        "--on-change",
        "none",
        "--",
        "sleep",
        "100",
    ];
    let agent = Agent::start(&mut locket(&exec));
    is_told("exec, of its first outputs");
    rotate("4");
    is_told("exec, of a rotation");
    agent.stop();

    world.create(
        "vol",
        &[
            ("secret.a", &format!("{{{{ {reference} }}}}")),
            ("refresh", "100ms"),
            ("notify", action),
        ],
    );
    // Whoever mounts it finds its files: nobody has to be told of the first ones.
    world.start("user", "vol");
    assert_eq!(world.read("user", "a"), "4");
    rotate("5");
    is_told("a volume, of a rotation");
    eventually("the volume follows", || world.read("user", "a") == "5");
}
