//! Running binaries and reading what the kernel says about them.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A command in a clean environment, silent.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// How long a command takes from start to a successful end.
pub(crate) fn time(command: &mut Command) -> Duration {
    time_to(0, command)
}

/// How long a command takes from start to an end with this exit code.
pub(crate) fn time_to(code: i32, command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command.status().expect("the command starts");
    let took = start.elapsed();
    assert!(status.code() == Some(code), "{command:?} ended with {status}");
    took
}

/// The middle of several durations.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// A child that is killed when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    /// One number of `/proc/PID/status`, such as `VmRSS`.
    pub(crate) fn number(&self, name: &str) -> u64 {
        number(&format!("/proc/{}/status", self.0.id()), name)
    }

    /// Times that any thread of the process was put to sleep or preempted: it woke up that often.
    pub(crate) fn switches(&self) -> u64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.0.id())).expect("the process lives");
        tasks
            .flatten()
            .map(|task| {
                let status = format!("{}/status", task.path().display());
                number(&status, "voluntary_ctxt_switches") + number(&status, "nonvoluntary_ctxt_switches")
            })
            .sum()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn number(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).expect("the process lives");
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")))
        .expect("the kernel says so");
    line.split_whitespace()
        .nth(1)
        .and_then(|number| number.parse().ok())
        .expect("it is a number")
}
