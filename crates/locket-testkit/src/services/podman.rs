//! Podman with a store of its own: containers run by its program, with or without its service. It is installed by
//! `cargo xtask services`, and shares nothing with a Podman that the machine uses.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::guard;
use super::place::{find, skip};

/// Looks at a starting service, twenty milliseconds apart.
const LOOKS: usize = 3_000;

/// A Podman with the image `localhost/busybox`. Its containers end with it.
#[derive(Debug)]
pub struct Podman {
    directory: TempDir,
    service: Option<Child>,
}

impl Podman {
    /// Makes an empty one, or says aloud that the test is skipped.
    ///
    /// # Panics
    /// In CI, when Podman or the engine's busybox is not installed; anywhere, when it does not work.
    pub fn new() -> Option<Self> {
        let podman = find("podman")?;
        let busybox = find("engine/bin/busybox")?;
        if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return skip("root, which this Podman asks for,");
        }
        let directory = tempfile::Builder::new()
            .prefix("locket-podman-")
            .tempdir()
            .expect("a directory for Podman");
        let path = directory.path();
        for name in ["bin", "image/bin"] {
            fs::create_dir_all(path.join(name)).expect("a writable directory");
        }
        let program = path.join("bin/podman");
        let place = path.display();
        // On a machine with both generations of control groups crun starts nothing as long as the second has any
        // controllers: it is shown the first alone.
        let script = format!(
            "#!/bin/sh\nexec unshare --mount sh -c 'umount /sys/fs/cgroup/unified 2>/dev/null; exec \"$@\"' sh {} \
             --root {place}/root --runroot {place}/run --tmpdir {place}/tmp --storage-driver vfs \
             --cgroup-manager cgroupfs --events-backend file \"$@\"\n",
            podman.display()
        );
        fs::write(&program, script).expect("a writable directory");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("its own file");
        fs::copy(busybox, path.join("image/bin/busybox")).expect("busybox can be copied");
        for name in ["sh", "sleep", "echo"] {
            symlink("busybox", path.join("image/bin").join(name)).expect("a link");
        }
        let made = Self {
            directory,
            service: None,
        };
        let archive = made.path("image.tar");
        let packed = Command::new("tar")
            .args(["-cf", &archive, "-C", &made.path("image"), "."])
            .status()
            .expect("tar starts");
        assert!(packed.success(), "busybox can be packed");
        made.run(&["import", &archive, "localhost/busybox"]);
        Some(made)
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// The directory in which the program `podman` knows where this one keeps everything.
    pub fn bin(&self) -> PathBuf {
        self.directory.path().join("bin")
    }

    /// Runs `podman ARGUMENTS` to its end and gives its standard output.
    ///
    /// # Panics
    /// It fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = Command::new(self.bin().join("podman"))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .expect("podman starts");
        assert!(
            output.status.success(),
            "podman {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Starts a container without network that runs `script`.
    pub fn start(&self, name: &str, script: &str) {
        // The defaults are above what a test's own limits allow.
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024"];
        let detached = ["run", "--detach", "--network", "none", "--log-driver", "k8s-file"];
        let what = ["--name", name, "localhost/busybox", "/bin/sh", "-c", script];
        self.run(&[&detached[..], &limits, &what].concat());
    }

    /// Starts its service and gives the socket where it listens.
    ///
    /// # Panics
    /// It does not begin to listen.
    pub fn serve(&mut self) -> PathBuf {
        let socket = self.directory.path().join("podman.sock");
        let service = guard::guarded("podman")
            .arg(self.bin().join("podman"))
            .args(["system", "service", "--time", "0"])
            .arg(format!("unix://{}", socket.display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell starts");
        self.service = Some(service);
        for _ in 0..LOOKS {
            if Path::new(&socket).exists() {
                return socket;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("podman's service does not listen");
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = Command::new(self.bin().join("podman"))
            .args(["rm", "--all", "--force", "--time", "0"])
            .stdin(Stdio::null())
            .output();
        if let Some(service) = &mut self.service {
            guard::end(service);
        }
    }
}
