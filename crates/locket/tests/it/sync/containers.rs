//! Containers of a real engine, told of changes.

use locket_testkit::TestCa;
use locket_testkit::services::Engine;

use super::lines::map;
use crate::support::{Scene, eventually};

/// Says which signal it got, and that it is there.
pub(super) const LISTENER: &str = "trap 'echo got HUP' HUP; trap 'echo got USR1' USR1; echo ready; \
                        while :; do sleep 1 & wait; done";

pub(super) fn start(engine: &Engine, name: &str, more: &[&str]) {
    let mut arguments = vec!["run", "--detach", "--name", name];
    arguments.extend(more);
    arguments.extend(["busybox", "sh", "-c", LISTENER]);
    engine.run(&arguments);
    eventually("the container listens", || times(engine, name, "ready") == 1);
}

pub(super) fn times(engine: &Engine, name: &str, line: &str) -> usize {
    engine
        .run(&["logs", name])
        .lines()
        .filter(|known| *known == line)
        .count()
}

/// One round against `engine`.
pub(super) fn sync(scene: &Scene, engine: &str, more: &[&str]) -> (i32, String) {
    let arguments = ["sync", "map.csv", "--state-dir", "state"];
    let mut command = scene.locket(arguments.iter().chain(more));
    let output = command.env("DOCKER_HOST", engine).output().unwrap();
    (
        output.status.code().unwrap_or(-1),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

#[test]
fn containers_get_their_signal_once_and_missing_or_stopped_ones_hold_nobody_up() {
    let Some(engine) = Engine::start() else { return };
    let host = format!("unix://{}", engine.socket().display());
    start(&engine, "app", &[]);
    start(
        &engine,
        "mail",
        &[
            "--label",
            "com.docker.compose.project=shop",
            "--label",
            "com.docker.compose.service=mail",
        ],
    );
    start(&engine, "stopped", &[]);
    engine.run(&["kill", "stopped"]);
    let scene = Scene::new();
    for name in ["a", "b", "c", "d", "e"] {
        scene.write(&format!("secrets/{name}"), "1");
    }
    map(
        &scene,
        "file://secrets/a,BASE/out/a,,app,HUP\nfile://secrets/b,BASE/out/b,,app,HUP\n\
         file://secrets/c,BASE/out/c,,compose:shop/mail,USR1\nfile://secrets/d,BASE/out/d,,stopped,HUP\n\
         file://secrets/e,BASE/out/e,,nobody,HUP\n",
    );
    let (code, log) = sync(&scene, &host, &[]);
    assert_eq!(code, 3, "{log}");
    assert!(
        log.contains("container:stopped:SIGHUP has nothing to be told: it is not running"),
        "{log}"
    );
    assert!(log.contains("there is no container nobody; `docker ps"), "{log}");
    let told = || {
        (
            times(&engine, "app", "got HUP"),
            times(&engine, "app", "got USR1"),
            times(&engine, "mail", "got HUP"),
            times(&engine, "mail", "got USR1"),
        )
    };
    eventually("both are told", || told() == (1, 0, 0, 1));
    assert_eq!(sync(&scene, &host, &[]).0, 0);
    scene.write("secrets/b", "2");
    assert_eq!(sync(&scene, &host, &[]).0, 3);
    eventually("one is told again", || told() == (2, 0, 0, 1));

    // A restart, and what the image is known for.
    engine.run(&["tag", "busybox", "registry.example/nginx:1"]);
    engine.run(&[
        "run",
        "--detach",
        "--name",
        "proxy",
        "registry.example/nginx:1",
        "sh",
        "-c",
        LISTENER,
    ]);
    eventually("the proxy listens", || times(&engine, "proxy", "ready") == 1);
    map(
        &scene,
        "file://secrets/a,BASE/out/a2,,proxy,auto\nfile://secrets/b,BASE/out/b2,,app,auto\n\
         file://secrets/c,BASE/out/c2,,mail,restart\nfile://secrets/d,BASE/out/d2,,stopped,restart\n",
    );
    let (code, log) = sync(&scene, &host, &[]);
    assert_eq!(code, 3, "{log}");
    assert!(log.contains("how busybox reloads is not known"), "{log}");
    eventually("the proxy is told", || times(&engine, "proxy", "got HUP") == 1);
    assert_eq!(times(&engine, "mail", "ready"), 2, "it was started again");
    assert_eq!(times(&engine, "stopped", "ready"), 1, "what was stopped stays so");
}

#[test]
fn a_container_is_restarted_after_those_that_it_depends_on() {
    let Some(engine) = Engine::shared() else { return };
    let host = format!("unix://{}", engine.socket().display());
    for (project, first, then) in [
        ("forth", "ordered-a", "ordered-b"),
        ("back", "ordered-d", "ordered-c"),
    ] {
        for (name, depends_on) in [
            (first, String::new()),
            (then, format!("{first}:service_started:true")),
        ] {
            let labels = [
                format!("com.docker.compose.project={project}"),
                format!("com.docker.compose.service={name}"),
                format!("com.docker.compose.depends_on={depends_on}"),
            ];
            let mut more = vec!["--stop-signal", "KILL"];
            more.extend(labels.iter().flat_map(|label| ["--label", label]));
            start(engine, name, &more);
        }
        let scene = Scene::new();
        scene.write("secrets/a", "1");
        // In the order of their names, whatever depends on what.
        let mut names = [first, then];
        names.sort_unstable();
        let rows = names.map(|name| format!("file://secrets/a,BASE/out/{name},,{name},restart\n"));
        map(&scene, &rows.concat());
        let (code, log) = sync(&scene, &host, &[]);
        assert_eq!(code, 3, "{log}");
        let started = |name: &str| {
            let at = engine.run(&["inspect", "--format", "{{.State.StartedAt}}", name]);
            at.trim_end_matches('Z').to_owned()
        };
        assert_eq!(
            (times(engine, first, "ready"), times(engine, then, "ready")),
            (2, 2)
        );
        assert!(started(first) < started(then), "{first} before {then}");
    }
}

#[test]
fn an_engine_that_is_down_costs_a_line_and_no_file_and_is_told_when_it_is_back() {
    let Some(engine) = Engine::start() else { return };
    start(&engine, "app", &[]);
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    map(&scene, "file://secrets/a,BASE/out/a,,app,HUP\n");
    let nowhere = format!("unix://{}", scene.path("no.sock").display());
    let (code, log) = sync(&scene, &nowhere, &["--notify-timeout", "1s"]);
    assert_eq!(code, 1, "{log}");
    assert!(log.contains("ERR: notify container:app:SIGHUP failed"), "{log}");
    assert!(
        log.contains("does not listen: start it, or set DOCKER_HOST"),
        "{log}"
    );
    assert_eq!(scene.read("out/a").as_deref(), Some("1"));
    let (code, log) = sync(&scene, &format!("unix://{}", engine.socket().display()), &[]);
    assert_eq!(code, 0, "{log}");
    eventually("it is told", || times(&engine, "app", "got HUP") == 1);
}

#[test]
fn an_engine_behind_tls_is_told_by_those_who_have_a_certificate() {
    let ca = TestCa::new();
    let Some(engine) = Engine::start_with_tls(&ca) else {
        return;
    };
    start(&engine, "app", &[]);
    let scene = Scene::new();
    let leaf = ca.client_leaf("locket");
    scene.write("tls/ca.pem", ca.pem());
    scene.write("tls/cert.pem", leaf.certificate_pem);
    scene.write("tls/key.pem", leaf.key_pem);
    scene.write("stranger/ca.pem", ca.pem());
    let other = TestCa::new().client_leaf("stranger");
    scene.write("stranger/cert.pem", other.certificate_pem);
    scene.write("stranger/key.pem", other.key_pem);
    scene.write("secrets/a", "1");
    map(&scene, "file://secrets/a,BASE/out/a,,app,HUP\n");
    let round = |certificates: &str| {
        let arguments = [
            "sync",
            "map.csv",
            "--state-dir",
            "state",
            "--notify-timeout",
            "3s",
        ];
        let mut command = scene.locket(arguments);
        command
            .env("DOCKER_HOST", "tcp://127.0.0.1:2376")
            .env("DOCKER_TLS_VERIFY", "1")
            .env("DOCKER_CERT_PATH", scene.path(certificates));
        let output = engine.beside(&command).output().unwrap();
        let log = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), log)
    };
    let (code, log) = round("stranger");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("ERR: notify container:app:SIGHUP failed"), "{log}");
    assert_eq!(
        scene.read("out/a").as_deref(),
        Some("1"),
        "the file is there all the same"
    );
    assert_eq!(times(&engine, "app", "got HUP"), 0);
    let (code, log) = round("tls");
    assert_eq!(code, Some(0), "{log}");
    eventually("it is told", || times(&engine, "app", "got HUP") == 1);
}
