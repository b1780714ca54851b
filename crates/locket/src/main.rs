//! locket: a secrets agent for containers and processes.
//!
//! The one place that takes what the process was given (arguments, environment, directory, terminal) and gives an
//! exit code back. Everything below gets it as arguments.

mod cli;
mod clock;
mod columns;
mod commands;
mod config;
mod context;
mod diagnostics;
mod exit;
mod logging;
mod options;
mod output;
mod prompt;
mod providers;
#[cfg(test)]
mod reference;
mod report;
mod runtime;
mod settings;
#[cfg(test)]
mod testing;

use std::alloc::System;
use std::process::ExitCode;

use zeroizing_alloc::ZeroAlloc;

use crate::context::Context;

/// Wipes what it frees: the buffers of HTTP and TLS libraries hold secrets that no type of ours can wrap.
#[global_allocator]
static ALLOCATOR: ZeroAlloc<System> = ZeroAlloc(System);

fn main() -> ExitCode {
    // Before the first thread and the first secret.
    let hardened = locket_sys::process::harden();
    let context = Context::of_this_process(hardened.err().map(|error| error.to_string()));
    cli::main(std::env::args_os(), &context).into()
}
