//! The program `docker`, which has the last word on what a project is. No value ever becomes one of its arguments.

use std::cell::Cell;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use locket_compose::init::ImageFacts;
use locket_core::{Environment, SecretBytes};
use serde::Deserialize;

use super::super::limited;
use crate::report::{self, Failure};

/// The longest that work may take: a service that is made anew may wait for its image and for its stop.
#[cfg(feature = "command-rotate")]
pub(in super::super) const WORK_LIMIT: Duration = Duration::from_secs(10 * 60);

/// What the engine knows of an image it says at once, or not at all.
const IMAGE_LIMIT: Duration = Duration::from_secs(5);

/// Compose may fetch what a project includes from elsewhere.
pub(in super::super) const CONFIG_LIMIT: Duration = Duration::from_secs(30);

/// `docker`, called in a project's directory for its Compose files.
#[derive(Clone, Debug)]
pub(in super::super) struct Docker {
    environment: Environment,
    directory: PathBuf,
    /// `--file` for each, unless Compose finds them by itself.
    files: Vec<PathBuf>,
    /// Whether it was asked for an image, and was silent.
    is_silent: Cell<bool>,
}

/// What came of asking for Compose.
#[derive(Debug)]
pub(in super::super) enum Asked {
    /// The program, with Compose.
    There(Docker),
    /// There is no such program, or it is without Compose.
    Absent,
    /// It did not answer within this time.
    Silent(Duration),
}

/// What a program said, and whether it succeeded.
#[derive(Debug)]
pub(in super::super) struct Answer {
    /// Whether it ended well.
    pub(in super::super) is_good: bool,
    /// Its standard output.
    pub(in super::super) stdout: Vec<u8>,
    /// Its standard error.
    pub(in super::super) stderr: String,
}

impl Docker {
    /// The program of `environment`, for the project in `directory`. `None` where there is none.
    pub(in super::super) fn find(
        environment: &Environment,
        directory: &Path,
        files: &[PathBuf],
    ) -> Option<Self> {
        let path = environment.get_os("PATH")?;
        std::env::split_paths(path).find(|place| place.join("docker").is_file())?;
        Some(Self {
            environment: environment.clone(),
            directory: directory.to_owned(),
            files: files.to_vec(),
            is_silent: Cell::new(false),
        })
    }

    /// The same, after it was asked for Compose.
    pub(in super::super) fn with_compose(
        environment: &Environment,
        directory: &Path,
        files: &[PathBuf],
    ) -> Asked {
        match Self::find(environment, directory, files) {
            Some(docker) => docker.asked_for_compose(limited::VERSION_LIMIT),
            None => Asked::Absent,
        }
    }

    fn asked_for_compose(self, limit: Duration) -> Asked {
        let mut command = self.command();
        command.args(["compose", "version"]);
        match ask(command, None, limit) {
            Ok(Some(answer)) if answer.is_good => Asked::There(self),
            Ok(None) => Asked::Silent(limit),
            Ok(Some(_)) | Err(_) => Asked::Absent,
        }
    }

    /// The same program in another environment.
    #[cfg(any(feature = "command-migrate", feature = "command-rotate"))]
    pub(in super::super) fn with(&self, environment: Environment) -> Self {
        Self {
            environment,
            ..self.clone()
        }
    }

    /// Whether Compose accepts the project; what it minds otherwise.
    ///
    /// # Errors
    /// It cannot be asked.
    pub(in super::super) fn validate(&self) -> Result<Result<(), String>, Failure> {
        let answer = self.compose(["config", "--quiet"], None, CONFIG_LIMIT)?;
        Ok(match answer.is_good {
            true => Ok(()),
            false => Err(answer.stderr.trim().to_owned()),
        })
    }

