//! One action, tried until it succeeds or its time is over.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use locket_core::{Action, BoxFuture, Environment, Reach, Signal};
use rustix::process::{Pid, Signal as RawSignal, kill_process};

use crate::resolve::Backoff;

/// How consumers are told.
#[derive(Clone, Debug)]
pub struct Notifier {
    /// Who goes to the consumers.
    pub courier: Arc<dyn Courier>,
    /// How long a failing action is tried again.
    pub timeout: Duration,
}

/// Goes to consumers.
pub trait Courier: Send + Sync + fmt::Debug {
    /// Tells one consumer, once, about `changed` files. An error is a reason to try again. Dropping the future ends
    /// the try.
    fn deliver<'a>(
        &'a self,
        action: &'a Action,
        changed: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<Delivery, String>>;

    /// What of this machine telling this consumer touches.
    fn reach(&self, _action: &Action) -> Reach {
        Reach::default()
    }

    /// Which of `actions` wait for which others of them, by index: a consumer is told when those that it depends on
    /// were. Whoever does not know says nothing.
    fn order<'a>(&'a self, _actions: &'a [Action]) -> BoxFuture<'a, Vec<Precedence>> {
        Box::pin(async { Vec::new() })
    }
}

/// One consumer is told before another that depends on it, by their indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Precedence {
    /// Is told first.
    pub first: usize,
    /// Is told once that one was.
    pub then: usize,
}

/// Reaches the programs and processes of this machine.
#[derive(Clone, Debug)]
pub struct LocalCourier {
    /// The environment of programs that are run.
    pub environment: Environment,
}

/// How telling one consumer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// It was told.
    Told,
    /// It has nothing to be told, and why: it will read the files when it starts.
    Idle(String),
    /// There is nobody to be told, and why.
    Nobody(String),
    /// It could not be told in time, and why.
    Failed(String),
}

/// A program that is run has this long.
const EXEC_LIMIT: Duration = Duration::from_secs(60);

/// Names the changed files, a line each.
pub const CHANGED_VARIABLE: &str = "LOCKET_CHANGED";

impl Notifier {
    /// Tells one consumer about `changed` files.
    pub async fn tell(self, action: Action, changed: Vec<PathBuf>) -> (Action, Delivery) {
        let backoff = Backoff {
            first: Duration::from_secs(1),
            most: Duration::from_secs(30),
        };
        let mut failures = 0;
        let mut last = None;
        let tries = async {
            loop {
                match self.courier.deliver(&action, &changed).await {
                    Ok(delivery) => return delivery,
                    Err(reason) => {
                        failures += 1;
                        let pause = backoff.limit(failures);
                        tracing::warn!(
                            "{action} could not be told and will be tried again in {}: {reason}",
                            humantime::format_duration(pause)
                        );
                        last = Some(reason);
                        tokio::time::sleep(pause).await;
                    }
                }
            }
        };
        let ended = tokio::time::timeout(self.timeout, tries).await;
        let delivery = ended.unwrap_or_else(|_| {
            let limit = humantime::format_duration(self.timeout);
            let reason = last.unwrap_or_else(|| "there was no answer".to_owned());
            Delivery::Failed(format!("{reason} (it was tried for {limit})"))
        });
        (action, delivery)
    }
}

impl Courier for LocalCourier {
    fn deliver<'a>(
        &'a self,
        action: &'a Action,
        changed: &'a [PathBuf],
    ) -> BoxFuture<'a, Result<Delivery, String>> {
        Box::pin(async move {
            match action {
                Action::Exec { argv } => self.exec(argv, changed).await,
                Action::Pid { file, signal } => signal_pid_file(file, *signal).await,
                Action::Unit { name, order } => {
                    let order = order.to_string();
                    let argv = [
                        "systemctl",
                        "--no-ask-password",
                        order.as_str(),
                        "--",
                        name.as_str(),
                    ];
                    self.exec(&argv.map(str::to_owned), changed).await
                }
                other => Ok(Delivery::Failed(format!("nothing here can tell {other}"))),
            }
        })
    }

    fn reach(&self, action: &Action) -> Reach {
        Reach {
            runs_programs: matches!(action, Action::Exec { .. } | Action::Unit { .. }),
            ..Reach::default()
        }
    }
}

impl LocalCourier {
    async fn exec(&self, argv: &[String], changed: &[PathBuf]) -> Result<Delivery, String> {
        let Some((program, arguments)) = argv.split_first() else {
            return Err("there is no program".into());
        };
        let names: Vec<_> = changed.iter().map(|path| path.display().to_string()).collect();
        // What the program prints belongs beside the log, never into a protocol on standard output.
        let output = || {
            use std::os::fd::AsFd;
            std::io::stderr()
                .as_fd()
                .try_clone_to_owned()
                .map_or_else(|_| Stdio::null(), Stdio::from)
        };
        let mut child = tokio::process::Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(self.environment.iter())
            .env(CHANGED_VARIABLE, names.join("\n"))
            .stdin(Stdio::null())
            .stdout(output())
            .stderr(output())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{program} cannot be run: {error}"))?;
        match tokio::time::timeout(EXEC_LIMIT, child.wait()).await {
            Ok(Ok(status)) if status.success() => Ok(Delivery::Told),
            Ok(Ok(status)) => Err(format!("{program} ended with {status}")),
            Ok(Err(error)) => Err(format!("{program} cannot be awaited: {error}")),
            Err(_) => Err(format!(
                "{program} took longer than {}",
                humantime::format_duration(EXEC_LIMIT)
            )),
        }
    }
}

async fn signal_pid_file(file: &PathBuf, signal: Signal) -> Result<Delivery, String> {
    let shown = file.display();
    let text = match tokio::fs::read_to_string(file).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok(Delivery::Nobody(format!("there is no file {shown}")));
        }
        Err(error) => return Err(format!("{shown} cannot be read: {error}")),
    };
    let number = text.trim().parse().ok().filter(|number| *number > 1);
    let Some(pid) = number.and_then(Pid::from_raw) else {
        return Err(format!("{shown} does not hold a process id"));
    };
    let Some(raw) = RawSignal::from_named_raw(signal.number()) else {
        return Err(format!("this system has no {signal}"));
    };
    match kill_process(pid, raw) {
        Ok(()) => Ok(Delivery::Told),
        Err(rustix::io::Errno::SRCH) => Ok(Delivery::Nobody(format!(
            "process {} of {shown} is not running",
            pid.as_raw_nonzero()
        ))),
        Err(error) => Err(format!(
            "process {} cannot be signalled: {error}",
            pid.as_raw_nonzero()
        )),
    }
}
