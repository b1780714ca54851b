//! Leases of dynamic secrets. A lease lives no longer than the token that it was issued with: it is renewed with that
//! token, which is thereby kept alive as well, and counts as ending with it.
//!
//! Source: `sys/leases/renew`, `sys/leases/revoke` and `auth/token/revoke-self` of the HTTP API.

use std::time::Duration;

use locket_core::{FetchCx, Lease, LeaseHandle, ProviderError, Renewal};
use zeroize::Zeroizing;

use crate::bao::session::Session;
use crate::bao::wire::{self, Member, Term};
use crate::http::Token;

/// What a handle holds.
struct Held {
    id: String,
    token: Token,
}

/// What an answer that ends says of its end, as others see it.
pub(super) fn granted(term: Term, token: Token, cx: &FetchCx) -> Lease {
    let Some(id) = term.id else {
        return Lease {
            handle: None,
            lasts: term.lasts,
            renewable: false,
            rotates: term.rotates,
        };
    };
    Lease {
        lasts: no_longer_than(&token, term.lasts, cx),
        renewable: term.renewable,
        rotates: term.rotates,
        handle: Some(LeaseHandle::new(Held { id, token })),
    }
}

/// Asks for more time.
///
/// # Errors
/// There is none to be had, or the server cannot be asked now.
pub(super) async fn renew(
    session: &Session,
    lease: &LeaseHandle,
    cx: &FetchCx,
) -> Result<Renewal, ProviderError> {
    let held = held(lease)?;
    let current = session.current_lasting(cx).await?;
    if !current.is_same_as(&held.token) {
        return Err(ProviderError::auth(
            "the login that the lease was issued with has been replaced, and the lease ends with it",
        ));
    }
    let path = ["sys", "leases", "renew"];
    let response = session.post_with(&current, &path, body(held, None)?, cx).await?;
    if !response.status.is_success() {
        return Err(session.error(&response));
    }
    let renewal = wire::renewal(&response)?;
    Ok(Renewal {
        lasts: no_longer_than(&current, renewal.lasts, cx),
        ..renewal
    })
}

/// Ends a lease; what it covered is gone when this returns.
///
/// # Errors
/// The server cannot be asked, or the token may not do this.
pub(super) async fn revoke(
    session: &Session,
    lease: &LeaseHandle,
    cx: &FetchCx,
) -> Result<(), ProviderError> {
    let held = held(lease)?;
    let path = ["sys", "leases", "revoke"];
    let waits = Some(("sync", Member::Plain("true")));
    let response = session
        .post_with(&held.token, &path, body(held, waits)?, cx)
        .await?;
    if response.status.is_success() {
        return Ok(());
    }
    Err(session.error(&response))
}

/// Ends the leases and, if it was for them, the login: whatever a cancelled request left behind ends with it.
pub(super) async fn end(
    session: &Session,
    leases: &[LeaseHandle],
    cx: &FetchCx,
) -> Vec<Result<(), ProviderError>> {
    let each = leases.iter().map(|lease| revoke(session, lease, cx));
    let mut results = futures_util::future::join_all(each).await;
    let tokens = leases
        .iter()
        .filter_map(|lease| held(lease).ok())
        .map(|held| &held.token);
    let mut ended: Vec<&Token> = Vec::new();
    for token in tokens.filter(|_| session.logs_in()) {
        if ended.iter().any(|other| other.is_same_as(token)) {
            continue;
        }
        ended.push(token);
        let path = ["auth", "token", "revoke-self"];
        let done = session
            .post_with(token, &path, Zeroizing::new(b"{}".to_vec()), cx)
            .await;
        if done.is_ok_and(|response| response.status.is_success()) {
            // Without `update` on sys/leases/revoke this is what ends them, a moment later.
            let of_this = |lease: &LeaseHandle| held(lease).is_ok_and(|held| held.token.is_same_as(token));
            for (result, _) in results.iter_mut().zip(leases).filter(|(_, lease)| of_this(lease)) {
                *result = Ok(());
            }
        }
    }
    results
}

fn held(lease: &LeaseHandle) -> Result<&Held, ProviderError> {
    lease
        .typed()
        .ok_or_else(|| ProviderError::invalid("this lease is another provider's"))
}

fn body(held: &Held, more: Option<(&str, Member<'_>)>) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let id = ("lease_id", Member::Plain(&held.id));
    wire::object([id].into_iter().chain(more))
}

fn no_longer_than(token: &Token, lasts: Duration, cx: &FetchCx) -> Duration {
    let left = token.ends().map(|ends| ends.saturating_sub(cx.clock.monotonic()));
    left.map_or(lasts, |left| left.min(lasts))
}
