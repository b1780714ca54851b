//! The plugin of a real Docker Engine: volumes and Swarm secrets.

mod deploy;
mod managed;
mod nodes;
mod secrets;
mod state;
mod swarm;
mod told;
mod volumes;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use locket_testkit::services::Engine;

use crate::support::{Agent, Scene, eventually, run};

/// An engine of its own, and a place for what its plugin reads and keeps.
struct World {
    engine: Engine,
    scene: Scene,
}

/// A running plugin. Dropped, it is killed at once, as a machine's failure would.
struct Plugin {
    agent: Agent,
    /// The process itself, which is a child of the one that went into the engine's namespaces.
    id: u32,
}

impl World {
    fn new() -> Option<Self> {
        Self::with(&[])
    }

    fn with(options: &[&str]) -> Option<Self> {
        Some(Self {
            engine: Engine::start_with(options)?,
            scene: Scene::new(),
        })
    }

    /// Starts the plugin beside the engine.
    fn plugin(&self) -> Plugin {
        self.plugin_with(&[])
    }

    fn plugin_with(&self, more: &[&str]) -> Plugin {
        let mut command = self.command(more);
        let agent = Agent::start(&mut command);
        let socket = self.engine.plugins().join("locket.sock");
        eventually("the plugin listens", || {
            assert!(!agent.log().contains("error: "), "{}", agent.log());
            socket.exists() && agent.log().contains("listening at")
        });
        let children = format!("/proc/{0}/task/{0}/children", agent.id());
        let mut id = String::new();
        eventually("the plugin has a number", || {
            id = fs::read_to_string(&children).unwrap_or_default();
            !id.trim().is_empty()
        });
        Plugin {
            agent,
            id: id.trim().parse().unwrap(),
        }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = self.engine.inside(env!("CARGO_BIN_EXE_locket"));
        command
            .args(["plugin", "--runtime-dir", "/run/locket/volumes", "--state-dir"])
            .arg(self.scene.path("state"))
            .args(more)
            .stdin(Stdio::null());
        command
    }

    /// A secret in a file, and the reference to it.
    fn secret(&self, name: &str, value: &str) -> String {
        self.scene.write(&format!("secrets/{name}"), value);
        format!("file://{}", self.scene.path(&format!("secrets/{name}")).display())
    }

    /// Makes a volume with these options.
    fn create(&self, name: &str, options: &[(&str, &str)]) {
        let (done, told) = self.try_create(name, options);
        assert!(done, "{told}");
    }

    fn try_create(&self, name: &str, options: &[(&str, &str)]) -> (bool, String) {
        let mut command = self.engine.docker();
        command.args(["volume", "create", "--driver", "locket"]);
        for (option, text) in options {
            command.args(["--opt", &format!("{option}={text}")]);
        }
        let output = command.arg(name).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.success(), told)
    }

    /// Starts a container that stays, with a volume at `/v`.
    fn start(&self, container: &str, volume: &str) {
        let mount = format!("{volume}:/v");
        self.engine.run(&[
            "run", "--detach", "--init", "--name", container, "--volume", &mount, "busybox", "sleep",
            "100000",
        ]);
    }

    /// What a file of the volume holds, as a container sees it.
    fn read(&self, container: &str, file: &str) -> String {
        self.engine
            .run(&["exec", container, "cat", &format!("/v/{file}")])
    }

    fn stop(&self, container: &str) {
        self.engine.run(&["rm", "--force", container]);
    }

    /// Everything of ours that is mounted beside the engine.
    fn mounts(&self) -> Vec<String> {
        let output = self.engine.inside("cat").arg("/proc/mounts").output().unwrap();
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        table
            .lines()
            .filter(|line| line.starts_with("locket "))
            .map(str::to_owned)
            .collect()
    }

    /// A path below the scene: who enters another mount namespace stands at its root.
    fn place(&self, name: &str) -> String {
        self.scene.path(name).display().to_string()
    }

    fn state(&self) -> PathBuf {
        self.scene.path("state/volumes.json")
    }
}

impl Plugin {
    /// Kills it with the signal that nobody can catch.
    fn kill(self) {
        signal(self.id, "KILL");
        let _ = self.agent.wait();
    }

    /// Asks it to end and waits for that.
    fn stop(self) -> String {
        signal(self.id, "TERM");
        let (status, log) = self.agent.wait();
        assert!(status.success(), "{log}");
        log
    }

    fn log(&self) -> String {
        self.agent.log()
    }

    fn says(&self, text: &str) {
        self.agent.says(text);
    }
}

fn signal(id: u32, name: &str) {
    run(Command::new("kill").args(["-s", name, &id.to_string()]));
}
