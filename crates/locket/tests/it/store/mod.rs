//! `locket store` as people and scripts use it, and beside the tools that read the same files.

mod commands;
mod faults;
mod prompt;
mod tools;

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A user with a home directory, in a project directory.
struct User(TempDir);

impl User {
    /// With nothing in the project yet.
    fn new() -> Self {
        let user = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(user.home()).unwrap();
        std::fs::create_dir(user.project()).unwrap();
        user
    }

    /// With an empty store.
    fn with_store() -> Self {
        let user = Self::new();
        user.store(["init"]).succeeds();
        user
    }

    fn home(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn project(&self) -> PathBuf {
        self.0.path().join("project")
    }

    fn identity(&self) -> PathBuf {
        self.home().join(".config/locket/identity.txt")
    }

    fn file(&self) -> PathBuf {
        self.project().join("locket.store")
    }

    /// `locket store ARGUMENTS`, not started yet; standard input is empty.
    fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_locket"));
        command
            .arg("store")
            .args(arguments)
            .env_clear()
            .env("HOME", self.home())
            .current_dir(self.project())
            .stdin(Stdio::null());
        command
    }

    /// Runs `locket store ARGUMENTS`.
    fn store<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        Ran(self.command(arguments).output().unwrap())
    }

    /// Runs `locket store ARGUMENTS` with `input` on standard input.
    fn feed<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>, input: &[u8]) -> Ran {
        feed(self.command(arguments), input)
    }

    /// Sets a secret.
    fn set(&self, name: &str, value: &[u8]) {
        self.feed(["set", name], value).succeeds();
    }

    /// The exact bytes of a secret.
    fn get(&self, name: &str) -> Vec<u8> {
        self.store(["get", name]).succeeds().0.stdout
    }

    /// All files of the project, by name.
    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.project()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Runs `command` with `input` on standard input.
fn feed(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A command that refuses its input closes it.
        scope.spawn(move || drop(stdin.write_all(input)));
        Ran(child.wait_with_output().unwrap())
    })
}

/// What a command did.
struct Ran(Output);

impl Ran {
    #[track_caller]
    fn succeeds(self) -> Self {
        self.fails_with(0)
    }

    /// Ends with this exit code.
    #[track_caller]
    fn fails_with(self, code: i32) -> Self {
        assert_eq!(self.0.status.code(), Some(code), "{}", self.stderr());
        self
    }

    fn stdout(&self) -> String {
        String::from_utf8(self.0.stdout.clone()).unwrap()
    }

    fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }
}
