use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

use locket_testkit::{Response, Server};

use crate::support::{Agent, Mount, Scene};

#[test]
fn a_token_that_nobody_writes_holds_up_no_other_output_and_not_the_end() {
    let scene = Scene::new();
    let pipe = scene.path("token");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, mode).unwrap();
    scene.write("in/needs-it", "{{ bao://secret/app/a }}");
    scene.write("in/needs-it-not", "{{ env://FOO }}");
    let server = Server::start(|_| Response::status(403));
    let agent = Agent::start(
        scene
            .locket(["run", "--map", "in:out", "--request-timeout", "1h"])
            .args(["--bao.url", &server.url(), "--bao.token-file", "token"])
            .env("FOO", "bar"),
    );
    scene.becomes("out/needs-it-not", "bar");
    let (status, log) = agent.stop();
    assert!(status.code().is_some(), "it had to be killed: {log}");

    let ask = |deadline| {
        let mut command = scene.locket(["get", "--deadline", deadline]);
        command.args(["--bao.url", &server.url(), "--bao.token-file", "token"]);
        let asked = command.arg("bao://secret/app/a").output().unwrap();
        assert!(!asked.status.success());
        String::from_utf8_lossy(&asked.stderr).into_owned()
    };
    let log = ask("2s");
    assert_eq!(server.request_count(), 0, "{log}");
    #[expect(clippy::disallowed_methods, reason = "plays the other end of the pipe")]
    let writing = std::thread::spawn(move || fs::write(pipe, "the-token\n"));
    let log = ask("60s");
    writing.join().unwrap().unwrap();
    let requests = server.requests();
    let shown = requests
        .first()
        .and_then(|request| request.header("x-vault-token"));
    assert_eq!(shown, Some("the-token"), "{log}");
}

#[test]
fn a_full_file_system_loses_nothing_and_says_what_to_do() {
    let scene = Scene::new();
    let _mount = Mount::tmpfs(&scene.path("out"), "64k");
    scene.write("secrets/a", "small");
    scene.write("in/t", "{{ file://secrets/a }}\n---\n");
    let first = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
    assert!(
        first.status.success(),
        "{}",
        String::from_utf8_lossy(&first.stderr)
    );
    scene.write("secrets/a", "large ".repeat(20_000));
    let full = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
    let log = String::from_utf8_lossy(&full.stderr).into_owned();
    assert_eq!(full.status.code(), Some(1), "{log}");
    assert!(log.contains("space") && log.contains("out/t"), "{log}");
    assert_eq!(
        scene.read("out/t").as_deref(),
        Some("small\n---\n"),
        "the old content is there"
    );
    assert_eq!(
        fs::read_dir(scene.path("out")).unwrap().count(),
        1,
        "nothing is left over"
    );
}

#[test]
fn what_fits_one_after_another_fits_when_much_is_written_at_once() {
    let scene = Scene::new();
    let _mount = Mount::tmpfs(&scene.path("out"), "10m");
    // Enough of them that two threads share the work, and a large one in the part of each.
    scene.write("in/a", "{{ file://secrets/large }}\n---\n");
    scene.write("in/z", "{{ file://secrets/large }}\n---\n");
    for index in 0..64 {
        scene.write(&format!("in/m{index:02}"), "{{ file://secrets/small }}\n---\n");
    }
    let inject = |letter: &str, megabytes: usize| {
        scene.write("secrets/large", letter.repeat(megabytes << 20));
        scene.write("secrets/small", letter);
        let done = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
        (
            done.status.code(),
            String::from_utf8_lossy(&done.stderr).into_owned(),
        )
    };
    for letter in ["a", "b", "c", "d", "e", "f"] {
        let (code, log) = inject(letter, 3);
        assert_eq!(code, Some(0), "{letter}: {log}");
        for output in ["out/a", "out/z"] {
            let text = scene.read(output).unwrap();
            assert!(text.starts_with(letter) && text.len() > 3 << 20, "{output}");
        }
    }
    let (code, log) = inject("g", 6);
    assert_eq!(code, Some(1), "{log}");
    assert!(
        scene.read("out/a").unwrap().starts_with('f'),
        "old and new do not fit"
    );
}

#[test]
fn a_read_only_destination_is_refused_at_the_start() {
    let scene = Scene::new();
    scene.write("in/t", "text");
    scene.write("out/t", "old");
    let _mount = Mount::read_only(&scene.path("out"));
    let refused = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
    let log = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{log}");
    assert!(log.contains("ead-only") && log.contains(":ro"), "{log}");
    assert_eq!(scene.read("out/t").as_deref(), Some("old"));
}

