//! The one runtime: current-thread, made when a command first has to wait for something.

use std::pin::{Pin, pin};

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
    let mut output = None;
    {
        let mut work = pin!(async { output = Some(future.await) });
        // One type for all: the loop is not compiled for each command anew.
        let work: Pin<&mut dyn Future<Output = ()>> = work.as_mut();
        runtime.block_on(work);
    }
    // A helper thread that hangs in a system call must not keep the process.
    runtime.shutdown_background();
    output.ok_or_else(|| Failure::work("the work ended without an outcome"))
}
