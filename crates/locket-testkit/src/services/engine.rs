//! A real Docker Engine with Compose and buildx, in namespaces of its own: its network, mounts and processes are not
//! the machine's, and all of them end with the test process, however that ended.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use tempfile::TempDir;

use super::place::{home, skip};
use crate::TestCa;

/// Looks at a starting engine, twenty milliseconds apart: longer than a start takes on a busy machine.
const LOOKS: usize = 6_000;

/// Runs the engine until standard input ends, then removes all there is of it.
const GUARD: &str = r#"
    exec 3<&0
    dir=$1 inside=$2
    shift 2
    unshare --net --mount --pid --fork --kill-child sh -c "$inside" engine "$dir" "$@" </dev/null 3<&- & child=$!
    { cat <&3 >/dev/null; kill -KILL $child; } 2>/dev/null &
    wait $child 2>/dev/null
    read -r pid <"$dir/engine.pid"
    for try in $(seq 100); do [ -e "/proc/$pid" ] || break; sleep 0.05; done
    find /sys/fs/cgroup -depth -type d -path "*/${dir##*/}*" -exec rmdir {} + 2>/dev/null
    for try in 1 2 3 4 5; do rm -rf "$dir" 2>/dev/null && break; sleep 0.2; done
"#;

/// Inside the namespaces. `/proc` is the machine's until it is mounted anew, so the number it tells is the machine's.
const INSIDE: &str = r#"
    dir=$1
    read -r pid rest </proc/self/stat; echo "$pid" >"$dir/engine.pid"
    mount -t proc proc /proc
    mount -t tmpfs tmpfs /run
    mkdir -p /run/docker/plugins && mount --bind "$dir/plugins" /run/docker/plugins
    ip link set lo up
    shift
    if [ -e "$dir/tls/ca.pem" ]; then
        set -- --host tcp://127.0.0.1:2376 --tlsverify --tlscacert "$dir/tls/ca.pem" \
            --tlscert "$dir/tls/cert.pem" --tlskey "$dir/tls/key.pem" "$@"
    fi
    while :; do
        dockerd --data-root "$dir/data" --exec-root "$dir/exec" --pidfile "$dir/dockerd.pid" \
            --cgroup-parent "/${dir##*/}" --host "unix://$dir/docker.sock" "$@"
        [ -e "$dir/again" ] || exit
        rm -f "$dir/again" "$dir/dockerd.pid"
    done
"#;

/// A running engine with the image `busybox`, whose commands have their usual names in `/bin`.
#[derive(Debug)]
pub struct Engine {
    directory: TempDir,
    bin: Option<PathBuf>,
    /// The engine ends when this end of the pipe is closed.
    guard: Child,
}

