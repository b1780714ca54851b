//! As whom requests are signed: a login brings the key's name, and leaves the key where the signer finds it.

mod choose;
mod given;
mod instance;
mod resource;
mod session_key;

use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use locket_core::{BoxFuture, FetchCx, ProviderError};
use reqwest::StatusCode;

use super::region::Region;
use crate::http::{Authority, Response, Skew};
use crate::signing::SigningKey;

pub(super) use choose::{METHODS, identity, touched};

/// One way to be somebody. The token of its logins is the key's name, which for most ways is secret.
pub(super) trait Identity: Authority {
    /// The key that belongs to the token of the last login.
    fn key(&self) -> &KeyRing;

    /// The region that it belongs to, where nothing else says one.
    fn region<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Option<Region>, ProviderError>>;

    /// What to look at when the token is refused, as a sentence.
    fn advice(&self) -> String;

    /// How a policy calls it, as in `Allow … to read`.
    fn subject(&self) -> &'static str;
}

/// The key of the last login.
#[derive(Default)]
pub(super) struct KeyRing(Mutex<Option<SigningKey>>);

impl KeyRing {
    pub(super) fn put(&self, key: SigningKey) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
    }

    /// The key.
    ///
    /// # Errors
    /// There was no login.
    pub(super) fn get(&self) -> Result<SigningKey, ProviderError> {
        let key = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        key.clone()
            .ok_or_else(|| ProviderError::auth("there is no key to sign requests with"))
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyRing(…)")
    }
}

/// The most by which a request's time may differ from the service's.
const SKEW_ALLOWED: Duration = Duration::from_secs(5 * 60);

/// What a refused signature means, where it is for the clock: the answer tells the service's own time.
pub(super) fn clock_skew(response: &Response, cx: &FetchCx) -> Option<ProviderError> {
    if response.status != StatusCode::UNAUTHORIZED {
        return None;
    }
    let skew = Skew::of(response, cx.clock.wall()).filter(|skew| skew.by > SKEW_ALLOWED)?;
    let place = &response.place;
    Some(
        ProviderError::unavailable(format!(
            "{place} refuses the signature: this machine's clock is {skew} Oracle's"
        ))
        .hint("Set the clock, and let `chronyd` or `systemd-timesyncd` keep it; locket goes on asking."),
    )
}

/// A point in time for people, to the second.
pub(super) fn shown(time: SystemTime) -> impl fmt::Display {
    humantime::format_rfc3339_seconds(time)
}
