//! What providers share: work that may block, answers that fail as one, and answers that are given twice.

use locket_core::{Fetched, ProviderError, SecretBytes};

/// One answer for each locator of a batch.
pub(crate) type Answers = Vec<Result<Fetched, ProviderError>>;

/// Runs `read`, which may block, off the loop, so that a file system that stops answering holds up nobody else. One
/// hop serves the whole batch of `count` locators.
pub(crate) async fn off_loop(count: usize, read: impl FnOnce() -> Answers + Send + 'static) -> Answers {
    match tokio::task::spawn_blocking(read).await {
        Ok(answers) => answers,
        Err(_) => all_failed(count, &ProviderError::unavailable("reading was cut short")),
    }
}

/// The same error for each of `count` locators.
pub(crate) fn all_failed(count: usize, error: &ProviderError) -> Answers {
    (0..count).map(|_| Err(error.clone())).collect()
}

/// The same answer for another locator that asked for the same.
pub(crate) fn once_more(fetched: &Fetched) -> Fetched {
    #[expect(
        clippy::disallowed_methods,
        reason = "everybody who asked gets a value of his own"
    )]
    let value = SecretBytes::copy_from(fetched.value.expose());
    Fetched {
        value,
        version: fetched.version.clone(),
        lease: fetched.lease.clone(),
        derive: fetched.derive,
        members: None,
    }
}