impl Engine {
    /// The engine of this test process, started when somebody first asks for it.
    ///
    /// # Panics
    /// In CI, when it is not installed; anywhere, when it does not start.
    pub fn shared() -> Option<&'static Self> {
        static ENGINE: OnceLock<Option<Engine>> = OnceLock::new();
        // Nobody drops a static: the guard sees that the process is gone.
        ENGINE.get_or_init(Self::start).as_ref()
    }

    /// Starts an engine of its own, for a test that restarts or kills it; or says aloud that the test is skipped.
    ///
    /// # Panics
    /// In CI, when it is not installed; anywhere, when it does not start.
    pub fn start() -> Option<Self> {
        Self::begin(None, &[])
    }

    /// The same; it listens on port 2376 of its own loopback, too, with a certificate of `ca` and for clients that
    /// have one.
    ///
    /// # Panics
    /// As [`Engine::start`].
    pub fn start_with_tls(ca: &TestCa) -> Option<Self> {
        Self::begin(Some(ca), &[])
    }

    /// Starts an engine of its own with these options beside.
    ///
    /// # Panics
    /// As [`Engine::start`].
    pub fn start_with(options: &[&str]) -> Option<Self> {
        Self::begin(None, options)
    }

    fn begin(ca: Option<&TestCa>, options: &[&str]) -> Option<Self> {
        let installed = home()
            .map(|home| home.join("engine"))
            .filter(|engine| engine.join("bin/dockerd").exists());
        if installed.is_none() && !on_path("dockerd") {
            return skip("Docker Engine");
        }
        if !fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return skip("root, which Docker Engine asks for,");
        }
        let directory = tempfile::Builder::new()
            .prefix("locket-engine-")
            .tempdir()
            .expect("a directory for the engine");
        let path = directory.path();
        for name in ["plugins", "config/cli-plugins", "home"] {
            fs::create_dir_all(path.join(name)).expect("a writable directory");
        }
        if let Some(ca) = ca {
            let leaf = ca.server_leaf();
            fs::create_dir(path.join("tls")).expect("a writable directory");
            for (name, pem) in [
                ("ca.pem", ca.pem()),
                ("cert.pem", leaf.certificate_pem),
                ("key.pem", leaf.key_pem),
            ] {
                fs::write(path.join("tls").join(name), pem).expect("a writable directory");
            }
        }
        let plugins = match &installed {
            Some(engine) => vec![engine.join("cli-plugins")],
            None => ["/usr/libexec/docker/cli-plugins", "/usr/lib/docker/cli-plugins"]
                .map(PathBuf::from)
                .into(),
        };
        for plugin in plugins
            .iter()
            .filter_map(|place| fs::read_dir(place).ok())
            .flatten()
            .flatten()
        {
            symlink(
                plugin.path(),
                path.join("config/cli-plugins").join(plugin.file_name()),
            )
            .expect("a link");
        }
        let bin = installed.as_ref().map(|engine| engine.join("bin"));
        let log = fs::File::create(path.join("log")).expect("a writable directory");
        let mut command = Command::new("sh");
        command
            .args(["-c", GUARD, "engine"])
            .arg(path)
            .arg(INSIDE)
            .args(options);
        surround(&mut command, path, bin.as_deref());
        if let Some(engine) = &installed {
            command.env("LD_LIBRARY_PATH", engine.join("lib"));
            command.env("XTABLES_LIBDIR", engine.join("lib/xtables"));
        }
        let guard = command
            .stdin(Stdio::piped())
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .spawn()
            .expect("a shell starts");
        let engine = Self {
            directory,
            bin,
            guard,
        };
        engine.wait();
        engine.import_busybox();
        Some(engine)
    }

    fn wait(&self) {
        for _ in 0..LOOKS {
            if self.answers() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("{}", self.log());
    }

    /// Ends the engine with a signal, and starts it again in the same place. Its containers and plugins are left to
    /// what an engine does about them.
    ///
    /// # Panics
    /// It does not end, or does not start.
    pub fn restart(&self, signal: &str) {
        let path = self.directory.path();
        let number = || fs::read_to_string(path.join("dockerd.pid")).unwrap_or_default();
        let before = number();
        fs::write(path.join("again"), "").expect("a writable directory");
        let killed = self.inside("kill").args(["-s", signal, before.trim()]).status();
        assert!(killed.is_ok_and(|status| status.success()), "the engine is told");
        for _ in 0..LOOKS {
            if !path.join("again").exists() && !number().is_empty() {
                return self.wait();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it did not end: {}", self.log());
    }

    /// The client `docker`, with `compose` and `buildx`, in an environment of its own.
    pub fn docker(&self) -> Command {
        let program = match &self.bin {
            Some(bin) => bin.join("docker"),
            None => "docker".into(),
        };
        let mut command = Command::new(program);
        surround(&mut command, self.directory.path(), self.bin.as_deref());
        command.stdin(Stdio::null());
        command
    }

    /// What [`Engine::docker`] gives its command, for programs that call it themselves.
    pub fn environment(&self) -> Vec<(String, String)> {
        let variables = self.docker();
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        variables
            .get_envs()
            .filter_map(|(name, value)| Some((text(name), text(value?))))
            .collect()
    }

    /// Runs `docker ARGUMENTS` to its end and gives its standard output.
    ///
    /// # Panics
    /// It fails.
    pub fn run(&self, arguments: &[&str]) -> String {
        let output = self.docker().args(arguments).output().expect("docker starts");
        assert!(
            output.status.success(),
            "docker {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
    }

    /// Where it listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("docker.sock")
    }

    /// `command` where the engine's loopback is its own.
    ///
    /// # Panics
    /// The engine is gone.
    pub fn beside(&self, command: &Command) -> Command {
        let pid = fs::read_to_string(self.directory.path().join("engine.pid")).expect("a running engine");
        let mut beside = Command::new("nsenter");
        beside.arg(format!("--net=/proc/{}/ns/net", pid.trim())).arg("--");
        beside
            .arg(command.get_program())
            .args(command.get_args())
            .env_clear();
        beside.envs(
            command
                .get_envs()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        if let Some(directory) = command.get_current_dir() {
            beside.current_dir(directory);
        }
        beside
    }

    /// Lays a cable between this engine's machine and another's, and gives the addresses of both: what two nodes of a
    /// swarm need.
    ///
    /// # Panics
    /// The system refuses, as it does the second time.
    pub fn connect(&self, other: &Self) -> [String; 2] {
        let ip = |namespace: Option<u32>, words: &str| {
            let mut command = Command::new("nsenter");
            if let Some(pid) = namespace {
                command.arg(format!("--net=/proc/{pid}/ns/net"));
            }
            let output = command.arg("ip").args(words.split(' ')).output();
            let output = output.expect("nsenter starts");
            let told = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "ip {words}: {told}");
        };
        let pids = [self.pid(), other.pid()];
        let ends = format!(
            "link add locket0 netns {} type veth peer name locket0 netns {}",
            pids[0], pids[1]
        );
        ip(None, &ends);
        // Addresses that are only for tests of networks (RFC 2544).
        let addresses = ["198.18.0.1", "198.18.0.2"];
        for (pid, address) in pids.into_iter().zip(addresses) {
            ip(Some(pid), &format!("address add {address}/24 dev locket0"));
            ip(Some(pid), "link set locket0 up");
        }
        addresses.map(str::to_owned)
    }

    /// Its data root: images, layers, volumes, build cache.
    pub fn data_root(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// What it sees as `/run/docker/plugins`.
    pub fn plugins(&self) -> PathBuf {
        self.directory.path().join("plugins")
    }

    /// Makes `program` known to the client as `docker NAME`.
    ///
    /// # Panics
    /// The link cannot be made.
    pub fn add_cli_plugin(&self, name: &str, program: &Path) {
        let link = self
            .directory
            .path()
            .join("config/cli-plugins")
            .join(format!("docker-{name}"));
        match symlink(program, &link) {
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            made => made.expect("a link"),
        }
    }

    /// `program` in the engine's network, mounts and processes: where its containers' addresses can be reached, and
    /// where what is mounted is seen by it.
    ///
    /// # Panics
    /// The engine has not said its number.
    pub fn inside(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command
            .args([
                "--target",
                &self.pid().to_string(),
                "--net",
                "--mount",
                "--pid",
                "--",
            ])
            .arg(program);
        surround(&mut command, self.directory.path(), self.bin.as_deref());
        command.stdin(Stdio::null());
        command
    }

    /// The number of its process on this machine.
    ///
    /// # Panics
    /// The engine has not said it.
    pub fn pid(&self) -> u32 {
        let text = fs::read_to_string(self.directory.path().join("engine.pid")).expect("it says its number");
        text.trim().parse().expect("a number")
    }

    /// What it has said so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn answers(&self) -> bool {
        let Ok(mut stream) = UnixStream::connect(self.socket()) else {
            return false;
        };
        let mut answer = [0; 12];
        let asked = stream.write_all(b"GET /_ping HTTP/1.0\r\nHost: engine\r\n\r\n");
        asked.is_ok() && stream.read_exact(&mut answer).is_ok() && answer.ends_with(b"200")
    }

    /// A static program that is a shell and its commands.
    pub fn busybox(&self) -> PathBuf {
        match &self.bin {
            Some(bin) => bin.join("busybox"),
            None => "/bin/busybox".into(),
        }
    }

    fn import_busybox(&self) {
        let busybox = self.busybox();
        let root = self.directory.path().join("busybox");
        for name in ["bin", "tmp", "etc"] {
            fs::create_dir_all(root.join(name)).expect("a writable directory");
        }
        fs::copy(&busybox, root.join("bin/busybox")).expect("busybox can be copied");
        let commands = Command::new(&busybox)
            .arg("--list")
            .output()
            .expect("busybox starts");
        for name in String::from_utf8_lossy(&commands.stdout)
            .lines()
            .filter(|name| *name != "busybox")
        {
            symlink("busybox", root.join("bin").join(name)).expect("a link");
        }
        let mut tar = Command::new("tar")
            .args(["-cf", "-", "-C"])
            .arg(&root)
            .arg(".")
            .stdout(Stdio::piped())
            .spawn()
            .expect("tar starts");
        let archive = tar.stdout.take().expect("a pipe");
        let imported = self
            .docker()
            .args(["import", "--change", r#"CMD ["/bin/sh"]"#, "-", "busybox:latest"])
            .stdin(archive)
            .output()
            .expect("docker starts");
        let _ = tar.wait();
        assert!(
            imported.status.success(),
            "{}",
            String::from_utf8_lossy(&imported.stderr)
        );
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

fn surround(command: &mut Command, directory: &Path, bin: Option<&Path>) {
    let system = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let path = match bin {
        Some(bin) => format!("{}:{system}", bin.display()),
        None => system.to_owned(),
    };
    command
        .env_clear()
        .env("PATH", path)
        .env("HOME", directory.join("home"))
        .env("DOCKER_CONFIG", directory.join("config"))
        .env(
            "DOCKER_HOST",
            format!("unix://{}", directory.join("docker.sock").display()),
        );
}

fn on_path(program: &str) -> bool {
    let script = format!("command -v {program} >/dev/null");
    Command::new("sh")
        .args(["-c", &script])
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_real_engine_runs_containers_and_ends_without_leaving_anything() {
        let Some(engine) = Engine::start() else { return };
        assert_eq!(engine.run(&["run", "--rm", "busybox", "echo", "hello"]), "hello");
        assert!(
            engine
                .run(&["compose", "version", "--short"])
                .starts_with(['2', '5'])
        );
        assert!(
            engine
                .run(&["info", "--format", "{{.CgroupDriver}}"])
                .starts_with("cgroupfs")
        );
        engine.run(&["run", "--detach", "busybox", "sleep", "1000"]);
        let (directory, process) = (
            engine.directory.path().to_owned(),
            format!("/proc/{}", engine.pid()),
        );
        assert!(Path::new(&process).exists());
        drop(engine);
        assert!(!Path::new(&process).exists());
        assert!(!directory.exists());
    }
}
