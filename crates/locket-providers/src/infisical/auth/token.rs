//! A token that somebody else obtained. How long it lasts is theirs to decide: it is never renewed.

use locket_core::{BoxFuture, FetchCx, ProviderError};

use crate::Credential;
use crate::http::{Authority, Grant, OnNewSource, Stamp};

/// A given token.
#[derive(Debug)]
pub(super) struct GivenToken(pub(super) Credential);

impl Authority for GivenToken {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(async { Ok(Grant::new(self.0.read(cx).await?)) })
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        Box::pin(Stamp::of_each(self.0.file().into_iter().collect(), cx))
    }

    fn on_new_source(&self) -> OnNewSource {
        OnNewSource::Replace
    }
}
