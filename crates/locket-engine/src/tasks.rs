//! The one place that starts work beside the agent's loop.

use std::num::NonZero;
use std::thread::ScopedJoinHandle;

use tokio::task::JoinHandle;

/// Runs `work` beside the loop; it ends with the runtime if nothing ends it before.
pub(crate) fn beside(work: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    #[expect(clippy::disallowed_methods, reason = "the one spawner")]
    tokio::spawn(work)
}

/// Runs `work` beside the loop on the loop's own thread, inside of [`on_this_thread`]: an agent, which never leaves it.
/// A panic in it ends it alone.
pub fn here(work: impl Future<Output = ()> + 'static) -> JoinHandle<()> {
    tokio::task::spawn_local(work)
}

/// Runs `work` to its end, and what it starts with [`here`] as long.
pub async fn on_this_thread<T>(work: impl Future<Output = T>) -> T {
    tokio::task::LocalSet::new().run_until(work).await
}

/// Runs `work` on a thread where it may block: files, hashing.
pub fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    #[cfg(test)]
    if crate::simulation::is_under_way() {
        // In turn with everything else on this thread, so that the order of events repeats.
        #[expect(clippy::disallowed_methods, reason = "this file is the one spawner")]
        return tokio::spawn(async move { work() });
    }
    tokio::task::spawn_blocking(work)
}

/// Work on fewer items than this is done before another thread has begun.
const WORTH_A_THREAD: usize = 64;

/// Does `work` on `items` on as many threads as there are cores, each with a stretch of them, and gives what came of
/// each stretch in their order.
pub(crate) fn side_by_side<I: Sync, T: Send>(items: &[I], work: impl Fn(&[I]) -> T + Sync) -> Vec<T> {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let stretches = cores.min(items.len() / WORTH_A_THREAD).max(1);
    let length = items.len().div_ceil(stretches).max(1);
    let mut stretches = items.chunks(length);
    let Some(mine) = stretches.next() else {
        return Vec::new();
    };
    let work = &work;
    std::thread::scope(|scope| {
        let others: Vec<_> = stretches
            .map(|stretch| {
                let thread = std::thread::Builder::new().spawn_scoped(scope, move || work(stretch));
                (stretch, thread)
            })
            .collect();
        let mut results = vec![work(mine)];
        for (stretch, thread) in others {
            results.push(match thread.map(ScopedJoinHandle::join) {
                Ok(Ok(result)) => result,
                Ok(Err(panic)) => std::panic::resume_unwind(panic),
                // No thread is to be had: it takes longer, that is all.
                Err(_) => work(stretch),
            });
        }
        results
    })
}
