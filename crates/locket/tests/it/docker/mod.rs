//! Compose, builds, the plugin and swarms on a real Docker Engine.

mod build;
mod compose;
pub(crate) mod deploy;
mod labels;
mod swarm;

use std::path::Path;
use std::process::{Command, Output};

use locket_testkit::services::Engine;

/// The engine of this process, whose `docker` knows locket.
fn engine() -> Option<&'static Engine> {
    let engine = Engine::shared()?;
    engine.add_cli_plugin("locket", Path::new(env!("CARGO_BIN_EXE_locket")));
    Some(engine)
}

/// `docker ARGUMENTS` in `directory`.
fn docker(engine: &Engine, directory: &Path, arguments: &[&str]) -> Command {
    let mut command = engine.docker();
    command.args(arguments).current_dir(directory);
    command
}

fn all(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
