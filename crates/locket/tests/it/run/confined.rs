//! What an agent gives up when it starts, seen from outside: each refusal beside the same run without the sandbox.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use locket_sys::landlock;
use tempfile::TempDir;

use crate::support::{Agent, Mount, Scene, eventually};

/// Whether the kernel can deny anything; says so where it cannot.
fn is_supported() -> bool {
    landlock::version()
        .inspect_err(|refused| println!("skipped: {refused}"))
        .is_ok()
}

/// An agent that has written its first output, which shows that it is confined if it is ever to be.
fn started(scene: &Scene, more: &[&str]) -> Agent {
    scene.write("secrets/a", "1");
    scene.write("in/t", "{{ file://secrets/a }}");
    let agent = scene.watch(more);
    scene.becomes("out/t", "1");
    agent
}

const OFF: &[&str] = &["--sandbox", "off"];

#[test]
fn a_template_edited_to_name_a_file_elsewhere_gets_nothing_and_says_why() {
    if !is_supported() {
        return;
    }
    let elsewhere = TempDir::new().unwrap();
    fs::write(elsewhere.path().join("other"), "elsewhere").unwrap();
    let edit = format!("{{{{ file://{}/other }}}}", elsewhere.path().display());

    let scene = Scene::new();
    let agent = started(&scene, &[]);
    scene.write("in/t", &edit);
    agent.says("gave up this place when it started (Landlock)");
    assert_eq!(
        scene.read("out/t").as_deref(),
        Some("1"),
        "the last good output stays"
    );
    drop(agent);
    // A restart takes the place in, as it was told.
    let agent = scene.watch(&[]);
    scene.becomes("out/t", "elsewhere");
    drop(agent);

    let control = Scene::new();
    let _agent = started(&control, OFF);
    control.write("in/t", &edit);
    control.becomes("out/t", "elsewhere");
}

#[test]
fn nothing_is_written_outside_of_the_destinations_wherever_these_are_turned() {
    if !is_supported() {
        return;
    }
    for (more, is_confined) in [(&[][..], true), (OFF, false)] {
        let elsewhere = TempDir::new().unwrap();
        let scene = Scene::new();
        let agent = started(&scene, more);
        // A link of the agent's own user on the way to a destination is followed, so that only the kernel says no.
        fs::rename(scene.path("out"), scene.path("away")).unwrap();
        symlink(elsewhere.path(), scene.path("out")).unwrap();
        scene.write("secrets/a", "2");
        agent.signal("HUP");
        let planted = elsewhere.path().join("t");
        if is_confined {
            agent.says("cannot write");
            agent.says("gave up this place when it started (Landlock)");
            assert!(!planted.exists());
        } else {
            eventually("the link is followed", || {
                fs::read_to_string(&planted).is_ok_and(|text| text == "2")
            });
        }
    }
}

#[test]
fn a_configuration_that_needs_more_stays_unused_until_a_restart() {
    if !is_supported() {
        return;
    }
    let elsewhere = TempDir::new().unwrap();
    let map = |out: &str| format!("[[map]]\nsource = 'in'\ndestination = '{out}'\n");
    let moved = map(elsewhere.path().join("out").to_str().unwrap());
    let start = |scene: &Scene, more: &[&str]| {
        scene.write("secrets/a", "1");
        scene.write("in/t", "{{ file://secrets/a }}");
        scene.write("locket.toml", map("out"));
        fs::set_permissions(scene.path("locket.toml"), fs::Permissions::from_mode(0o600)).unwrap();
        let agent = Agent::start(&mut scene.locket(["run", "--debounce", "30ms"].iter().chain(more)));
        scene.becomes("out/t", "1");
        agent
    };
    let scene = Scene::new();
    let agent = start(&scene, &[]);
    scene.write("locket.toml", &moved);
    agent.signal("HUP");
    agent.says("the configuration that was read again stays unused");
    agent.says("Restart it; until then the configuration before it stays in force.");
    scene.write("secrets/a", "2");
    agent.signal("HUP");
    scene.becomes("out/t", "2");
    assert!(!elsewhere.path().join("out").exists());
    // One that runs programs, too.
    scene.write("locket.toml", map("out") + "[[notify]]\naction = 'exec:true'\n");
    agent.signal("HUP");
    agent.says("run programs, since `exec:true`");
    // One that stays within is taken.
    scene.write("secrets/b", "3");
    scene.write("locket.toml", map("out/below"));
    agent.signal("HUP");
    scene.becomes("out/below/t", "2");
    drop(agent);

    let control = Scene::new();
    let agent = start(&control, OFF);
    control.write("locket.toml", &moved);
    agent.signal("HUP");
    let there = elsewhere.path().join("out/t");
    eventually("the new destination is used", || there.exists());
}

