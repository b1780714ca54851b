//! What others of the same user can take out of a running agent: nothing.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use locket_testkit::Canary;
use tempfile::TempDir;

use crate::support::eventually;

/// A user without privileges, where the tests have any.
const NOBODY: &str = "65534";

#[test]
fn another_process_of_the_same_user_reads_neither_memory_nor_environment() {
    let canary = Canary::text("held");
    let place = TempDir::new().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).unwrap();
    // The way to where it was built may be closed to others.
    let program = place.path().join("locket");
    fs::copy(env!("CARGO_BIN_EXE_locket"), &program).unwrap();
    let held = |program: &Path, arguments: &[&str]| {
        let mut command = unprivileged(program);
        command
            .args(arguments)
            .current_dir(place.path())
            .env("HELD", canary.as_str())
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        Killed(command.spawn().unwrap())
    };
    let arguments = [
        "run",
        "--mode",
        "park",
        "--secret",
        "out={{ env://HELD }}",
        "--out",
        "out",
        "--state-dir",
        "state",
    ];
    let agent = held(&program, &arguments);
    let other = held(Path::new("/bin/sleep"), &["600"]);
    eventually("the agent has its secret", || {
        place.path().join("out/out").exists()
    });
    eventually("the other process is what it will be", || {
        fs::read(format!("/proc/{}/comm", other.0.id())).is_ok_and(|name| name == b"sleep\n")
    });
    for file in ["environ", "mem", "maps"] {
        let read = |process: &Killed| read(&format!("/proc/{}/{file}", process.0.id()));
        let taken = read(&agent);
        let told = String::from_utf8_lossy(&taken.stderr);
        assert!(
            !taken.status.success() && taken.stdout.is_empty(),
            "{file} of the agent is read"
        );
        assert!(told.contains("ermission denied"), "{file}: {told}");
        if file != "mem" {
            assert!(
                read(&other).status.success(),
                "the control: {file} of any other process is read"
            );
        }
    }
    let environment = read(&format!("/proc/{}/environ", other.0.id())).stdout;
    assert!(
        canary.find(environment).is_some(),
        "the control: it would have been found"
    );
}

/// A process that ends with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn read(file: &str) -> Output {
    unprivileged(Path::new("/bin/cat")).arg(file).output().unwrap()
}

/// `program` as a user without privileges.
fn unprivileged(program: &Path) -> Command {
    let mut command = if rustix::process::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", "--"]);
        command.arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}
