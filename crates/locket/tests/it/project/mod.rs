//! Compose projects with secret files: made, rotated, migrated; on a real engine where containers matter.

mod images;
mod init;
mod migrate;
mod rotate;
mod rotate_mariadb;
mod rotate_store;
mod rotate_swarm;
mod running;

use std::path::Path;
use std::process::{Command, Output};

use locket_testkit::services::Engine;

use crate::support::locket;

/// `locket ARGUMENTS` in `directory`, where `docker` is that of the engine.
fn beside(engine: &Engine, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = locket();
    command
        .args(arguments)
        .current_dir(directory)
        .envs(engine.environment());
    command
}

/// `docker compose ARGUMENTS` in `directory`.
fn compose(engine: &Engine, directory: &Path, arguments: &[&str]) -> Output {
    let mut command = engine.docker();
    command.arg("compose").args(arguments).current_dir(directory);
    command.output().unwrap()
}

/// All that a program said.
fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// What a program printed, after it ended well.
fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}
