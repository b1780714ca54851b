//! The one runtime: current-thread, made when a command first has to wait for something.

use crate::report::Failure;

/// Runs `future` to its end.
///
/// # Errors
/// The system refuses what a runtime needs, such as file descriptors.
pub(crate) fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::work(format!("the runtime cannot start: {error}")))?;
    let output = runtime.block_on(future);
    // A helper thread that hangs in a system call must not keep the process.
    runtime.shutdown_background();
    Ok(output)
}