#[test]
fn a_link_in_the_place_of_an_output_is_replaced_and_never_followed() {
    let scene = Scene::new();
    scene.write("in/t", "secret text");
    scene.write("victim", "another user's file");
    chown(scene.path("victim"), Some(12_345), Some(12_345)).unwrap();
    fs::create_dir(scene.path("out")).unwrap();
    symlink(scene.path("victim"), scene.path("out/t")).unwrap();
    let done = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(scene.read("victim").as_deref(), Some("another user's file"));
    let metadata = fs::symlink_metadata(scene.path("out/t")).unwrap();
    assert!(metadata.is_file());
    assert_eq!(metadata.permissions().mode() & 0o7777, 0o600);
    assert_eq!(scene.read("out/t").as_deref(), Some("secret text"));
}

#[test]
fn a_link_on_the_way_to_an_output_is_not_followed_out_of_the_destination() {
    let scene = Scene::new();
    scene.write("in/sub/t", "secret text");
    scene.write("in/good", "good");
    fs::create_dir_all(scene.path("out")).unwrap();
    fs::create_dir_all(scene.path("elsewhere")).unwrap();
    symlink(scene.path("elsewhere"), scene.path("out/sub")).unwrap();
    let done = scene.locket(["inject", "--map", "in:out"]).output().unwrap();
    let log = String::from_utf8_lossy(&done.stderr).into_owned();
    assert_eq!(done.status.code(), Some(1), "{log}");
    assert!(log.contains("out/sub"), "{log}");
    assert_eq!(fs::read_dir(scene.path("elsewhere")).unwrap().count(), 0);
    assert_eq!(
        scene.read("out/good").as_deref(),
        Some("good"),
        "the other output is written"
    );
}

#[test]
fn modes_and_owners_are_exact_whatever_the_umask() {
    let scene = Scene::new();
    scene.write("in/sub/t", "text");
    let script = format!(
        "umask 077; exec {} inject --map in:out --file-mode 0644 --dir-mode 0755 --user 1234:4321",
        env!("CARGO_BIN_EXE_locket")
    );
    let status = std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(scene.base())
        .status();
    assert!(status.unwrap().success());
    let file = fs::metadata(scene.path("out/sub/t")).unwrap();
    assert_eq!(
        (file.mode() & 0o7777, file.uid(), file.gid()),
        (0o644, 1234, 4321)
    );
    let dir = fs::metadata(scene.path("out/sub")).unwrap();
    assert_eq!((dir.mode() & 0o7777, dir.uid(), dir.gid()), (0o755, 1234, 4321));
    // Equal content: no write, but the mode is put right.
    fs::set_permissions(scene.path("out/sub/t"), fs::Permissions::from_mode(0o666)).unwrap();
    let inode = file.ino();
    std::process::Command::new("sh")
        .args(["-c", &script])
        .current_dir(scene.base())
        .status()
        .unwrap();
    let file = fs::metadata(scene.path("out/sub/t")).unwrap();
    assert_eq!((file.mode() & 0o7777, file.ino()), (0o644, inode));
}

#[test]
fn plans_that_would_lose_something_are_refused_at_the_start() {
    let scene = Scene::new();
    scene.write("in/t", "text");
    scene.write("other/t", "text");
    let cases: [(&[&str], &str); 3] = [
        (&["--map", "in:out", "--map", "other:out"], "both"),
        (&["--map", "in:in/out"], "inside"),
        (&["--map", "nowhere:out"], "nowhere"),
    ];
    for (maps, expected) in cases {
        let refused = scene.locket(["inject"].iter().chain(maps)).output().unwrap();
        let log = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{maps:?}: {log}");
        assert!(log.contains(expected), "{maps:?}: {log}");
        assert!(scene.read("out/t").is_none(), "{maps:?}");
    }
}

#[test]
fn a_pipe_in_the_place_of_a_template_does_not_empty_its_output() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    scene.write("t", "x={{ file://secrets/a }}");
    let inject = || scene.locket(["inject", "--map", "t:out/t"]).output().unwrap();
    assert!(inject().status.success());
    fs::remove_file(scene.path("t")).unwrap();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, scene.path("t"), mode).unwrap();
    let refused = inject();
    let log = String::from_utf8_lossy(&refused.stderr);
    assert_eq!(refused.status.code(), Some(4), "{log}");
    assert!(log.contains("t is a FIFO, not a regular file"), "{log}");
    assert_eq!(scene.read("out/t").as_deref(), Some("x=v"));
}

#[test]
fn a_template_is_not_overwritten_with_what_is_made_of_it() {
    let scene = Scene::new();
    scene.write("secrets/a", "v");
    let template = "x={{ file://secrets/a }}";
    scene.write("t", template);
    symlink("t", scene.path("link")).unwrap();
    for (words, code) in [
        (&["inject", "--map", "t:t"][..], 2),
        (&["inject", "--map", "link:t"], 2),
        (&["inject", "--secret", "t=@t", "--out", "."], 2),
        (&["exec", "--map", "t:t", "--", "true"], 125),
    ] {
        let refused = scene.locket(words).output().unwrap();
        let log = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(code), "{words:?}: {log}");
        assert!(log.contains("would be written over it"), "{log}");
        assert_eq!(scene.read("t").as_deref(), Some(template), "{words:?}");
    }
}

