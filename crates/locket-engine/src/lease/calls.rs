//! The calls that leases take, each with its own time limit.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use locket_core::words::counted;
use locket_core::{Clock, FetchCx, LeaseHandle, Provider, ProviderError, Renewal};

use super::Revocation;
use crate::resolve::ItemKey;

/// A call that came back.
#[derive(Debug)]
pub(crate) enum Called {
    Renewed {
        key: ItemKey,
        handle: LeaseHandle,
        result: Result<Renewal, ProviderError>,
        /// When it was made, on the monotonic clock.
        asked: Duration,
    },
    Revoked {
        handle: LeaseHandle,
        result: Result<(), ProviderError>,
    },
}

/// Asks for more time.
pub(crate) async fn renew(
    key: ItemKey,
    handle: LeaseHandle,
    provider: Arc<dyn Provider>,
    cx: FetchCx,
) -> Called {
    let asked = cx.clock.monotonic();
    let result = match provider.leases() {
        None => Err(not_leased()),
        Some(leases) => tokio::time::timeout(cx.remaining(), leases.renew(&handle, &cx))
            .await
            .unwrap_or_else(|_| Err(no_answer())),
    };
    Called::Renewed {
        key,
        handle,
        result,
        asked,
    }
}

/// Ends one lease.
pub(crate) async fn revoke(lease: Revocation, cx: FetchCx) -> Called {
    let result = match lease.provider.leases() {
        None => Err(not_leased()),
        Some(leases) => tokio::time::timeout(cx.remaining(), leases.revoke(&lease.handle, &cx))
            .await
            .unwrap_or_else(|_| Err(no_answer())),
    };
    Called::Revoked {
        handle: lease.handle,
        result,
    }
}

/// Ends all of `leases`, and tells of those that go on.
pub(crate) async fn end(leases: Vec<Revocation>, clock: Arc<dyn Clock>, limit: Duration) {
    let mut by_provider: Vec<(Arc<dyn Provider>, Vec<LeaseHandle>)> = Vec::new();
    let last = leases.iter().map(|lease| lease.ends).max();
    for lease in leases {
        match by_provider
            .iter_mut()
            .find(|(provider, _)| Arc::ptr_eq(provider, &lease.provider))
        {
            Some((_, handles)) => handles.push(lease.handle),
            None => by_provider.push((lease.provider, vec![lease.handle])),
        }
    }
    let cx = FetchCx::new(clock.clone(), clock.monotonic() + limit);
    let calls = by_provider.iter().map(|(provider, handles)| async {
        let every = |error: ProviderError| handles.iter().map(|_| Err(error.clone())).collect();
        match provider.leases() {
            None => every(not_leased()),
            Some(leases) => tokio::time::timeout(limit, leases.end(handles, &cx))
                .await
                .unwrap_or_else(|_| every(no_answer())),
        }
    });
    let results: Vec<Result<(), ProviderError>> = join_all(calls).await.into_iter().flatten().collect();
    let total = results.len();
    let mut failed = results.into_iter().filter_map(Result::err).peekable();
    let Some(error) = failed.peek().cloned() else {
        if total > 0 {
            tracing::info!("{} revoked", counted(total, "lease"));
        }
        return;
    };
    let left = last.unwrap_or_default().saturating_sub(clock.monotonic());
    let hint = error.hint.as_deref().unwrap_or_default();
    tracing::warn!(
        "{} of {} not revoked, and will end within {}: {error}. {hint}",
        failed.count(),
        counted(total, "lease"),
        humantime::format_duration(Duration::from_secs(left.as_secs() + 1)),
    );
}

/// Ends each of `leases` by itself, leaving alone whatever else the provider leased.
pub(crate) async fn end_each(leases: Vec<Revocation>, clock: Arc<dyn Clock>, limit: Duration) {
    let deadline = clock.monotonic() + limit;
    let cx = FetchCx::new(clock, deadline);
    for called in join_all(leases.into_iter().map(|lease| revoke(lease, cx.clone()))).await {
        if let Called::Revoked {
            result: Err(error), ..
        } = called
        {
            tracing::warn!("a lease that is no longer used is not revoked: {error}");
        }
    }
}

fn no_answer() -> ProviderError {
    ProviderError::unavailable("no answer came in time")
}

fn not_leased() -> ProviderError {
    ProviderError::invalid("this provider has no leases")
}
