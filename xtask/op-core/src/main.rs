//! Compiles a WebAssembly module for the engine that locket hosts it with: `op-core MODULE COMPILED`.

use std::error::Error;
use std::path::{Path, PathBuf};

use wasmtime::Engine;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(module), Some(compiled), None) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: op-core MODULE COMPILED".into());
    };
    let mut config = locket_wasm::config();
    config.target(locket_wasm::TARGET)?;
    let code = Engine::new(&config)?.precompile_module(&std::fs::read(module)?)?;
    replace(&compiled, &code)?;
    Ok(())
}

/// Puts the file there as a whole: a running program keeps the one that it has mapped.
fn replace(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let staged = path.with_extension("staged");
    std::fs::write(&staged, content)?;
    std::fs::rename(staged, path)
}
