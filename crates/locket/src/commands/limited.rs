//! Programs of others, waited for no longer than is said.

use std::io;
#[cfg(feature = "command-rotate")]
use std::process::ExitStatus;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use locket_core::{Environment, SecretBytes};
use tokio::io::AsyncWriteExt;
use tokio::process::ChildStdin;
use tokio::time::timeout;

use crate::runtime;

/// Compose says which version it is without asking anybody.
pub(super) const VERSION_LIMIT: Duration = Duration::from_secs(5);

/// Runs `command` with `input` on its standard input, and gives what it wrote to its standard output, and to its standard
/// error where that is piped; `None` when it had not ended after `limit`, and was killed.
///
/// # Errors
/// It cannot be run.
pub(super) fn output(
    mut command: Command,
    input: Option<&SecretBytes>,
    limit: Duration,
) -> io::Result<Option<Output>> {
    command.stdout(Stdio::piped());
    run(command, input, limit)
}

/// The same of a program whose standard output goes where ours does: only how it ended is given.
///
/// # Errors
/// As there.
#[cfg(feature = "command-rotate")]
pub(super) fn status(
    command: Command,
    input: Option<&SecretBytes>,
    limit: Duration,
) -> io::Result<Option<ExitStatus>> {
    Ok(run(command, input, limit)?.map(|output| output.status))
}

fn run(mut command: Command, input: Option<&SecretBytes>, limit: Duration) -> io::Result<Option<Output>> {
    command.stdin(match input {
        Some(_) => Stdio::piped(),
        None => Stdio::null(),
    });
    let mut command = tokio::process::Command::from(command);
    let running = async {
        // Once this is given up, nobody waits for it any more.
        let mut child = command.kill_on_drop(true).spawn()?;
        let stdin = child.stdin.take();
        let both = async { tokio::join!(give(stdin, input), child.wait_with_output()).1 };
        timeout(limit, both).await.ok().transpose()
    };
    match runtime::block_on(running) {
        Ok(output) => output,
        Err(_) => Err(io::Error::other("there are no file descriptors left")),
    }
}

/// Asks Docker which Compose it has, and gives what came of it as [`output`] does.
///
/// # Errors
/// As there.
pub(super) fn compose_version(environment: &Environment, limit: Duration) -> io::Result<Option<Output>> {
    let mut command = Command::new("docker");
    command
        .args(["compose", "version", "--short"])
        .env_clear()
        .envs(environment.iter())
        .stderr(Stdio::null());
    output(command, None, limit)
}

/// A program that ends early has said why; that it did not read to the end says nothing more.
async fn give(stdin: Option<ChildStdin>, input: Option<&SecretBytes>) {
    let (Some(mut stdin), Some(input)) = (stdin, input) else {
        return;
    };
    #[expect(
        clippy::disallowed_methods,
        reason = "a value reaches a program on its standard input alone"
    )]
    let _ = stdin.write_all(input.expose()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_gets_its_input_and_no_more_time_than_is_said() {
        // More than a pipe holds, in both directions at once.
        let input = SecretBytes::copy_from(&vec![b'x'; 1 << 20]);
        let answer = output(shell("cat"), Some(&input), Duration::from_secs(60));
        assert!(input.matches(&answer.unwrap().unwrap().stdout));
        let answer = output(shell("exec <&-; echo no"), Some(&input), Duration::from_secs(60));
        assert_eq!(answer.unwrap().unwrap().stdout, b"no\n", "it need not read");
        let waits = shell("exec tail -f /dev/null");
        assert!(output(waits, None, Duration::from_millis(50)).unwrap().is_none());
    }
}
