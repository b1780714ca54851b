//! The one place that starts work beside the agent's loop.

use tokio::task::JoinHandle;

/// Runs `work` on a thread where it may block: files, hashing.
pub(crate) fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    tokio::task::spawn_blocking(work)
}
