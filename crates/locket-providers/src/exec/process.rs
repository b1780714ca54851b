//! A running helper: started without a shell in a process group of its own, and killed with all of that group.

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, FutureExt, join, select};
use locket_core::{Clock, ProviderError};
use locket_sys::child::Claim;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use zeroize::Zeroizing;

use super::config::Config;
use super::exchange::{Exchange, Flow};
use super::lines::{LineBuffer, LineError, next_line};
use super::locator::HelperLocator;
use super::told::Told;
use super::wire;

/// The longest line that a helper may write, in bytes.
pub(super) const LINE: usize = 16 << 20;

/// How long a killed helper may take to be gone, before it is left to the system.
const REAPING: Duration = Duration::from_secs(1);

/// A helper that waits for a request or is answering one. Dropping it kills its process group.
pub(super) struct Helper {
    leader: Leader,
    stdin: ChildStdin,
    stdout: ChildStdout,
    stderr: ChildStderr,
    lines: LineBuffer,
    /// Requests sent.
    requests: u64,
}

/// How a request ended, apart from its answers.
pub(super) enum Ended {
    /// Every item is answered.
    Done(After),
    /// The helper is gone, with this status if that is known.
    Gone(Option<ExitStatus>),
    /// It broke the protocol.
    Broken(ProviderError),
}

/// Whether a helper can be asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    Waiting,
    Spent,
}

impl Helper {
    /// Starts the program.
    ///
    /// # Errors
    /// It cannot be run.
    pub(super) fn start(config: &Config) -> Result<Self, ProviderError> {
        let mut command = Command::new(&config.program);
        command
            .args(&config.arguments)
            .env_clear()
            .envs(&config.environment)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let started = Leader::start(&mut command);
        let mut leader = started.map_err(|error| refused(config, &error))?;
        let child = &mut leader.child;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(ProviderError::unavailable(format!(
                "the helper of `{}` has no pipes",
                config.name
            )));
        };
        tracing::debug!(
            provider = &*config.name,
            program = config.program,
            "started a helper"
        );
        Ok(Self {
            leader,
            stdin,
            stdout,
            stderr,
            lines: LineBuffer::new(LINE),
            requests: 0,
        })
    }

    /// Asks for `items` and reads until all of them are answered or nothing more can come.
    pub(super) async fn ask(
        &mut self,
        items: &[&HelperLocator],
        exchange: &mut Exchange,
        told: &mut Told,
        clock: &Arc<dyn Clock>,
    ) -> Ended {
        self.pass_over_earlier_words();
        self.requests += 1;
        exchange.sent(self.requests);
        let request = wire::request(self.requests, items);
        let mut after = After::Spent;
        let ended = {
            let stdin = &mut self.stdin;
            let sent = &mut after;
            let sending = async move {
                // A helper that is gone is noticed where its answers are read.
                if stdin.write_all(&request).await.is_ok() && stdin.flush().await.is_ok() {
                    *sent = After::Waiting;
                }
            };
            let listening = listen(&mut self.stderr, told);
            let reading = read(&mut self.stdout, &mut self.lines, exchange, clock);
            let beside = std::pin::pin!(join(sending, listening));
            match select(std::pin::pin!(reading), beside).await {
                Either::Left((ended, _)) => ended,
                // It never ends.
                Either::Right(_) => Ended::Gone(None),
            }
        };
        match ended {
            Ended::Done(_) if exchange.is_sound() => Ended::Done(after),
            Ended::Done(_) => Ended::Done(After::Spent),
            Ended::Gone(_) => Ended::Gone(self.reap(told).await),
            broken @ Ended::Broken(_) => broken,
        }
    }

    /// What was written to standard error since the last request is nobody's: the values that it may hold are not
    /// known any more.
    fn pass_over_earlier_words(&mut self) {
        let mut chunk = Zeroizing::new([0; 1024]);
        while let Some(Ok(1..)) = self.stderr.read(chunk.as_mut_slice()).now_or_never() {}
    }

    /// Kills what is left of a helper that closed its output, and says how it ended.
    async fn reap(&mut self, told: &mut Told) -> Option<ExitStatus> {
        self.leader.kill();
        let ending = join(
            self.leader.child.wait(),
            listen_to_the_end(&mut self.stderr, told),
        );
        match tokio::time::timeout(REAPING, ending).await {
            Ok((status, ())) => status.ok(),
            Err(_) => None,
        }
    }
}

/// A child that leads a process group of its own. Dropping it kills the group.
pub(crate) struct Leader {
    pub(crate) child: Child,
    /// Nobody else waits for it: until we did, neither its number nor its group's can be another's.
    _claim: Claim,
}

impl Leader {
    /// Starts `command` as the first of a group.
    pub(crate) fn start(command: &mut Command) -> std::io::Result<Self> {
        let mut child = command.process_group(0).kill_on_drop(true).spawn()?;
        match pid(&child) {
            Some(pid) => Ok(Self {
                child,
                _claim: Claim::on(pid),
            }),
            None => {
                child.start_kill()?;
                Err(std::io::ErrorKind::Other.into())
            }
        }
    }

    /// Kills the child and whatever it started; nothing when we waited for it already.
    fn kill(&self) {
        if let Some(group) = pid(&self.child) {
            // All that can be wrong is that there is nobody left.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        self.kill();
    }
}

fn pid(child: &Child) -> Option<Pid> {
    child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw)
}

/// Reads answers until all are there.
async fn read(
    stdout: &mut ChildStdout,
    lines: &mut LineBuffer,
    exchange: &mut Exchange,
    clock: &Arc<dyn Clock>,
) -> Ended {
    loop {
        let line = match next_line(stdout, lines).await {
            Ok(Some(line)) => line,
            Ok(None) => {
                // What a helper that ends leaves out is the last line's end.
                let rest = lines.rest();
                return match exchange.line(lines.get(rest), clock.wall()) {
                    Flow::Done => Ended::Done(After::Spent),
                    Flow::More | Flow::Broken(_) => Ended::Gone(None),
                };
            }
            Err(LineError::TooLong) => return Ended::Broken(exchange.line_too_long(LINE)),
            Err(LineError::Failed) => return Ended::Gone(None),
        };
        match exchange.line(lines.get(line), clock.wall()) {
            Flow::More => {}
            Flow::Done => {
                lines.wipe_taken();
                return Ended::Done(After::Waiting);
            }
            Flow::Broken(error) => return Ended::Broken(error),
        }
    }
}

/// Takes standard error as it comes, so that a helper is never held up by a full pipe. Never ends.
async fn listen(stderr: &mut ChildStderr, told: &mut Told) {
    listen_to_the_end(stderr, told).await;
    std::future::pending::<()>().await;
}

async fn listen_to_the_end(stderr: &mut ChildStderr, told: &mut Told) {
    let mut chunk = Zeroizing::new([0; 1024]);
    while let Ok(count) = stderr.read(chunk.as_mut_slice()).await {
        if count == 0 {
            return;
        }
        told.push(&chunk[..count]);
    }
}

fn refused(config: &Config, error: &std::io::Error) -> ProviderError {
    use std::io::ErrorKind;
    let context = format!(
        "the helper of `{}`, {}, cannot be run: {error}",
        config.name, config.program
    );
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied | ErrorKind::InvalidInput => {
            ProviderError::invalid(context).hint(format!(
                "Check `command` in `[providers.{}]`; a program without a slash is looked up in PATH.",
                config.name
            ))
        }
        _ => ProviderError::unavailable(context),
    }
}
