//! Programs of others, waited for no longer than is said.

use std::io;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use crate::runtime;

/// Runs `command` and gives what it wrote to its standard output; `None` when it had not ended after `limit`, and was
/// killed.
///
/// # Errors
/// It cannot be run.
pub(super) fn output(mut command: Command, limit: Duration) -> io::Result<Option<Output>> {
    command.stdout(Stdio::piped());
    let mut command = tokio::process::Command::from(command);
    let running = async {
        // Once this is given up, nobody waits for it any more.
        let child = command.kill_on_drop(true).spawn()?;
        timeout(limit, child.wait_with_output()).await.ok().transpose()
    };
    match runtime::block_on(running) {
        Ok(output) => output,
        Err(_) => Err(io::Error::other("there are no file descriptors left")),
    }
}