#[test]
fn a_single_round_that_cannot_look_at_labels_fails_and_does_the_rest() {
    let scene = Scene::new();
    scene.write("locket.toml", "[labels]\nallow = ['env://A']\n");
    let words = [
        "run",
        "--mode",
        "one-shot",
        "--docker-labels",
        "--config",
        "locket.toml",
    ];
    let more = [
        "--secret",
        "x=1",
        "--out",
        "out",
        "--status-file",
        "status",
        "--deadline",
        "100ms",
    ];
    let failed = scene
        .locket(words.iter().chain(&more))
        .env("DOCKER_HOST", "unix:///none")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&failed.stderr);
    assert_eq!(failed.status.code(), Some(1), "{log}");
    assert!(
        log.contains("the labels of containers could not be read"),
        "{log}"
    );
    assert_eq!(scene.read("out/x").as_deref(), Some("1"));
    assert_eq!(scene.status()["state"], "failed");
    let health = scene
        .locket(["healthcheck", "--status-file", "status"])
        .output()
        .unwrap();
    assert_eq!(health.status.code(), Some(1));
    let said = String::from_utf8_lossy(&[health.stdout, health.stderr].concat()).into_owned();
    assert!(said.contains("labels of containers"), "{said}");
}

#[test]
fn an_audit_log_that_cannot_be_opened_is_found_by_doctor_and_leaves_no_status_file() {
    let scene = Scene::new();
    for log in ["log/a.jsonl", "in"] {
        scene.write(
            "locket.toml",
            format!("[run]\naudit-log = '{log}'\nstate-dir = 'state'\n"),
        );
        let with = |command| {
            let words = [
                command,
                "--config",
                "locket.toml",
                "--secret",
                "x=1",
                "--out",
                "out",
            ];
            let words = words.iter().chain(&["--status-file", "status"]);
            scene.locket(words).output().unwrap()
        };
        let refused = with("inject");
        let told = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(!scene.path("status").exists(), "{told}");
        let looked = with("doctor");
        let told = String::from_utf8_lossy(&[looked.stdout, looked.stderr].concat()).into_owned();
        assert_eq!(looked.status.code(), Some(1), "{told}");
        assert!(
            told.contains("the audit log") && told.contains("would not start"),
            "{told}"
        );
    }
}

#[test]
fn a_single_round_waits_for_an_engine_that_comes_up_and_does_the_rest_meanwhile() {
    let scene = Scene::new();
    scene.write(
        "locket.toml",
        "[labels]\nallow = ['env://A', 'file:///run/secrets/*']\n",
    );
    let socket = scene.path("engine");
    let mut agent = scene.locket(["run", "--mode", "one-shot", "--docker-labels"]);
    agent.args([
        "--config",
        "locket.toml",
        "--secret",
        "x=1",
        "--out",
        "out",
        "--log-level",
        "debug",
    ]);
    agent.env("DOCKER_HOST", format!("unix://{}", socket.display()));
    let agent = Agent::start(agent.env("A", "of the label"));
    agent.says("labels of containers cannot be read");
    scene.becomes("out/x", "1");
    let listener = std::os::unix::net::UnixListener::bind(socket).unwrap();
    #[expect(clippy::disallowed_methods, reason = "plays an engine with one container")]
    let _engine = std::thread::spawn(move || {
        let labels =
            r#"{"locket.secret.a":"{{ env://A }}","locket.secret.b":"{{ file:///run/secrets/none }}"}"#;
        let list = format!(r#"[{{"Id":"c0","Names":["/web"],"State":"running","Labels":{labels}}}]"#);
        for mut stream in listener.incoming().map_while(Result::ok) {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let length = list.len();
            let answer = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\
                 Connection: close\r\n\r\n{list}"
            );
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let (status, log) = agent.wait();
    assert_eq!(scene.read("out/web/a").as_deref(), Some("of the label"), "{log}");
    assert_eq!(
        status.code(),
        Some(4),
        "what the label b names is not there: {log}"
    );
    assert!(
        log.contains("/run/secrets/none") && !log.contains("Landlock"),
        "{log}"
    );
}

#[test]
fn a_single_round_that_waits_for_an_engine_can_be_stopped() {
    let scene = Scene::new();
    scene.write("locket.toml", "[labels]\nallow = ['env://A']\n");
    let mut agent = scene.locket(["run", "--mode", "one-shot", "--docker-labels"]);
    agent.args(["--config", "locket.toml", "--secret", "x=1", "--out", "out"]);
    agent.args(["--deadline", "1h"]);
    let agent = Agent::start(agent.env("DOCKER_HOST", "unix:///none"));
    scene.becomes("out/x", "1");
    let (status, log) = agent.stop();
    assert_eq!(status.code(), Some(1), "{log}");
}
