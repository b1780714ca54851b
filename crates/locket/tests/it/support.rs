//! Running the built binary and waiting for what it does.
#![expect(
    clippy::disallowed_methods,
    reason = "a real process is awaited in real time, and its log read on a thread"
)]

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything takes on a busy machine; only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// The built binary in an environment of its own.
pub(crate) fn locket() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_locket"));
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(Stdio::null());
    command
}

/// Waits until `ready` holds.
pub(crate) fn eventually(what: &str, mut ready: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !ready() {
        assert!(Instant::now() < until, "it never came about that {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// A running agent whose log is collected. Dropped, it is killed.
pub(crate) struct Agent {
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Agent {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let (stderr, lines) = (child.stderr.take().unwrap(), log.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                lines.lock().unwrap().push(line);
            }
        });
        Self {
            child,
            log,
            reader: Some(reader),
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap().join("\n")
    }

    /// Waits until some line of the log contains `text`.
    pub(crate) fn says(&self, text: &str) {
        let until = Instant::now() + PATIENCE;
        while !self.log().contains(text) {
            assert!(
                Instant::now() < until,
                "the log never says {text:?}; it says:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name, &self.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Asks it to end and waits for that.
    pub(crate) fn stop(self) -> (ExitStatus, String) {
        self.signal("TERM");
        self.wait()
    }

    /// Waits for its end.
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        self.reader.take().unwrap().join().unwrap();
        (status, self.log())
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Directories for templates, secrets and outputs. `{{ file://secrets/NAME }}` counts from the base.
pub(crate) struct Scene {
    dir: TempDir,
}

impl Scene {
    pub(crate) fn new() -> Self {
        let dir = TempDir::new().unwrap();
        for name in ["in", "secrets"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        Self { dir }
    }

    /// A directory with nothing in it.
    pub(crate) fn empty() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
        }
    }

    pub(crate) fn base(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A file with its content as text; `None` when it is not there.
    pub(crate) fn read(&self, name: &str) -> Option<String> {
        fs::read(self.path(name))
            .ok()
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits until a file holds exactly `text`.
    pub(crate) fn becomes(&self, name: &str, text: &str) {
        eventually(
            &format!("{name} is {text:?}; it is {:?}", self.read(name)),
            || self.read(name).as_deref() == Some(text),
        );
    }

    /// `locket COMMAND` in the base directory.
    pub(crate) fn locket<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let mut command = locket();
        command.current_dir(self.base()).args(arguments);
        command
    }

    /// An agent that watches `in` and writes `out`.
    pub(crate) fn watch(&self, more: &[&str]) -> Agent {
        Agent::start(&mut self.watching(more))
    }

    /// What starts such an agent.
    pub(crate) fn watching(&self, more: &[&str]) -> Command {
        let arguments = [
            "run",
            "--map",
            "in:out",
            "--debounce",
            "30ms",
            "--status-file",
            "status",
        ];
        self.locket(arguments.iter().chain(more))
    }

    pub(crate) fn status(&self) -> serde_json::Value {
        self.read("status")
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// Waits until the agent's state is `state`.
    pub(crate) fn state_becomes(&self, state: &str) {
        eventually(
            &format!("the state is {state:?}; the status is {}", self.status()),
            || self.status()["state"] == state,
        );
    }
}

/// A file system mounted for a test.
pub(crate) struct Mount(PathBuf);

impl Mount {
    /// Mounts a tmpfs of `size` on `path`, which is made.
    pub(crate) fn tmpfs(path: &Path, size: &str) -> Self {
        fs::create_dir_all(path).unwrap();
        run(Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(path));
        Self(path.to_owned())
    }

    /// Mounts the directory `from` a second time, on `path`, which is made.
    pub(crate) fn bind(from: &Path, path: &Path) -> Self {
        fs::create_dir_all(path).unwrap();
        run(Command::new("mount").arg("--bind").arg(from).arg(path));
        Self(path.to_owned())
    }

    /// Mounts the file `from` a second time, on the file `path`.
    pub(crate) fn bind_file(from: &Path, path: &Path) -> Self {
        run(Command::new("mount").arg("--bind").arg(from).arg(path));
        Self(path.to_owned())
    }

    /// Makes `path` read-only by a bind mount on itself.
    pub(crate) fn read_only(path: &Path) -> Self {
        let mount = Self::bind(path, path);
        run(Command::new("mount").args(["-o", "remount,bind,ro"]).arg(path));
        mount
    }

    pub(crate) fn detach(&self) {
        run(Command::new("umount").arg("-l").arg(&self.0));
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount")
            .arg("-l")
            .arg(&self.0)
            .stderr(Stdio::null())
            .status();
    }
}

/// Runs a command of the system that a test relies on.
pub(crate) fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
