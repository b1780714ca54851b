//! The one place that starts work beside the agent's loop.

use tokio::task::JoinHandle;

/// Runs `work` beside the loop; it ends with the runtime if nothing ends it before.
pub(crate) fn beside(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "the one spawner")]
    tokio::spawn(work)
}

/// Runs `work` on a thread where it may block: files, hashing.
pub(crate) fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    #[cfg(test)]
    if crate::simulation::is_under_way() {
        // In turn with everything else on this thread, so that the order of events repeats.
        #[expect(clippy::disallowed_methods, reason = "this file is the one spawner")]
        return tokio::spawn(async move { work() });
    }
    tokio::task::spawn_blocking(work)
}
