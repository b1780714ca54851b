//! What happens to a program that locket stays beside.

use std::path::Path;
use std::process::Command;

use crate::support::{Agent, Scene, eventually};

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("secrets/a", "one");
    scene.write("x.env", "A={{ file://secrets/a }}\n");
    scene
}

/// A shell that runs `script` below a locket that stays.
fn stay(scene: &Scene, more: &[&str], script: &str) -> Agent {
    let command = ["--", "sh", "-c", script];
    let words = ["exec", "-e", "x.env", "--watch"]
        .iter()
        .chain(more)
        .chain(&command);
    Agent::start(&mut scene.locket(words))
}

fn lines(scene: &Scene) -> Vec<String> {
    let log = scene.read("log").unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(") ")
        .next()
        .is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn the_status_is_the_programs_or_tells_its_signal() {
    let scene = scene();
    for (script, status) in [
        ("exit 0", 0),
        ("exit 7", 7),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let (ended, log) = stay(&scene, &[], script).wait();
        assert_eq!(ended.code(), Some(status), "{script}: {log}");
    }
    for (program, status) in [("no-such-program", 127), ("./x.env", 126)] {
        let ended = scene
            .locket(["exec", "--watch", "-e", "x.env", "--", program])
            .output()
            .unwrap();
        assert_eq!(ended.status.code(), Some(status), "{program}");
    }
}

#[test]
fn each_signal_reaches_the_whole_group_once() {
    let scene = scene();
    let script = r#"
        for s in HUP INT TERM USR1 WINCH; do trap "echo outer $s >> log" $s; done
        sh -c 'for s in HUP TERM USR1; do trap "echo inner $s >> log" $s; done
               echo ready >> log; while [ ! -e stop ]; do sleep 0.02; done' &
        echo ready >> log
        while [ ! -e stop ]; do sleep 0.02; done
        wait; exit 5"#;
    let agent = stay(&scene, &[], script);
    eventually("both are ready", || lines(&scene).len() == 2);
    for (signal, count) in [("HUP", 2), ("INT", 1), ("USR1", 2), ("WINCH", 1), ("TERM", 2)] {
        agent.signal(signal);
        let told = |line: &String| line.ends_with(&format!(" {signal}"));
        eventually(&format!("{signal} arrives"), || {
            lines(&scene).iter().filter(|line| told(line)).count() >= count
        });
    }
    scene.write("stop", "");
    let (status, _) = agent.wait();
    assert_eq!(status.code(), Some(5));
    let mut told: Vec<_> = lines(&scene).into_iter().filter(|line| line != "ready").collect();
    told.sort();
    assert_eq!(
        told,
        [
            "inner HUP",
            "inner TERM",
            "inner USR1",
            "outer HUP",
            "outer INT",
            "outer TERM",
            "outer USR1",
            "outer WINCH"
        ]
    );
}

#[test]
fn signals_of_a_programs_own_meaning_reach_it_and_end_nothing() {
    let scene = scene();
    // A shell knows real-time signals by number alone: the first and the last.
    let script = r#"
        for s in VTALRM PROF IO PWR 34 64; do trap "echo $s >> log" $s; done
        echo ready >> log
        while [ ! -e stop ]; do sleep 0.02; done; exit 5"#;
    let agent = stay(&scene, &[], script);
    eventually("it is ready", || lines(&scene) == ["ready"]);
    for signal in ["VTALRM", "PROF", "IO", "PWR", "34", "64"] {
        agent.signal(signal);
        eventually(&format!("{signal} arrives"), || {
            lines(&scene).last().is_some_and(|line| line == signal)
        });
    }
    scene.write("stop", "");
    let (status, log) = agent.wait();
    assert_eq!(status.code(), Some(5), "{log}");
}

#[test]
fn nothing_of_its_group_is_left_behind() {
    let scene = scene();
    let script = r#"sleep 1000 & echo $! > left
        sh -c 'trap "" TERM; echo $$ > stubborn; while :; do sleep 0.02; done' &
        while [ ! -s stubborn ]; do sleep 0.02; done; exit 3"#;
    let (status, log) = stay(&scene, &["--timeout", "200ms"], script).wait();
    assert_eq!(status.code(), Some(3), "{log}");
    for name in ["left", "stubborn"] {
        let pid = scene.read(name).unwrap();
        assert!(!is_alive(pid.trim()), "{name}");
    }
}

#[test]
fn a_program_ends_when_locket_is_killed() {
    let scene = scene();
    let agent = stay(&scene, &[], "echo $$ > pid.new; mv pid.new pid; exec sleep 1000");
    eventually("it runs", || scene.read("pid").is_some());
    agent.signal("KILL");
    let pid = scene.read("pid").unwrap();
    eventually("it ends", || !is_alive(pid.trim()));
}

#[test]
fn an_edited_env_file_restarts_the_program_and_an_equal_one_does_not() {
    let scene = scene();
    let script = "echo \"$A,$B\" >> log; exec sleep 1000";
    let agent = stay(&scene, &["--log-level", "debug"], script);
    eventually("it runs", || lines(&scene) == ["one,"]);
    // The same in other words, then the same value by another way. Each is read before the next is written.
    scene.write("x.env", "# a comment\nA=\"{{ file://secrets/a }}\"\n");
    agent.says("files may have changed");
    scene.write("x.env", "A={{ file://secrets/a | trim }}\n");
    agent.says("edit: 1 output, 0 written, 1 unchanged");
    assert_eq!(lines(&scene), ["one,"], "{}", agent.log());
    scene.write("x.env", "A={{ file://secrets/a }}\nB=two\n");
    eventually("it runs again", || lines(&scene) == ["one,", "one,two"]);
    scene.write("x.env", "A={{ file://secrets/nothing }}\n");
    agent.says("file://secrets/nothing");
    // What cannot be resolved changes nothing; what is taken away does.
    scene.write("x.env", "B=two\n");
    eventually("it runs a third time", || {
        lines(&scene) == ["one,", "one,two", ",two"]
    });
    let (status, log) = agent.stop();
    assert_eq!(status.code(), Some(143));
    // A restart that the next one overtook would show here alone.
    assert_eq!(log.matches("restarting sh").count(), 2, "{log}");
}

#[test]
fn a_rotated_secret_restarts_signals_or_does_nothing() {
    for (on_change, expected) in [
        ("restart", vec!["start one", "start two"]),
        ("signal:USR1", vec!["start one", "USR1"]),
    ] {
        let scene = scene();
        let script = r#"trap 'echo USR1 >> log' USR1; echo "start $A" >> log; while :; do sleep 0.02; done"#;
        let agent = stay(&scene, &["--refresh", "100ms", "--on-change", on_change], script);
        eventually("it runs", || lines(&scene).len() == 1);
        scene.write("secrets/a", "two");
        eventually(on_change, || lines(&scene) == expected);
        agent.stop();
    }
    let scene = scene();
    let words = ["--refresh", "50ms", "--on-change", "none", "--map", "in/t:out/t"];
    scene.write("in/t", "{{ file://secrets/a }}");
    let agent = stay(&scene, &words, "echo \"start $A\" >> log; exec sleep 1000");
    eventually("it runs", || lines(&scene).len() == 1);
    scene.write("secrets/a", "two");
    scene.becomes("out/t", "two");
    agent.stop();
    assert_eq!(lines(&scene), ["start one"]);
}

#[test]
fn a_program_that_does_not_end_in_time_is_killed() {
    let scene = scene();
    let script = r#"trap '' TERM; echo "start $A" >> log; while :; do sleep 0.02; done"#;
    let agent = stay(&scene, &["--refresh", "100ms", "--timeout", "100ms"], script);
    eventually("it runs", || lines(&scene).len() == 1);
    scene.write("secrets/a", "two");
    eventually("it runs again", || lines(&scene) == ["start one", "start two"]);
    let (status, log) = agent.stop();
    assert_eq!(status.code(), Some(137), "{log}");
    assert!(log.contains("did not end in time"), "{log}");
}

#[test]
fn a_program_that_is_being_restarted_does_not_come_back_after_a_stop() {
    // In both a restart is under way: the first ends slowly, the second leaves a child behind that does.
    let slow = r#"trap '' INT QUIT; trap 'echo ending >> log; while [ ! -e go ]; do sleep 0.02; done; exit 9' TERM
        echo start >> log; while :; do sleep 0.02; done"#;
    let slow_child = r#"trap '' INT QUIT; sh -c 'trap "echo ending >> log" TERM; echo ready > child
                               while [ ! -e go ]; do sleep 0.02; done' &
        while [ ! -e child ]; do sleep 0.02; done
        trap 'exit 9' TERM; echo start >> log; while :; do sleep 0.02; done"#;
    for script in [slow, slow_child] {
        for signal in ["TERM", "INT", "QUIT"] {
            let scene = scene();
            let agent = stay(&scene, &["--refresh", "100ms", "--log-level", "info"], script);
            eventually("it runs", || lines(&scene) == ["start"]);
            scene.write("secrets/a", "two");
            eventually("it is being restarted", || {
                lines(&scene).contains(&"ending".to_owned())
            });
            agent.signal(signal);
            agent.says("is not started again");
            scene.write("go", "");
            let (status, log) = agent.wait();
            assert_eq!(status.code(), Some(9), "{signal}: {log}");
            let starts = lines(&scene).iter().filter(|line| *line == "start").count();
            assert_eq!(starts, 1, "{signal}");
        }
    }
    // Without a stop it does come back.
    let scene = scene();
    let agent = stay(&scene, &["--refresh", "100ms"], slow_child);
    eventually("it runs", || lines(&scene) == ["start"]);
    scene.write("secrets/a", "two");
    eventually("it is being restarted", || {
        lines(&scene).contains(&"ending".to_owned())
    });
    scene.write("go", "");
    eventually("it runs again", || {
        lines(&scene).iter().filter(|line| *line == "start").count() == 2
    });
    agent.stop();
}

#[test]
fn restarts_that_follow_each_other_wait_longer_and_longer() {
    let scene = scene();
    let agent = stay(
        &scene,
        &["--refresh", "50ms"],
        "echo \"$A\" >> log; exec sleep 1000",
    );
    for round in 2..5 {
        eventually("it runs", || lines(&scene).len() == round - 1);
        scene.write("secrets/a", format!("{round}"));
    }
    agent.says("it is started again in 1s");
    agent.says("it is started again in 2s");
    // What a program would make of it ends nothing while there is none; whoever ends it is not kept waiting.
    agent.signal("HUP");
    agent.signal("TERM");
    let (status, _) = agent.wait();
    assert_eq!(status.code(), Some(143));
}

#[test]
fn the_first_process_of_a_container_waits_for_a_hundred_orphans() {
    let scene = scene();
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let script = r#"
        i=0; while [ $i -lt 100 ]; do (sh -c 'exit 0' &) ; i=$((i+1)); done
        zombies() { grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null | wc -l; }
        tries=0; while [ "$(zombies)" -gt 0 ] && [ $tries -lt 300 ]; do sleep 0.1; tries=$((tries+1)); done
        echo "left: $(zombies)"; cat /proc/1/comm"#;
    let inside = |program: &[&str]| {
        let mut command = Command::new("unshare");
        command
            .args(["--pid", "--fork", "--mount-proc", "--kill-child"])
            .args(program);
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .current_dir(scene.base());
        command.output().unwrap()
    };
    let locket = env!("CARGO_BIN_EXE_locket");
    let ran = inside(&[locket, "exec", "-e", "x.env", "--", "sh", "-c", script]);
    let shown = String::from_utf8_lossy(&ran.stdout);
    assert!(
        shown.contains("left: 0") && shown.contains("locket"),
        "{shown} {}",
        String::from_utf8_lossy(&ran.stderr)
    );
    // A first process that waits for nobody keeps them.
    let idle =
        "import os,sys,time\nif os.fork() == 0: os.execvp('sh', ['sh', '-c', sys.argv[1]])\ntime.sleep(3)";
    let short = script.replace("-lt 300", "-lt 5");
    let kept = inside(&["/usr/bin/python3", "-c", idle, &short]);
    let shown = String::from_utf8_lossy(&kept.stdout);
    assert!(
        shown.contains("left: ") && !shown.contains("left: 0\n"),
        "{shown}"
    );
    assert!(Path::new("/usr/bin/python3").exists());
}

#[test]
fn a_signal_before_the_program_runs_ends_it_all() {
    let scene = Scene::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    scene.write("token", "x");
    let words = [
        "exec",
        "-e",
        "A={{ op://a/b/c }}",
        "--connect.host",
        &address,
        "--connect.token-file",
        "token",
        "--",
        "true",
    ];
    let agent = Agent::start(&mut scene.locket(words));
    let _held = listener.accept().unwrap();
    agent.signal("TERM");
    let (status, _) = agent.wait();
    assert_eq!(status.code(), Some(143));
}
