//! The program `docker`, which has the last word on what a project is. No value ever becomes one of its arguments.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use locket_compose::init::ImageFacts;
use locket_core::{Environment, SecretBytes};
use serde::Deserialize;

use super::super::limited;
use crate::report::Failure;

/// The longest that one call may take: a service that is made anew may wait for its image and for its stop.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// `docker`, called in a project's directory for its Compose files.
#[derive(Clone, Debug)]
pub(in super::super) struct Docker {
    environment: Environment,
    directory: PathBuf,
    /// `--file` for each, unless Compose finds them by itself.
    files: Vec<PathBuf>,
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
        })
    }

    /// The same; `None` as well where the program is without Compose.
    pub(in super::super) fn with_compose(
        environment: &Environment,
        directory: &Path,
        files: &[PathBuf],
    ) -> Option<Self> {
        let docker = Self::find(environment, directory, files)?;
        let answer = docker.docker(["compose", "version"], None);
        answer.is_ok_and(|answer| answer.is_good).then_some(docker)
    }

    /// The same program in another environment.
    #[cfg(feature = "command-rotate")]
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
        let answer = self.compose(["config", "--quiet"], None)?;
        Ok(match answer.is_good {
            true => Ok(()),
            false => Err(answer.stderr.trim().to_owned()),
        })
    }

    /// Runs `docker compose ARGUMENTS`, with `input` on its standard input.
    ///
    /// # Errors
    /// It cannot be run.
    pub(in super::super) fn compose<I, S>(
        &self,
        arguments: I,
        input: Option<&SecretBytes>,
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
        run(command, input)
    }

    /// Runs `docker ARGUMENTS`, with `input` on its standard input.
    ///
    /// # Errors
    /// It cannot be run.
    pub(in super::super) fn docker<I, S>(
        &self,
        arguments: I,
        input: Option<&SecretBytes>,
    ) -> Result<Answer, Failure>
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let mut command = self.command();
        command.args(arguments);
        run(command, input)
    }

    /// What is known here of `image`; nothing where it is not on this machine or no engine answers.
    pub(in super::super) fn inspect(&self, image: &str) -> Option<ImageFacts> {
        #[derive(Default, Deserialize)]
        #[serde(rename_all = "PascalCase", default)]
        struct Config {
            user: String,
            entrypoint: Option<Vec<String>>,
            cmd: Option<Vec<String>>,
        }
        // An image's name never begins like an option.
        if image.starts_with('-') {
            return None;
        }
        let answer = self
            .docker(["image", "inspect", "--format", "{{json .Config}}", image], None)
            .ok()
            .filter(|answer| answer.is_good)?;
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

fn run(mut command: Command, input: Option<&SecretBytes>) -> Result<Answer, Failure> {
    command.stderr(Stdio::piped());
    let output = limited::output(command, input, LIMIT)
        .map_err(|error| Failure::work(format!("docker cannot be run: {error}")))?
        .ok_or_else(|| {
            let limit = humantime::format_duration(LIMIT);
            Failure::work(format!("docker did not end within {limit}"))
                .help("Ask `docker info` whether the engine answers, then begin again.")
        })?;
    Ok(Answer {
        is_good: output.status.success(),
        stdout: output.stdout,
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}
