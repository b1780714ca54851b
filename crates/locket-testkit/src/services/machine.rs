//! A machine of its own under a real systemd, booted by systemd-nspawn: the programs are this machine's, everything else
//! is the test's. It has no network, ends by itself, and leaves nothing behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

use super::place::{find, skip};

/// Longer than any story takes on a busy machine, in seconds; a machine that hangs is ended then.
const PATIENCE: &str = "240";

/// The control groups of nspawn have fixed names, so that there is one machine at a time.
static ONE: Mutex<()> = Mutex::new(());

/// What is told once the machine is up: runs the story and switches the machine off.
const STORY: &str = "\
[Unit]
Description=The story of a test
[Service]
Type=oneshot
ExecStart=/bin/sh -eu /story/story.sh
StandardOutput=file:/story/stdout
StandardError=file:/story/stderr
ExecStopPost=/bin/sh -c 'echo $EXIT_STATUS >/story/status'
ExecStopPost=/bin/systemctl poweroff --force --no-block
";

/// A machine that is not booted yet.
#[derive(Debug)]
pub struct Machine {
    root: TempDir,
    nspawn: PathBuf,
}

/// How a story ended.
#[derive(Debug)]
pub struct Told {
    /// What it wrote.
    pub stdout: String,
    /// What it and systemd said beside.
    pub log: String,
    /// The exit status of its last command.
    pub status: String,
}

impl Machine {
    /// A machine with an empty `/etc`, or says aloud that the test is skipped.
    ///
    /// # Panics
    /// In CI, when systemd-nspawn is not installed; anywhere, when nothing can be written.
    pub fn new() -> Option<Self> {
        let nspawn = find("systemd-nspawn")?;
        if !Path::new("/usr/lib/systemd/systemd").exists() {
            return skip("systemd");
        }
        if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return skip("root, which systemd-nspawn asks for,");
        }
        let root = tempfile::Builder::new()
            .prefix("locket-machine-")
            .tempdir()
            .expect("a directory for the machine");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("its own directory");
        let machine = Self { root, nspawn };
        for name in [
            "usr",
            "etc/systemd/system",
            "var/lib",
            "var/log",
            "var/tmp",
            "run",
            "proc",
            "sys",
            "dev",
            "tmp",
            "root",
            "story",
            "srv",
        ] {
            fs::create_dir_all(machine.path(name)).expect("a writable directory");
        }
        for name in ["bin", "sbin", "lib", "lib64", "lib32"] {
            if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
                symlink(target, machine.path(name)).expect("a link");
            }
        }
        // A file of its own: systemd looks whether this is a system by it.
        let release = fs::read("/etc/os-release").unwrap_or_else(|_| b"ID=test\n".to_vec());
        fs::write(machine.path("etc/os-release"), release).expect("a writable directory");
        machine.write("etc/machine-id", "");
        machine.write(
            "etc/passwd",
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n",
        );
        machine.write("etc/group", "root:x:0:\nnogroup:x:65534:\n");
        machine.write("etc/systemd/system/story.service", STORY);
        Some(machine)
    }

    /// A path inside the machine, as it is outside.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name.trim_start_matches('/'))
    }

    /// Writes a file inside the machine, with the directories above it.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a file in the machine")).expect("a writable directory");
        fs::write(&path, text).expect("a writable file");
    }

    /// Puts `program` into the machine as `/opt/NAME`.
    ///
    /// # Panics
    /// It cannot be copied.
    pub fn add_program(&self, program: &Path, name: &str) {
        fs::create_dir_all(self.path("opt")).expect("a writable directory");
        fs::copy(program, self.path("opt").join(name)).expect("a program that can be copied");
    }

    /// Boots the machine, runs `story` with `sh -eu` in it, and switches it off.
    ///
    /// # Panics
    /// The machine does not boot, or the story does not end.
    pub fn tell(&self, story: &str) -> Told {
        let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
        for name in ["stdout", "stderr", "status"] {
            let _ = fs::remove_file(self.path("story").join(name));
        }
        self.write("story/story.sh", story);
        let name = self
            .root
            .path()
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let output = Command::new("timeout")
            .args(["--kill-after=10", PATIENCE])
            .arg(&self.nspawn)
            .arg("--directory")
            .arg(self.root.path())
            .args([
                "--bind-ro=/usr",
                "--boot",
                "--register=no",
                "--keep-unit",
                "--private-network",
            ])
            .args(["--link-journal=no", "--console=pipe", "--quiet"])
            .arg(format!("--machine={}", name.replace('_', "-")))
            .args(["--", "systemd.unit=story.service", "systemd.show_status=no"])
            .stdin(Stdio::null())
            .output()
            .expect("timeout starts");
        let read = |name: &str| fs::read_to_string(self.path("story").join(name));
        let said = format!(
            "{}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let Ok(status) = read("status") else {
            panic!(
                "the machine did not end its story ({}): {said}\n{}\n{}",
                output.status,
                read("stdout").unwrap_or_default(),
                read("stderr").unwrap_or_default()
            );
        };
        Told {
            stdout: read("stdout").unwrap_or_default(),
            log: format!("{}\n{said}", read("stderr").unwrap_or_default()),
            status: status.trim().to_owned(),
        }
    }
}