    /// Runs `docker compose ARGUMENTS`, with `input` on its standard input, for no longer than `limit`.
    ///
    /// # Errors
    /// It cannot be run, or does not end.
    pub(in super::super) fn compose<I, S>(
        &self,
        arguments: I,
        input: Option<&SecretBytes>,
        limit: Duration,
    ) -> Result<Answer, Failure>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command();
        command.arg("compose");
        for file in &self.files {
            command.arg("--file").arg(file);
        }
        command.args(arguments);
        run(command, input, limit)
    }

    /// Runs `docker ARGUMENTS`, with `input` on its standard input, for no longer than `limit`.
    ///
    /// # Errors
    /// It cannot be run, or does not end.
    #[cfg(feature = "command-rotate")]
    pub(in super::super) fn docker<I, S>(
        &self,
        arguments: I,
        input: Option<&SecretBytes>,
        limit: Duration,
    ) -> Result<Answer, Failure>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command();
        command.args(arguments);
        run(command, input, limit)
    }

    /// What is known here of `image`; nothing where it is not on this machine or no engine answers. One that was silent
    /// once is asked no more.
    pub(in super::super) fn inspect(&self, image: &str) -> Option<ImageFacts> {
        self.inspect_within(image, IMAGE_LIMIT)
    }

    fn inspect_within(&self, image: &str, limit: Duration) -> Option<ImageFacts> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Config {
            user: String,
            entrypoint: Option<Vec<String>>,
            cmd: Option<Vec<String>>,
        }
        // An image's name never begins like an option.
        if image.starts_with('-') || self.is_silent.get() {
            return None;
        }
        let mut command = self.command();
        command.args(["image", "inspect", "--format", "{{json .Config}}", image]);
        let Some(answer) = ask(command, None, limit).ok()? else {
            self.is_silent.set(true);
            report::tell(&format!(
                "docker did not answer within {}, so nothing is known of images but their names\n",
                humantime::format_duration(limit)
            ));
            return None;
        };
        if !answer.is_good {
            return None;
        }
        let config: Config = serde_json::from_slice(&answer.stdout).ok()?;
        let user = config.user.split(':').next().unwrap_or_default();
        Some(ImageFacts {
            user: match user {
                "" | "root" => Some(0),
                user => user.parse().ok(),
            },
            entrypoint: config.entrypoint.unwrap_or_default(),
            command: config.cmd.unwrap_or_default(),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new("docker");
        command
            .env_clear()
            .envs(self.environment.iter())
            .current_dir(&self.directory);
        command
    }
}

fn run(command: Command, input: Option<&SecretBytes>, limit: Duration) -> Result<Answer, Failure> {
    ask(command, input, limit)
        .map_err(|error| Failure::work(format!("docker cannot be run: {error}")))?
        .ok_or_else(|| silence(limit))
}

/// What is told of a program that did not answer.
pub(in super::super) fn silence(limit: Duration) -> Failure {
    let limit = humantime::format_duration(limit);
    Failure::work(format!("docker did not answer within {limit}"))
        .help("Ask `docker info` whether the engine answers, then begin again.")
}

fn ask(
    mut command: Command,
    input: Option<&SecretBytes>,
    limit: Duration,
) -> std::io::Result<Option<Answer>> {
    command.stderr(Stdio::piped());
    let output = limited::output(command, input, limit)?;
    Ok(output.map(|output| Answer {
        is_good: output.status.success(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }))
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    /// A program `docker` that does what `script` says, in a directory of its own.
    fn docker(script: &str) -> (tempfile::TempDir, Docker) {
        let directory = tempfile::tempdir().unwrap();
        // Another process makes it: what this one has open for writing may be open in a child of another test, too, and is
        // then not run.
        let made = Command::new("sh")
            .args([
                "-c",
                "mkfifo pipe; printf '#!/bin/sh\ncd %s\n%s\n' \"$PWD\" \"$1\" >docker; chmod 700 docker",
                "sh",
                script,
            ])
            .current_dir(directory.path())
            .status();
        assert!(made.unwrap().success());
        let path = std::env::join_paths([directory.path()]).unwrap();
        let environment = [(OsString::from("PATH"), path)].into_iter().collect();
        let docker = Docker::find(&environment, directory.path(), &[]).unwrap();
        (directory, docker)
    }

    const LIMIT: Duration = Duration::from_millis(50);

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn silence_is_told_from_absence() {
        let (_waits, docker) = docker("read line <pipe");
        assert!(matches!(docker.asked_for_compose(LIMIT), Asked::Silent(LIMIT)));
        let (_fails, docker) = self::docker("exit 1");
        assert!(matches!(docker.asked_for_compose(LONG), Asked::Absent));
        let (_answers, docker) = self::docker("exit 0");
        assert!(matches!(docker.asked_for_compose(LONG), Asked::There(_)));
        let (directory, docker) = self::docker("");
        std::fs::remove_file(directory.path().join("docker")).unwrap();
        assert!(matches!(docker.asked_for_compose(LONG), Asked::Absent));
    }

    #[test]
    fn an_engine_that_was_silent_once_is_asked_for_no_other_image() {
        let script = "echo asked >>told; case $5 in slow) read line <pipe;; esac; echo {}";
        let (directory, docker) = docker(script);
        let asked = || {
            let told = std::fs::read_to_string(directory.path().join("told"));
            told.unwrap_or_default().lines().count()
        };
        assert!(docker.inspect_within("quick", LONG).is_some());
        assert!(docker.inspect_within("--format", LONG).is_none());
        assert_eq!(asked(), 1);
        assert!(docker.inspect_within("slow", LIMIT).is_none());
        let before = asked();
        assert!(docker.inspect_within("quick", LONG).is_none());
        assert_eq!(asked(), before);
    }
}
