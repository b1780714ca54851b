//! The one place that starts work beside the agent's loop.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};

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

/// Items that a thread takes at a time: work on fewer is done before another thread has begun.
const STRETCH: usize = 64;

/// Does `work` on each of `items` on as many threads as there are cores, and gives what came of them in their order, and
/// the states that the threads had. This thread has `own`; each other has a state of its own and takes the next stretch
/// as soon as it is done with one.
pub(crate) fn side_by_side<I: Sync, S: Send, T: Send>(
    items: &[I],
    own: S,
    state: impl Fn() -> S + Sync,
    work: impl Fn(&mut S, &I) -> T + Sync,
) -> (Vec<T>, Vec<S>) {
    let stretches: Vec<&[I]> = items.chunks(STRETCH).collect();
    let next = AtomicUsize::new(0);
    let take = |mut state: S| {
        let mut done = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(stretch) = stretches.get(index) else {
                return (done, state);
            };
            let results: Vec<T> = stretch.iter().map(|item| work(&mut state, item)).collect();
            done.push((index, results));
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    let (mut done, states) = std::thread::scope(|scope| {
        // Where no thread is to be had it takes longer, that is all.
        let others: Vec<_> = (1..cores.min(stretches.len()))
            .map_while(|_| {
                std::thread::Builder::new()
                    .spawn_scoped(scope, || take(state()))
                    .ok()
            })
            .collect();
        let (mut done, own) = take(own);
        let mut states = vec![own];
        for other in others {
            match other.join() {
                Ok((results, state)) => {
                    done.extend(results);
                    states.push(state);
                }
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        (done, states)
    });
    done.sort_unstable_by_key(|(index, _)| *index);
    (
        done.into_iter().flat_map(|(_, results)| results).collect(),
        states,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_stand_in_the_order_of_the_items_whoever_did_the_work() {
        for count in [0, 1, STRETCH - 1, STRETCH, 10 * STRETCH + 1] {
            let items: Vec<usize> = (0..count).collect();
            let seen = AtomicUsize::new(0);
            let (results, states) = side_by_side(
                &items,
                0,
                || 0,
                |done, item| {
                    *done += 1;
                    seen.fetch_add(1, Ordering::Relaxed);
                    // What one thread does takes longer than what the others do.
                    if item.is_multiple_of(STRETCH) {
                        std::thread::yield_now();
                    }
                    item * 2
                },
            );
            let expected: Vec<usize> = items.iter().map(|item| item * 2).collect();
            assert_eq!(results, expected);
            assert_eq!(seen.into_inner(), count, "each once");
            assert_eq!(states.iter().sum::<usize>(), count, "no state is lost");
        }
    }
}
