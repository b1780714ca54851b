//! What a token says of itself (RFC 7519). Nothing is verified: whoever issued it does that.

use std::time::{Duration, SystemTime};

use data_encoding::BASE64URL_NOPAD;
use locket_core::SecretBytes;
use serde::Deserialize;
use zeroize::Zeroizing;

/// The times in a token.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(crate) struct Claims {
    /// Seconds since 1970 at which it ends. Some issuers write fractions.
    exp: f64,
    /// Seconds since 1970 at which it was made.
    #[serde(default)]
    iat: Option<f64>,
}

impl Claims {
    /// The times in `token`; `None` when it is no token of this form.
    #[expect(
        clippy::disallowed_methods,
        reason = "the token's own times are read, and nothing else of it"
    )]
    pub(crate) fn of(token: &SecretBytes) -> Option<Self> {
        let mut parts = token.expose().split(|byte| *byte == b'.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        let unpadded = claims.strip_suffix(b"==").or(claims.strip_suffix(b"="));
        let json = Zeroizing::new(BASE64URL_NOPAD.decode(unpadded.unwrap_or(claims)).ok()?);
        serde_json::from_slice(&json).ok()
    }

    /// The time that its issuer gave it, by the issuer's clock alone.
    pub(crate) fn lifetime(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.exp - self.iat?).ok()
    }

    /// The time left at `now`; nothing when it has ended.
    pub(crate) fn left(&self, now: SystemTime) -> Duration {
        self.ends().duration_since(now).unwrap_or_default()
    }

    /// When it ends.
    pub(crate) fn ends(&self) -> SystemTime {
        let since = Duration::try_from_secs_f64(self.exp).unwrap_or_default();
        SystemTime::UNIX_EPOCH
            .checked_add(since)
            .unwrap_or(SystemTime::UNIX_EPOCH)
    }
}
