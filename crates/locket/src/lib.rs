//! locket: a secrets agent for containers and processes.
//!
//! A library so that fuzz targets reach it; [`main`] is all that it offers.
//!
//! This is the one place that takes what the process was given (arguments, environment, directory, terminal) and gives an
//! exit code back. Everything below gets it as arguments.

mod cli;
mod clock;
mod columns;
mod commands;
mod config;
mod context;
mod couriers;
mod diagnostics;
mod exit;
mod labels;
mod logging;
mod options;
mod output;
mod prompt;
#[cfg(any(test, fuzzing))]
pub mod properties;
mod providers;
#[cfg(test)]
mod reference;
mod report;
mod runtime;
mod service;
mod settings;
#[cfg(feature = "command-systemd")]
mod systemd;
#[cfg(test)]
mod testing;

use std::process::ExitCode;

use crate::context::Context;

/// Runs the command that the process was started for.
pub fn main() -> ExitCode {
    // Before the first thread and the first secret.
    let hardened = harden();
    let context = Context::of_this_process(hardened.err().map(|error| error.to_string()));
    cli::main(std::env::args_os(), &context).into()
}

/// Protects the process. A program that `exec` or `build` becomes or starts inherits what cannot be taken back, and may
/// need set-user-id programs.
fn harden() -> rustix::io::Result<()> {
    let words: Vec<_> = std::env::args_os().skip(1).take(2).collect();
    let runs_programs = words.iter().any(|word| word == "exec" || word == "build");
    if runs_programs {
        locket_sys::process::deny_dumps()
    } else {
        locket_sys::process::harden()
    }
}
