//! Programs at a terminal, with locket between them or gone.
#![expect(clippy::disallowed_methods, reason = "the screen is read on a thread")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use rustix::pty::OpenptFlags;
use rustix::termios::Winsize;

use crate::support::{Scene, eventually};

/// A terminal with a program in a session of its own.
struct Session {
    child: Child,
    keyboard: File,
    terminal: OwnedFd,
    shown: Arc<Mutex<Vec<u8>>>,
}

impl Session {
    fn start(scene: &Scene, words: &[&str]) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let keyboard = rustix::pty::openpt(flags).unwrap();
        rustix::pty::grantpt(&keyboard).unwrap();
        rustix::pty::unlockpt(&keyboard).unwrap();
        let terminal = rustix::pty::ioctl_tiocgptpeer(keyboard.as_fd(), flags).unwrap();
        let mut session = Self {
            child: {
                let end = || Stdio::from(terminal.try_clone().unwrap());
                let mut command = Command::new("setsid");
                command
                    .args(["--ctty", "--wait", env!("CARGO_BIN_EXE_locket")])
                    .args(words);
                command
                    .env_clear()
                    .env("PATH", "/usr/bin:/bin")
                    .env("TERM", "xterm")
                    .current_dir(scene.base());
                command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap()
            },
            keyboard: keyboard.into(),
            terminal,
            shown: Arc::default(),
        };
        session.resize(24, 80);
        let (mut screen, shown) = (session.keyboard.try_clone().unwrap(), session.shown.clone());
        std::thread::spawn(move || {
            let mut chunk = [0; 4096];
            while let Ok(count) = screen.read(&mut chunk) {
                shown.lock().unwrap().extend(&chunk[..count]);
            }
        });
        session
    }

    fn resize(&mut self, rows: u16, columns: u16) {
        let size = Winsize {
            ws_row: rows,
            ws_col: columns,
            ws_xpixel: 0,
            ws_ypixel: 0,
        };
        rustix::termios::tcsetwinsize(&self.keyboard, size).unwrap();
    }

    fn types(&mut self, keys: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&self.shown.lock().unwrap()).into_owned()
    }

    fn shows(&self, text: &str) {
        eventually(
            &format!("the terminal shows {text:?}; it shows {:?}", self.shown()),
            || self.shown().contains(text),
        );
    }

    fn ends(mut self, status: i32) -> String {
        let ended = self.child.wait().unwrap();
        assert_eq!(ended.code(), Some(status), "{}", self.shown());
        let modes = rustix::termios::tcgetattr(&self.terminal).unwrap().local_modes;
        assert!(
            modes.contains(rustix::termios::LocalModes::ECHO),
            "the terminal is as it was"
        );
        self.shown()
    }
}

fn scene() -> Scene {
    let scene = Scene::new();
    scene.write("secrets/a", "hunter2-canary");
    scene
}

/// Replaced, supervised, and supervised with hidden secrets.
const WAYS: [&[&str]; 3] = [&[], &["--watch"], &["--mask"]];

#[test]
fn a_python_prompt_works_in_every_way() {
    let scene = scene();
    for way in WAYS {
        let words: Vec<_> = ["exec", "-e", "A={{ file://secrets/a }}"]
            .iter()
            .chain(way)
            .copied()
            .collect();
        let words: Vec<_> = words
            .into_iter()
            .chain(["--", "/usr/bin/python3", "-q", "-i"])
            .collect();
        let mut session = Session::start(&scene, &words);
        session.shows(">>> ");
        session.types("import os, sys; print(sys.stdout.isatty(), len(os.environ['A']))\r");
        session.shows("True 14");
        session.types("print('secret: ' + os.environ['A'] + '.')\r");
        session.shows(if way.contains(&"--mask") {
            "secret: ********."
        } else {
            "secret: hunter2-canary."
        });
        // Ctrl-C interrupts what runs, and not the prompt.
        session.types("import time; print('sleeping'.upper()); time.sleep(1000)\r");
        session.shows("SLEEPING");
        session.types("\x03");
        session.shows("KeyboardInterrupt");
        session.types("sys.exit(6)\r");
        let shown = session.ends(6);
        assert_eq!(shown.contains("hunter2"), !way.contains(&"--mask"), "{shown}");
    }
}

#[test]
fn a_terminal_is_shown_nothing_unless_that_is_asked_for() {
    let scene = scene();
    let session = Session::start(&scene, &["env", "-e", "A={{ file://secrets/a }}"]);
    session.shows("secrets are not printed on a terminal");
    assert!(!session.ends(2).contains("hunter2"));
    let session = Session::start(&scene, &["env", "--show", "-e", "A={{ file://secrets/a }}"]);
    session.shows("A=\"hunter2-canary\"");
    session.ends(0);
}

#[test]
fn the_window_has_its_size_and_keeps_it_when_it_changes() {
    let scene = scene();
    for way in WAYS {
        let script = "trap 'stty size' WINCH; stty size; echo ready; while :; do sleep 0.05; done";
        let words: Vec<_> = ["exec", "-e", "A={{ file://secrets/a }}"]
            .iter()
            .chain(way)
            .copied()
            .collect();
        let words: Vec<_> = words.into_iter().chain(["--", "sh", "-c", script]).collect();
        let mut session = Session::start(&scene, &words);
        session.shows("ready");
        session.resize(50, 132);
        session.shows("50 132");
        session.types("\x03");
        eventually("it ends", || session.child.try_wait().unwrap().is_some());
    }
}

#[test]
fn a_prompt_that_may_begin_a_secret_is_shown_all_the_same() {
    let scene = scene();
    let script = "printf 'a prompt ending in hunt'; read answer; echo \"[$answer]\"";
    let mut session = Session::start(
        &scene,
        &[
            "exec",
            "--mask",
            "-e",
            "A={{ file://secrets/a }}",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    session.shows("ending in hunt");
    session.types("yes\r");
    session.shows("[yes]");
    session.ends(0);
}

#[test]
fn a_stopped_program_stops_locket_and_both_go_on() {
    let scene = scene();
    let script = "echo pid $PPID; while :; do read line && echo \"<$line>\"; done";
    let mut session = Session::start(
        &scene,
        &[
            "exec",
            "--watch",
            "-e",
            "A={{ file://secrets/a }}",
            "--",
            "sh",
            "-c",
            script,
        ],
    );
    session.shows("pid ");
    let locket = || {
        let shown = session.shown();
        let line = shown
            .lines()
            .find_map(|line| line.trim().strip_prefix("pid ").map(str::to_owned));
        line.unwrap()
    };
    eventually("the number is shown", || session.shown().contains('\n'));
    let pid = locket();
    let state = |pid: &str| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.rsplit(") ").next().unwrap().chars().next().unwrap()
    };
    session.types("\x1a");
    eventually("locket stops, too", || state(&pid) == 'T');
    assert!(
        Command::new("kill")
            .args(["-s", "CONT", &pid])
            .status()
            .unwrap()
            .success()
    );
    session.types("again\r");
    session.shows("<again>");
    session.types("\x03");
    eventually("it ends", || session.child.try_wait().unwrap().is_some());
}
