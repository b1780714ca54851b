//! What a kill or a closed door between a file and its consumer costs: never the word, at most a second one.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};

use locket_testkit::services::Engine;

use super::containers::{start, sync, times};
use super::lines::map;
use crate::support::{Scene, eventually};

/// Where a signal is held up on its way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    /// The engine never hears of it.
    BeforeItIsSent,
    /// The engine has sent it; the answer never comes.
    BeforeItIsRecorded,
}

/// A door in front of an engine that lets everything pass but the answer to a signal, or the signal.
fn door(scene: &Scene, engine: &Engine, hold: Hold) -> (String, Receiver<()>) {
    let path = scene.path("door.sock");
    let _ = fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let (held, told) = channel();
    let target = engine.socket();
    #[expect(clippy::disallowed_methods, reason = "a door stands open beside the test")]
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let (target, held) = (target.clone(), held.clone());
            std::thread::spawn(move || pass(client, &target, hold, &held));
        }
    });
    (format!("unix://{}", path.display()), told)
}

fn pass(mut client: UnixStream, target: &Path, hold: Hold, held: &Sender<()>) {
    let mut engine = UnixStream::connect(target).unwrap();
    let mut buffer = [0; 65536];
    loop {
        let Ok(length @ 1..) = client.read(&mut buffer) else {
            return;
        };
        let request = String::from_utf8_lossy(&buffer[..length]).into_owned();
        let is_signal = request.starts_with("POST ") && request.contains("/kill?");
        if is_signal && hold == Hold::BeforeItIsSent {
            let _ = held.send(());
            // Until the client is killed.
            while client.read(&mut buffer).is_ok_and(|length| length > 0) {}
            return;
        }
        engine.write_all(&buffer[..length]).unwrap();
        let length = engine.read(&mut buffer).unwrap();
        if is_signal {
            let _ = held.send(());
            while client.read(&mut buffer).is_ok_and(|length| length > 0) {}
            return;
        }
        client.write_all(&buffer[..length]).unwrap();
        // What follows of a long answer.
        engine.set_nonblocking(true).unwrap();
        eventually("the answer is whole", || match engine.read(&mut buffer) {
            Ok(length @ 1..) => client.write_all(&buffer[..length]).is_err(),
            _ => true,
        });
        engine.set_nonblocking(false).unwrap();
    }
}

/// A round that is killed while its signal is held up.
fn killed_round(scene: &Scene, host: &str, held: &Receiver<()>) {
    let arguments = ["sync", "map.csv", "--state-dir", "state"];
    let mut round = scene
        .locket(arguments)
        .env("DOCKER_HOST", host)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    held.recv_timeout(std::time::Duration::from_secs(60)).unwrap();
    round.kill().unwrap();
    round.wait().unwrap();
}

/// Everything that was sent to the container before this has arrived when this has.
fn fence(engine: &Engine, name: &str) {
    let before = times(engine, name, "got USR1");
    engine.run(&["kill", "--signal", "USR1", name]);
    eventually("the fence arrives", || {
        times(engine, name, "got USR1") == before + 1
    });
}

#[test]
fn a_kill_between_the_file_and_the_signal_delays_the_signal_and_one_behind_it_repeats_it_once() {
    let Some(engine) = Engine::shared() else { return };
    let host = format!("unix://{}", engine.socket().display());
    for (name, hold, after_the_kill) in [
        ("unsent", Hold::BeforeItIsSent, 0),
        ("unrecorded", Hold::BeforeItIsRecorded, 1),
    ] {
        start(engine, name, &[]);
        let scene = Scene::new();
        scene.write("secrets/a", "1");
        map(&scene, &format!("file://secrets/a,BASE/out/a,,{name},HUP\n"));
        let (held_host, held) = door(&scene, engine, hold);
        killed_round(&scene, &held_host, &held);
        assert_eq!(
            scene.read("out/a").as_deref(),
            Some("1"),
            "{name}: the file is in place"
        );
        fence(engine, name);
        assert_eq!(times(engine, name, "got HUP"), after_the_kill, "{name}");

        let (code, log) = sync(&scene, &host, &[]);
        assert_eq!(code, 0, "{name}: nothing changed since: {log}");
        assert!(
            log.contains("is told of a change that an earlier run could not tell it"),
            "{log}"
        );
        fence(engine, name);
        assert_eq!(times(engine, name, "got HUP"), after_the_kill + 1, "{name}");

        assert_eq!(sync(&scene, &host, &[]).0, 0);
        fence(engine, name);
        assert_eq!(
            times(engine, name, "got HUP"),
            after_the_kill + 1,
            "{name}: once is enough"
        );
    }
}

#[test]
fn a_socket_that_may_not_be_opened_costs_a_line_with_the_group_and_no_file() {
    let scene = Scene::new();
    let nobody = 65534;
    // A place that another user reaches.
    let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    let program = scene.path("locket");
    fs::copy(env!("CARGO_BIN_EXE_locket"), &program).unwrap();
    open(&program);
    open(scene.base());
    scene.write("secrets/a", "1");
    map(&scene, "file://secrets/a,BASE/out/a,,app,HUP\n");
    fs::create_dir(scene.path("out")).unwrap();
    fs::create_dir(scene.path("state")).unwrap();
    let socket = scene.path("engine.sock");
    let _listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o660)).unwrap();
    if ["out", "state"]
        .iter()
        .any(|name| chown(scene.path(name), Some(nobody), Some(nobody)).is_err())
    {
        println!("skipped: only root can become another user");
        return;
    }
    let output = Command::new(&program)
        .args([
            "sync",
            "map.csv",
            "--state-dir",
            "state",
            "--notify-timeout",
            "1s",
        ])
        .current_dir(scene.base())
        .env_clear()
        .env("DOCKER_HOST", format!("unix://{}", socket.display()))
        .uid(nobody)
        .gid(nobody)
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{log}");
    assert!(log.contains("ERR: notify container:app:SIGHUP failed"), "{log}");
    assert!(
        log.contains("may not be spoken to by this user: run locket as root or with the socket's group 0"),
        "{log}"
    );
    assert_eq!(scene.read("out/a").as_deref(), Some("1"));
}
