//! What compiler and program must agree on. A compiled module is made anew when this file changes.

use wasmtime::{Collector, Config, Engine};

/// What a module is compiled for when it is compiled ahead of time: this architecture without its newer instructions.
pub const TARGET: &str = match cfg!(target_arch = "aarch64") {
    true => "aarch64-unknown-linux-gnu",
    false => "x86_64-unknown-linux-gnu",
};

/// The most memory that a module may have, in bytes.
pub const MEMORY: usize = 256 << 20;

/// How modules are compiled and run. Who compiles and who loads share this, since a module fits only what it was
/// compiled for.
pub fn config() -> Config {
    let mut config = Config::new();
    config
        .collector(Collector::DeferredReferenceCounting)
        // Whoever runs a module can stop it.
        .epoch_interruption(true)
        // Checks in the code instead of handlers for signals, which belong to the whole process.
        .signals_based_traps(false)
        .memory_reservation(MEMORY as u64)
        .memory_guard_size(0)
        .gc_heap_reservation(16 << 20)
        .gc_heap_guard_size(0)
        .generate_address_map(false)
        .wasm_backtrace_max_frames(None);
    config
}

/// An engine of [`config`].
///
/// # Errors
/// This machine cannot run compiled modules.
pub fn engine() -> wasmtime::Result<Engine> {
    Engine::new(&config())
}
