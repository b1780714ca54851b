//! Waiting for one's turn, and no longer than a fetch may take.

use locket_core::{FetchCx, ProviderError};
use tokio::sync::{Mutex, MutexGuard};

/// Waits until nobody else holds `mutex`.
///
/// # Errors
/// That took all the time there was; `late` says what went on meanwhile.
pub(crate) async fn turn<'m, T>(
    mutex: &'m Mutex<T>,
    cx: &FetchCx,
    late: &'static str,
) -> Result<MutexGuard<'m, T>, ProviderError> {
    // Mostly nobody holds it, and no timer is needed.
    if let Ok(held) = mutex.try_lock() {
        return Ok(held);
    }
    tokio::time::timeout(cx.remaining(), mutex.lock())
        .await
        .map_err(|_| ProviderError::unavailable(late))
}
