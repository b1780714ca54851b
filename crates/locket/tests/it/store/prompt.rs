//! `set` on a terminal: what is typed is not shown, and the terminal is left as it was found.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, ExitStatus, Stdio};

use locket_testkit::Canary;
use locket_testkit::canary::assert_absent;
use rustix::event::{PollFd, PollFlags, Timespec};
use rustix::fs::{Mode, OFlags};
use rustix::pty::OpenptFlags;
use rustix::termios::{LocalModes, Termios};

use super::{Ran, User};

/// A terminal with `locket store set a` at its question.
struct Asked {
    child: Child,
    keyboard: File,
    terminal: OwnedFd,
    before: Termios,
    shown: Vec<u8>,
}

/// A new terminal: the end that its user types into, and the end that programs have.
fn terminal() -> (File, OwnedFd) {
    let master = rustix::pty::openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    rustix::pty::grantpt(&master).unwrap();
    rustix::pty::unlockpt(&master).unwrap();
    let name = rustix::pty::ptsname(&master, Vec::new()).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let terminal = rustix::fs::open(&name, flags, Mode::empty()).unwrap();
    (master.into(), terminal)
}

impl Asked {
    fn new(user: &User) -> Self {
        let (keyboard, terminal) = terminal();
        let before = rustix::termios::tcgetattr(&terminal).unwrap();
        assert!(
            before.local_modes.contains(LocalModes::ECHO),
            "a new terminal shows what is typed"
        );
        let end = || Stdio::from(terminal.try_clone().unwrap());
        let child = user
            .command(["set", "a"])
            .stdin(end())
            .stderr(end())
            .spawn()
            .unwrap();
        let mut asked = Self {
            child,
            keyboard,
            terminal,
            before,
            shown: Vec::new(),
        };
        while !asked.shown.ends_with(b"(not shown): ") {
            let mut byte = [0];
            assert_eq!(asked.keyboard.read(&mut byte).unwrap(), 1);
            asked.shown.extend(byte);
        }
        asked
    }

    fn modes(&self) -> LocalModes {
        rustix::termios::tcgetattr(&self.terminal).unwrap().local_modes
    }

    /// Types `keys`; what is shown until the command ends comes back with its status.
    fn types(mut self, keys: &[u8]) -> (ExitStatus, Vec<u8>) {
        assert!(
            !self.modes().contains(LocalModes::ECHO),
            "the question is up and keys are not shown"
        );
        self.keyboard.write_all(keys).unwrap();
        let status = self.child.wait().unwrap();
        assert_eq!(self.modes(), self.before.local_modes, "the terminal is as it was");
        assert!(!is_ready(&self.terminal), "nothing typed is left for the shell");
        while is_ready(&self.keyboard) {
            let mut chunk = [0; 1024];
            let count = self.keyboard.read(&mut chunk).unwrap();
            self.shown.extend(&chunk[..count]);
        }
        (status, self.shown)
    }
}

/// Whether something can be read at once.
fn is_ready(fd: impl AsFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut polled = [PollFd::from_borrowed_fd(fd.as_fd(), PollFlags::IN)];
    rustix::event::poll(&mut polled, Some(&now)).unwrap() > 0
}

#[test]
fn a_typed_value_is_stored_without_its_line_end_and_never_shown() {
    let user = User::with_store();
    let canary = Canary::text("typed");
    let (status, shown) = Asked::new(&user).types(format!("{}\r", canary.as_str()).as_bytes());
    assert!(status.success());
    assert!(String::from_utf8_lossy(&shown).contains("added a"));
    assert_absent([&canary], "the terminal", shown);
    assert_eq!(user.get("a"), canary.bytes());
}

#[test]
fn mistakes_can_be_corrected() {
    let user = User::with_store();
    let (status, _) = Asked::new(&user).types("wrong\x15axé\x7f\x08b\n".as_bytes());
    assert!(status.success());
    assert_eq!(user.get("a"), b"ab");
}

#[test]
fn ctrl_c_and_ctrl_d_set_nothing_and_leave_the_terminal_as_it_was() {
    let user = User::with_store();
    for keys in [b"half\x03".as_slice(), b"\x04", b"\r"] {
        let (status, _) = Asked::new(&user).types(keys);
        assert!(!status.success());
    }
    assert!(user.store(["list"]).stdout().is_empty());
}

#[test]
fn a_paste_of_several_lines_is_refused_and_none_of_it_reaches_the_shell() {
    let user = User::with_store();
    let canary = Canary::text("pasted");
    let (status, shown) = Asked::new(&user).types(format!("BEGIN\r{}\rEND\r", canary.as_str()).as_bytes());
    assert_eq!(status.code(), Some(2));
    let shown_text = String::from_utf8_lossy(&shown);
    assert!(shown_text.contains("more than one line"), "{shown_text}");
    assert_absent([&canary], "the terminal", &shown);
    assert!(user.store(["list"]).stdout().is_empty());
}

#[test]
fn nobody_types_a_secret_for_a_store_that_does_not_open() {
    let user = User::new();
    let (_keyboard, terminal) = terminal();
    let ran = Ran(user.command(["set", "a"]).stdin(terminal).output().unwrap()).fails_with(1);
    assert!(ran.stderr().contains("there is no store") && !ran.stderr().contains("not shown"));
}

#[test]
fn an_export_to_a_terminal_needs_to_be_meant() {
    let user = User::with_store();
    user.set("a", b"canary");
    let (mut screen, terminal) = terminal();
    let mut export = |arguments: &[&str]| {
        let stdout = terminal.try_clone().unwrap();
        let ran = user
            .command([&["export"], arguments].concat())
            .stdout(stdout)
            .output()
            .unwrap();
        let mut shown = [0; 1024];
        let count = if is_ready(&screen) {
            screen.read(&mut shown).unwrap()
        } else {
            0
        };
        (Ran(ran), shown[..count].to_vec())
    };
    let (ran, shown) = export(&[]);
    assert!(ran.fails_with(2).stderr().contains("--show"));
    assert!(shown.is_empty());
    let (ran, shown) = export(&["--show"]);
    ran.succeeds();
    assert!(String::from_utf8(shown).unwrap().contains("canary"));
}
