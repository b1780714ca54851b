//! Files in memory, mounted into a container of the real engine and read there.

use std::process::Output;

use locket_testkit::services::Engine;

use super::lines::map;
use crate::support::{Scene, eventually};

/// Reads its password from the file that its variable names: at its start, and again when it is told.
const APPLICATION: &str = "connect() { echo \"connected with $(cat \"$DB_PASSWORD_FILE\")\"; }; \
                           trap connect HUP; connect; while :; do sleep 1 & wait; done";

#[test]
fn a_container_reads_its_password_through_the_mount_and_follows_a_rotation() {
    // The engine's `/run` is memory of its own, and what it mounts is not this test's: all happens where it lives.
    let Some(engine) = Engine::start() else { return };
    let scene = Scene::new();
    scene.write("secrets/db", "hunter2");
    map(
        &scene,
        "# reference,path,mode,container,signal\nfile://BASE/secrets/db,/run/secrets/db_password,0600,myapp,HUP\n",
    );
    let inside = |program: &str, arguments: &[&str]| -> Output {
        let output = engine.inside(program).args(arguments).output().unwrap();
        assert!(
            matches!(output.status.code(), Some(0 | 3)),
            "{program}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    };
    inside("mkdir", &["/run/secrets"]);
    let options = "mode=0700,noexec,nosuid,nodev,size=8M";
    inside("mount", &["-t", "tmpfs", "-o", options, "tmpfs", "/run/secrets"]);
    let (map, state) = (scene.path("map.csv"), scene.path("state"));
    let sync = || {
        let mut command = engine.inside(env!("CARGO_BIN_EXE_locket"));
        command.arg("sync").arg(&map).arg("--state-dir").arg(&state);
        command.env("DOCKER_HOST", format!("unix://{}", engine.socket().display()));
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, out, log) = sync();
    assert_eq!(code, Some(3), "{out}{log}");
    assert!(log.contains("there is no container myapp"), "{log}");
    engine.run(&[
        "run",
        "--detach",
        "--name",
        "myapp",
        "--env",
        "DB_PASSWORD_FILE=/run/secrets/db_password",
        "--volume",
        "/run/secrets:/run/secrets:ro",
        "busybox",
        "sh",
        "-c",
        APPLICATION,
    ]);
    let log = || engine.run(&["logs", "myapp"]);
    eventually("it connects", || log() == "connected with hunter2");

    scene.write("secrets/db", "hunter3");
    let (code, out, errors) = sync();
    assert_eq!(code, Some(3), "{out}{errors}");
    assert!(out.starts_with("Updated /run/secrets/db_password from "), "{out}");
    eventually("it follows", || {
        log() == "connected with hunter2\nconnected with hunter3"
    });
    let mounted = inside("stat", &["-f", "-c", "%T", "/run/secrets/db_password"]);
    assert_eq!(String::from_utf8_lossy(&mounted.stdout).trim(), "tmpfs");
    let inspected = engine.run(&["inspect", "myapp"]);
    assert!(
        inspected.contains("DB_PASSWORD_FILE=/run/secrets/db_password"),
        "{inspected}"
    );
    assert!(!inspected.contains("hunter"), "only the path is told");
}