#[test]
fn a_destination_that_is_not_there_is_made_with_the_mode_asked_for() {
    let scene = Scene::new();
    scene.write("in/t", "text");
    let mut command = scene.locket(["inject", "--map", "in:deep/er/out", "--dir-mode", "0711"]);
    assert!(command.status().unwrap().success());
    assert_eq!(scene.read("deep/er/out/t").as_deref(), Some("text"));
    let mode = fs::metadata(scene.path("deep/er/out"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o711);
}

#[test]
fn single_files_are_followed_and_replaced_and_new_directories_below_too() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    scene.write("one/t", "{{ file://secrets/a }}");
    let arguments = ["run", "--map", "one/t:two/o", "--debounce", "30ms"];
    let _agent = Agent::start(&mut scene.locket(arguments));
    scene.becomes("two/o", "1");
    scene.write("one/next", "again {{ file://secrets/a }}");
    fs::rename(scene.path("one/next"), scene.path("one/t")).unwrap();
    scene.becomes("two/o", "again 1");
    drop(_agent);
    let agent = started(&scene, &[]);
    scene.write("in/new/deep/t", "deep {{ file://secrets/a }}");
    scene.becomes("out/new/deep/t", "deep 1");
    // A token or secret saved by a rename is another file.
    scene.write("secrets/next", "2");
    fs::rename(scene.path("secrets/next"), scene.path("secrets/a")).unwrap();
    agent.signal("HUP");
    scene.becomes("out/new/deep/t", "deep 2");
}

#[test]
fn a_file_system_mounted_below_stays_open_and_one_mounted_over_is_told() {
    if !rustix::process::geteuid().is_root() || !is_supported() {
        println!("skipped: only root can mount");
        return;
    }
    let scene = Scene::new();
    let agent = started(&scene, &[]);
    let _below = Mount::tmpfs(&scene.path("out/sub"), "1m");
    scene.write("in/sub/t", "below");
    scene.becomes("out/sub/t", "below");
    let _over = Mount::tmpfs(&scene.path("out"), "1m");
    scene.write("secrets/a", "2");
    agent.signal("HUP");
    agent.says("gave up this place when it started (Landlock)");
}

#[test]
fn an_agent_that_runs_programs_keeps_what_they_may_need_and_says_so() {
    let scene = Scene::new();
    let agent = started(
        &scene,
        &[
            "--notify",
            "exec:sh -c 'cat /etc/hostname > told'",
            "--state-dir",
            "state",
        ],
    );
    agent.says("the agent is not confined, since `exec:");
    eventually("the program has run", || scene.read("told").is_some());
}

#[test]
fn a_program_that_is_run_inherits_no_open_file() {
    let scene = Scene::new();
    scene.write("secrets/a", "1");
    scene.write("in/t", "{{ file://secrets/a }}");
    let action = "exec:sh -c 'ls -l /proc/self/fd > told'";
    let arguments = [
        "run",
        "--map",
        "in:out",
        "--notify",
        action,
        "--state-dir",
        "state",
    ];
    // What the agent itself has inherited is not for others either.
    let mut shell = Command::new("sh");
    shell
        .args([
            "-c",
            "exec 7</dev/null && exec \"$@\"",
            "sh",
            env!("CARGO_BIN_EXE_locket"),
        ])
        .args(arguments)
        .current_dir(scene.base());
    let agent = Agent::start(&mut shell);
    eventually("the agent has the file, which is the control", || {
        fs::read_link(format!("/proc/{}/fd/7", agent.id())).is_ok()
    });
    eventually("the list is complete", || {
        scene.read("told").is_some_and(|told| told.contains("/proc/"))
    });
    let told = scene.read("told").unwrap();
    let numbers: Vec<_> = told
        .lines()
        .filter_map(|line| {
            line.split_once(" -> ")?
                .0
                .split_whitespace()
                .last()?
                .parse::<u32>()
                .ok()
        })
        .collect();
    // 3 is the directory that `ls` lists.
    assert_eq!(numbers, [0, 1, 2, 3], "{told}");
}

#[test]
fn a_crash_leaves_no_core() {
    let pattern = fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let scene = Scene::new();
    let agent = started(&scene, &[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", agent.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<_> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    // Others of the same user may not read what belongs to a process that is not dumpable.
    let owner = fs::metadata(format!("/proc/{}/mem", agent.id())).unwrap();
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&owner), 0);
    drop(agent);
    if pattern.trim().starts_with(['|', '/']) || !rustix::process::geteuid().is_root() {
        println!("cores go elsewhere here ({pattern}): the limit and the owner have to do");
        return;
    }
    for signal in ["SEGV", "ABRT"] {
        assert!(
            leaves_core(&["sleep", "60"], signal),
            "the control: a plain program leaves a core at {signal}"
        );
        let locket = env!("CARGO_BIN_EXE_locket");
        let agent = [
            locket,
            "run",
            "--secret",
            "t=x",
            "--out",
            "out",
            "--refresh",
            "off",
        ];
        assert!(!leaves_core(&agent, signal), "a core was left at {signal}");
    }
}

/// Whether `command`, started without any limit and ended by `signal`, leaves a core in its directory.
fn leaves_core(command: &[&str], signal: &str) -> bool {
    let directory = TempDir::new().unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -c unlimited && exec \"$@\"", "sh"])
        .args(command)
        .current_dir(directory.path())
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let is_locket = command[0].contains("locket");
    eventually("the program runs", || {
        let name = fs::read_to_string(format!("/proc/{}/comm", child.id())).unwrap_or_default();
        match is_locket {
            true => directory.path().join("out/t").exists(),
            false => name.trim() == command[0],
        }
    });
    // A runtime that looks for overflows of its stack takes the first signal of this kind for one.
    let pid = child.id().to_string();
    eventually("the program ends", || {
        let _ = Command::new("kill")
            .args(["-s", signal, &pid])
            .stderr(Stdio::null())
            .status();
        child.try_wait().unwrap().is_some()
    });
    let mut entries = fs::read_dir(directory.path()).unwrap();
    entries.any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with("core"))
}
