//! The key that this process signs with after a federation. It never leaves the process, and one is enough for all of
//! it: to make one takes longer than everything else about a login.

use std::sync::{Mutex, PoisonError};

use locket_core::ProviderError;

use crate::signing::SigningKey;

static KEY: Mutex<Option<SigningKey>> = Mutex::new(None);

/// The process's session key, made when it is first needed, off the loop.
///
/// # Errors
/// There is no randomness.
pub(super) async fn session_key() -> Result<SigningKey, ProviderError> {
    let unmade = || ProviderError::unavailable("no session key can be made: there is no randomness");
    let made = tokio::task::spawn_blocking(|| {
        // Held while it is made, so that it is made once.
        let mut key = KEY.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(key) = &*key {
            return Some(key.clone());
        }
        *key = SigningKey::generate().ok();
        key.clone()
    });
    made.await.ok().flatten().ok_or_else(unmade)
}
