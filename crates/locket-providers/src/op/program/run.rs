//! One run of the program: its environment, its time limit, and what comes back.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use futures_util::future::join3;
use locket_core::{Environment, FetchCx, ProviderError, SecretBytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

use super::home::Home;
use super::refusal::refused;
use crate::exec::{Leader, Told};
use crate::http::Body;
use crate::{BuildCx, ConfigError};

/// The variables of our own environment that the program gets: how to find others, and how to reach the network.
/// None of `OP_…`, above all no `OP_CONNECT_…`, with which it would ask another server.
const PASSED: &[&str] = &[
    "PATH",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTPS_PROXY",
    "https_proxy",
    "NO_PROXY",
    "no_proxy",
];

/// The most that the program may write.
const MOST_MIB: usize = 16;

const TIMEOUT: Duration = Duration::from_secs(10);

/// The program with all that every run of it shares.
pub(in crate::op) struct Program {
    path: PathBuf,
    instance: String,
    environment: BTreeMap<OsString, OsString>,
    surroundings: Environment,
    timeout: Duration,
    /// Made by the first run.
    home: OnceLock<Home>,
}

impl Program {
    /// The program at `path` for the instance of `cx`.
    ///
    /// # Errors
    /// A setting cannot be honoured by a program that makes its own connections.
    pub(in crate::op) fn new(cx: &BuildCx<'_>, path: PathBuf) -> Result<Self, ConfigError> {
        for setting in ["client-cert-file", "client-key-file"] {
            if cx.settings.text(setting).is_some() {
                return Err(ConfigError::new(
                    format!("the `op` program takes no `{setting}`"),
                    "Remove it, or use 1Password's core by setting `op.core`.",
                ));
            }
        }
        let mut environment: BTreeMap<OsString, OsString> = PASSED
            .iter()
            .filter_map(|name| Some(((*name).into(), cx.environment.get_os(name)?.to_owned())))
            .collect();
        if let Some(file) = cx.settings.path("ca-file", cx.base_dir) {
            environment.insert("SSL_CERT_FILE".into(), file.into());
        }
        match cx.settings.text("proxy").map(str::trim) {
            None => {}
            Some(proxy) => {
                environment.retain(|name, _| !name.eq_ignore_ascii_case("https_proxy"));
                if proxy != "none" {
                    environment.insert("HTTPS_PROXY".into(), proxy.into());
                }
            }
        }
        let ours = [
            // Its cache would hide a rotation, and the daemon that keeps it would outlive us.
            ("OP_CACHE", "false"),
            ("OP_BIOMETRIC_UNLOCK_ENABLED", "false"),
            ("OP_LOAD_DESKTOP_APP_SETTINGS", "false"),
            ("NO_COLOR", "1"),
        ];
        environment.extend(ours.map(|(name, value)| (name.into(), value.into())));
        Ok(Self {
            path,
            instance: cx.instance.to_owned(),
            environment,
            surroundings: cx.environment.clone(),
            timeout: cx.settings.duration("timeout")?.unwrap_or(TIMEOUT),
            home: OnceLock::new(),
        })
    }

    /// Runs the program and gives what it wrote to its standard output. The token goes through the environment, which
    /// nobody but this user and root can read; `input` goes to its standard input. It asks the server for as many
    /// things as `reads` says, beside signing in.
    ///
    /// # Errors
    /// What the program refused, in our words; or it could not be run, took too long or wrote too much.
    pub(super) async fn run(
        &self,
        arguments: &[&str],
        input: &[u8],
        reads: usize,
        token: &SecretBytes,
        cx: &FetchCx,
    ) -> Result<Body, ProviderError> {
        (0..reads).for_each(|_| cx.count_request());
        let limit = self.timeout.min(cx.remaining());
        let mut told = Told::new();
        let running = self.exchange(arguments, input, token, &mut told);
        let ended = tokio::time::timeout(limit, running).await;
        told.log(&self.instance, std::iter::empty());
        match ended {
            Err(_) => Err(ProviderError::unavailable(format!(
                "the `op` program did not answer within {} and was killed",
                humantime::format_duration(limit)
            ))
            .hint("Check that this machine reaches 1Password, or give it more time with `op.timeout`.")),
            Ok(Err(error)) => Err(error),
            Ok(Ok((status, _))) if !status.success() => Err(refused(told.bytes(), status)),
            Ok(Ok((_, body))) => Ok(body),
        }
    }

    async fn exchange(
        &self,
        arguments: &[&str],
        input: &[u8],
        token: &SecretBytes,
        told: &mut Told,
    ) -> Result<(ExitStatus, Body), ProviderError> {
        let home = self.home()?;
        let mut command = Command::new(&self.path);
        command
            .args(arguments)
            .env_clear()
            .envs(&self.environment)
            .env("HOME", home)
            .env("OP_CONFIG_DIR", home)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        give_token(&mut command, token)?;
        let started = Leader::start(&mut command);
        // The command holds the token until here.
        drop(command);
        let mut leader = started.map_err(|error| self.unstartable(&error))?;
        let child = &mut leader.child;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(mut stdin), Some(stdout), Some(mut stderr)) = pipes else {
            return Err(ProviderError::unavailable("the `op` program has no pipes"));
        };
        let writing = async move {
            // A program that does not read is judged by what it answers.
            let _ = stdin.write_all(input).await;
        };
        let telling = async {
            let mut chunk = Zeroizing::new([0; 1024]);
            while let Ok(count @ 1..) = stderr.read(chunk.as_mut_slice()).await {
                told.push(&chunk[..count]);
            }
        };
        let (body, (), ()) = join3(read(stdout), writing, telling).await;
        let body = body?;
        let status = leader.child.wait().await;
        let status = status.map_err(|error| {
            ProviderError::unavailable(format!("the end of the `op` program is not known: {error}"))
        })?;
        Ok((status, body))
    }

    /// The private directory.
    fn home(&self) -> Result<&Path, ProviderError> {
        if let Some(home) = self.home.get() {
            return Ok(home.path());
        }
        let made = Home::make(&self.surroundings).map_err(|error| {
            ProviderError::invalid(format!(
                "no private directory can be made for the `op` program: {error}"
            ))
            .hint(
                "Set TMPDIR to a directory that this user may write to, or use 1Password's core (`op.core`).",
            )
        })?;
        Ok(self.home.get_or_init(|| made).path())
    }

    fn unstartable(&self, error: &std::io::Error) -> ProviderError {
        let context = format!(
            "the `op` program at {} cannot be run: {error}",
            self.path.display()
        );
        match error.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied => {
                ProviderError::invalid(context).hint("Set `op.cli` to the path of the `op` program.")
            }
            _ => ProviderError::unavailable(context),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the token goes to the vendor's program, through its environment"
)]
fn give_token(command: &mut Command, token: &SecretBytes) -> Result<(), ProviderError> {
    use std::os::unix::ffi::OsStrExt;

    if token.expose().contains(&0) {
        return Err(ProviderError::auth(
            "the token of the service account holds a NUL byte",
        ));
    }
    command.env(
        "OP_SERVICE_ACCOUNT_TOKEN",
        std::ffi::OsStr::from_bytes(token.expose()),
    );
    Ok(())
}

async fn read(mut stdout: impl AsyncRead + Unpin) -> Result<Body, ProviderError> {
    let mut body = Body::with_capacity(None);
    let mut chunk = Zeroizing::new([0; 16 << 10]);
    loop {
        let count = stdout.read(chunk.as_mut_slice()).await;
        match count
            .map_err(|error| ProviderError::unavailable(format!("the `op` program broke off: {error}")))?
        {
            0 => return Ok(body),
            count if body.extend(&chunk[..count]) => {}
            _ => {
                return Err(ProviderError::unavailable(format!(
                    "the `op` program wrote more than {MOST_MIB} MiB"
                )));
            }
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program")
            .field("path", &self.path)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
