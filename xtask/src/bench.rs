//! Builds and runs the benchmarks.

use std::process::Command;

use crate::command::run as step;
use crate::dist;

/// Measures the release binary; fails when a ratio is past its bound.
pub(crate) fn run(scenes: &[String]) -> Result<(), String> {
    let locket = dist::build()?;
    let beside = |name: &str| locket.with_file_name(name);
    step(
        Command::new(beside("locket-bench"))
            .arg(&locket)
            .arg(beside("bare"))
            .args(scenes),
    )
}
