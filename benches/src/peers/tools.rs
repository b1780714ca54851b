//! How each tool is told to do a job.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::scene::Scene;
use crate::process::command;

/// One tool.
pub(crate) struct Tool {
    pub(crate) name: &'static str,
    pub(crate) binary: PathBuf,
    pub(crate) speaks: Speaks,
}

/// The language of a tool, and where its secrets are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Speaks {
    LocketToBao,
    BaoAgent,
    LocketToConnect,
    OtherToConnect,
    LocketToStore,
    Sops,
}

impl Tool {
    /// Its name and version, as it says it.
    pub(crate) fn version(&self) -> String {
        let words: &[&str] = match self.speaks {
            Speaks::BaoAgent => &["version"],
            Speaks::Sops => &["--disable-version-check", "--version"],
            _ => &["--version"],
        };
        let output = command(&self.binary)
            .args(words)
            .stdout(Stdio::piped())
            .output()
            .expect("the tool starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().next().unwrap_or_default();
        let version = line.split(" (").next().unwrap_or_default().trim().to_owned();
        match self.speaks {
            Speaks::OtherToConnect => format!("the other {version}"),
            _ => version,
        }
    }

    /// The tag of a secret in a template.
    pub(crate) fn tag(&self, secret: usize) -> String {
        match self.speaks {
            Speaks::LocketToBao => format!("{{{{ bao://kv/s{secret}/value }}}}"),
            Speaks::BaoAgent => {
                format!("{{{{ with secret \"kv/data/s{secret}\" }}}}{{{{ .Data.data.value }}}}{{{{ end }}}}")
            }
            Speaks::LocketToConnect | Speaks::OtherToConnect => {
                format!("{{{{ op://bench/s{secret}/password }}}}")
            }
            Speaks::LocketToStore => format!("{{{{ store://s{secret} }}}}"),
            Speaks::Sops => unreachable!("sops has no templates"),
        }
    }

    /// Every template rendered once.
    pub(crate) fn once(&self, scene: &Scene) -> Command {
        let mut command = self.begin(scene);
        match self.speaks {
            Speaks::BaoAgent => command.args(["agent", "-config", "once.hcl"]),
            Speaks::OtherToConnect => {
                command.args([
                    "inject",
                    "--mode",
                    "one-shot",
                    "--map",
                    "in:out",
                    "--status-file",
                    "status",
                ]);
                self.log_in(&mut command, scene)
            }
            _ => command.args(["inject", "--map", "in:out"]),
        };
        command
    }

    /// Every template rendered, and followed.
    pub(crate) fn follow(&self, scene: &Scene) -> Command {
        let mut command = self.begin(scene);
        match self.speaks {
            Speaks::BaoAgent => command.args(["agent", "-config", "stay.hcl"]),
            Speaks::OtherToConnect => {
                command.args([
                    "inject",
                    "--mode",
                    "watch",
                    "--map",
                    "in:out",
                    "--debounce",
                    "50ms",
                    "--status-file",
                    "status",
                ]);
                self.log_in(&mut command, scene)
            }
            _ => command.args(["run", "--map", "in:out", "--debounce", "50ms"]),
        };
        command
    }

    /// A program with the first secret as the variable `A`, with nothing staying that need not.
    pub(crate) fn exec(&self, scene: &Scene, program: &[&str]) -> Command {
        self.start(scene, &[], &["--same-process"], program)
    }

    /// The same with somebody beside it.
    pub(crate) fn supervise(&self, scene: &Scene, program: &[&str]) -> Command {
        self.start(scene, &["--watch"], &[], program)
    }

    fn start(&self, scene: &Scene, locket: &[&str], sops: &[&str], program: &[&str]) -> Command {
        let mut command = self.begin(scene);
        match self.speaks {
            Speaks::BaoAgent => {
                scene.write("exec.hcl", scene.agent_for_program(&self.tag(0), program));
                command.args(["agent", "-config", "exec.hcl"])
            }
            Speaks::Sops => {
                let words: Vec<_> = program.iter().map(|word| quoted(word)).collect();
                command
                    .arg("exec-env")
                    .args(sops)
                    .args(["secrets.env", &words.join(" ")])
            }
            Speaks::OtherToConnect => {
                command.arg("exec").args(locket);
                command.args(["--env-overrides", &format!("A={}", self.tag(0))]);
                self.log_in(&mut command, scene).arg("--").args(program)
            }
            _ => command
                .arg("exec")
                .args(locket)
                .args(["--env", &format!("A={}", self.tag(0)), "--"])
                .args(program),
        };
        command
    }

    fn begin(&self, scene: &Scene) -> Command {
        let mut command = command(&self.binary);
        command
            .current_dir(scene.directory())
            .env("HOME", scene.directory());
        match self.speaks {
            Speaks::LocketToBao => command
                .env("BAO_ADDR", scene.url())
                .env("BAO_TOKEN", scene.token()),
            Speaks::LocketToConnect => command
                .env("OP_CONNECT_HOST", scene.url())
                .env("OP_CONNECT_TOKEN", scene.token()),
            Speaks::LocketToStore => command
                .env("LOCKET_STORE_FILE", "secrets.store")
                .env("LOCKET_IDENTITY_FILE", "identity"),
            Speaks::Sops => command.env("SOPS_AGE_KEY_FILE", "identity"),
            Speaks::BaoAgent | Speaks::OtherToConnect => &mut command,
        };
        command
    }

    fn log_in<'a>(&self, command: &'a mut Command, scene: &Scene) -> &'a mut Command {
        command.args(["--provider", "op-connect", "--connect-host", &scene.url()]);
        command.args(["--connect-token", "file:token"])
    }
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', "'\\''"))
}
