//! A credential that a server grants for a while: one login for all readers, renewed before it ends, thrown away
//! when the server refuses it. Knows nothing of any server; retrying failed logins is the engine's.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use locket_core::{BoxFuture, ErrorKind, FetchCx, Login, ProviderError, SecretBytes};
use tokio::sync::{Mutex, MutexGuard};

use crate::http::stamp::{GLANCE, Stamp};
use crate::turn::turn;

/// How long a refused login is not tried again while nothing about it changed. Servers lock accounts out after a
/// few failures, and a round would otherwise try once for each of its items.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// A token that lasts for less is not given more time while nobody asks for anything: that would be a request every few
/// seconds.
const SHORT: Duration = Duration::from_secs(5);

/// The least time between two tries to get more.
const AGAIN: Duration = Duration::from_secs(1);

/// What hands out tokens.
pub(crate) trait Authority: fmt::Debug + Send + Sync {
    /// Obtains a token.
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>>;

    /// Asks for more time for a token that [`Grant::renewable`] was said of.
    fn renew<'a>(
        &'a self,
        token: &'a SecretBytes,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        let _ = (token, cx);
        Box::pin(async { Err(ProviderError::auth("this token cannot be renewed")) })
    }

    /// Changes when a login would start from other files than before.
    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        let _ = cx;
        Box::pin(async { Ok(Vec::new()) })
    }

    /// What a change of the source means to a token that still serves.
    fn on_new_source(&self) -> OnNewSource {
        OnNewSource::Keep
    }
}

impl<A: Authority + ?Sized> Authority for Box<A> {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        (**self).login(cx)
    }

    fn renew<'a>(
        &'a self,
        token: &'a SecretBytes,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        (**self).renew(token, cx)
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        (**self).source(cx)
    }

    fn on_new_source(&self) -> OnNewSource {
        (**self).on_new_source()
    }
}

/// What a change of an [`Authority`]'s source means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnNewSource {
    /// The source is only read to log in; a token once granted stands for itself.
    Keep,
    /// The source is the token.
    Replace,
}

/// A token as an [`Authority`] hands it out.
#[derive(Debug)]
pub(crate) struct Grant {
    token: Arc<SecretBytes>,
    lifetime: Option<Duration>,
    renewable: bool,
    uses: Option<u64>,
}

/// A token on loan for one request.
#[derive(Clone, Debug)]
pub(crate) struct Token {
    value: Arc<SecretBytes>,
    serial: u64,
    ends: Option<Duration>,
}

/// The token of one provider instance.
#[derive(Debug)]
pub(crate) struct TokenCache<A> {
    authority: A,
    /// Held while logging in or renewing, so that there is one of either at a time.
    state: Mutex<State>,
    /// Attempts that ended, to tell who waited for the last one.
    ended: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    issued: Option<Issued>,
    failure: Option<Failure>,
    serial: u64,
}

#[derive(Debug)]
struct Issued {
    token: Token,
    source: Vec<Stamp>,
    lifetime: Option<Duration>,
    /// The longest time that it was ever granted at once.
    longest: Option<Duration>,
    /// On the monotonic clock, with a margin for requests under way.
    ends: Option<Duration>,
    /// From when it is renewed; `None` where it gets no more time.
    renew_from: Option<Duration>,
    /// From when too little of it is left for a lease that is to be renewed in full.
    low_from: Option<Duration>,
    uses: Option<u64>,
}

#[derive(Debug)]
struct Failure {
    error: ProviderError,
    source: Vec<Stamp>,
    attempt: u64,
    at: Duration,
}

impl Grant {
    /// A token that lasts until further notice.
    pub(crate) fn new(token: SecretBytes) -> Self {
        Self {
            token: Arc::new(token),
            lifetime: None,
            renewable: false,
            uses: None,
        }
    }

    /// The same token, good for `lifetime` from the request that brought it.
    #[must_use]
    pub(crate) fn lasting(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// The same token, for which more time can be asked.
    #[must_use]
    pub(crate) fn renewable(mut self) -> Self {
        self.renewable = true;
        self
    }

    /// The same token, good for so many requests.
    #[must_use]
    pub(crate) fn uses(mut self, uses: u64) -> Self {
        self.uses = Some(uses);
        self
    }
}

impl Token {
    /// The token itself.
    pub(crate) fn value(&self) -> &SecretBytes {
        &self.value
    }

    /// A number that is the token's own in its cache.
    pub(crate) fn serial(&self) -> u64 {
        self.serial
    }

    /// Until when it served when it was lent out, on the monotonic clock; `None` for a token without a known end.
    /// It may have been renewed since.
    pub(crate) fn ends(&self) -> Option<Duration> {
        self.ends
    }

    /// Whether both came of one login, by whichever cache.
    pub(crate) fn is_same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.value, &other.value)
    }
}

impl<A: Authority> TokenCache<A> {
    /// An empty cache: the first reader logs in.
    pub(crate) fn new(authority: A) -> Self {
        Self {
            authority,
            state: Mutex::default(),
            ended: AtomicU64::new(0),
        }
    }

    /// What hands out the tokens.
    pub(crate) fn authority(&self) -> &A {
        &self.authority
    }

    /// Makes `request` with the token. If it fails with [`ErrorKind::Auth`], which must mean that the server refuses
    /// the token, logs in again and makes it once more.
    ///
    /// # Errors
    /// Those of `request`, and of the login.
    pub(crate) async fn with<T, F>(
        &self,
        cx: &FetchCx,
        request: impl Fn(Token) -> F,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        let token = self.current(cx).await?;
        match request(token.clone()).await {
            Err(error) if error.kind == ErrorKind::Auth => {
                let fresh = self.instead_of(&token, error, cx).await?;
                request(fresh).await
            }
            outcome => outcome,
        }
    }

    /// A token that serves now, and counts as one use of it.
    ///
    /// # Errors
    /// There is none and the login failed; readers that waited for one login share its failure.
    pub(crate) async fn current(&self, cx: &FetchCx) -> Result<Token, ProviderError> {
        self.serving(Issued::renewal_due, cx).await
    }

    /// The same as [`TokenCache::current`], for renewing what ends with the token: one that can be renewed is renewed
    /// as soon as a third of it is gone. Whoever renews a lease comes before two thirds of the lease are gone, and
    /// would otherwise get no more than the rest of a token that lasts about as long.
    ///
    /// # Errors
    /// As for [`TokenCache::current`].
    pub(crate) async fn current_lasting(&self, cx: &FetchCx) -> Result<Token, ProviderError> {
        self.serving(Issued::lease_renewal_due, cx).await
    }

    /// The same as [`TokenCache::with`], for requests whose outcome ends with the token: one that nears its end and
    /// gets no more time is left to what it served so far, and another takes its place. It serves on as long as there is
    /// no other.
    ///
    /// # Errors
    /// Those of `request`, and of the login.
    pub(crate) async fn with_lasting<T, F>(
        &self,
        cx: &FetchCx,
        request: impl Fn(Token) -> F,
    ) -> Result<T, ProviderError>
    where
        F: Future<Output = Result<T, ProviderError>>,
    {
        self.replace_waning(cx).await?;
        self.with(cx, request).await
    }

    /// Counts one more use of `token`, for a request that was made with it beside [`TokenCache::with`].
    pub(crate) fn spend(&self, token: &Token) {
        // Whoever holds the state is about to replace the token.
        if let Ok(mut state) = self.state.try_lock()
            && let Some(issued) = &mut state.issued
            && issued.token.serial == token.serial
        {
            issued.use_once();
        }
    }

    /// A token that serves now, renewed first if `is_due` says so.
    async fn serving(
        &self,
        is_due: fn(&Issued, Duration) -> bool,
        cx: &FetchCx,
    ) -> Result<Token, ProviderError> {
        let seen = self.ended.load(Ordering::Acquire);
        let source = self.look(cx).await;
        let mut state = self.lock(cx).await?;
        self.drop_what_ended(&mut state, source, cx).await;
        self.take(&mut state, seen, is_due, cx).await
    }

    /// Another token than `refused`, which the server no longer accepts, as `error` says.
    async fn instead_of(
        &self,
        refused: &Token,
        error: ProviderError,
        cx: &FetchCx,
    ) -> Result<Token, ProviderError> {
        let seen = self.ended.load(Ordering::Acquire);
        let mut state = self.lock(cx).await?;
        let is_current = |issued: &mut Issued| issued.token.serial == refused.serial;
        if state.issued.take_if(is_current).is_some() {
            tracing::debug!("the token is refused; asking for another");
        }
        self.drop_what_ended(&mut state, None, cx).await;
        let token = self.take(&mut state, seen, Issued::renewal_due, cx).await?;
        if token.value == refused.value {
            // Nothing new to offer: whoever comes next need not find out again.
            state.issued = None;
            let source = self.authority.source(cx).await.unwrap_or_default();
            self.remember(&mut state, &error, source, cx);
            return Err(error);
        }
        Ok(token)
    }

    async fn lock(&self, cx: &FetchCx) -> Result<MutexGuard<'_, State>, ProviderError> {
        turn(&self.state, cx, "the login took all the time there was").await
    }

    async fn take(
        &self,
        state: &mut State,
        seen: u64,
        is_due: fn(&Issued, Duration) -> bool,
        cx: &FetchCx,
    ) -> Result<Token, ProviderError> {
        let now = cx.clock.monotonic();
        if state.issued.as_ref().is_some_and(|issued| is_due(issued, now)) {
            self.renew(state, cx).await;
        }
        if state.issued.is_none() {
            self.login(state, seen, cx).await?;
        }
        match &mut state.issued {
            Some(issued) => {
                issued.use_once();
                Ok(Token {
                    ends: issued.ends,
                    ..issued.token.clone()
                })
            }
            None => Err(ProviderError::auth("the login gave no token")),
        }
    }

    /// What a token that serves has to stand for now, where that matters to it. Nobody holds the state meanwhile: one
    /// that cannot be looked at takes nothing away, and holds up nobody else.
    async fn look(&self, cx: &FetchCx) -> Option<Vec<Stamp>> {
        match self.authority.on_new_source() {
            OnNewSource::Keep => None,
            OnNewSource::Replace => self.authority.source(&cx.at_most(GLANCE)).await.ok(),
        }
    }

    /// Forgets a token that is over, or stands for another source than `looked`.
    async fn drop_what_ended(&self, state: &mut State, looked: Option<Vec<Stamp>>, cx: &FetchCx) {
        let Some(issued) = &state.issued else { return };
        let now = cx.clock.monotonic();
        let has_ended = issued.ends.is_some_and(|ends| ends <= now) || issued.uses == Some(0);
        let is_other = |present: &Vec<Stamp>| *present != issued.source;
        // Since the look, another reader may have replaced it already.
        if has_ended
            || (looked.as_ref().is_some_and(is_other) && self.look(cx).await.as_ref().is_some_and(is_other))
        {
            state.issued = None;
        }
    }

    async fn login(&self, state: &mut State, seen: u64, cx: &FetchCx) -> Result<(), ProviderError> {
        let source = self.authority.source(cx).await?;
        let now = cx.clock.monotonic();
        if let Some(failure) = &state.failure {
            let waited_for_it = failure.attempt > seen;
            let stands = !failure.error.kind.is_transient() && now < failure.at + REFUSED_FOR;
            if failure.source == source && (waited_for_it || stands) {
                return Err(failure.error.clone());
            }
        }
        match self.authority.login(cx).await {
            Ok(grant) => {
                state.failure = None;
                state.serial += 1;
                state.issued = Some(Issued::new(grant, state.serial, source, now));
                Ok(())
            }
            Err(error) => {
                // What it starts from may have been written meanwhile, by itself for one.
                let source = self.authority.source(cx).await.unwrap_or(source);
                self.remember(state, &error, source, cx);
                Err(error)
            }
        }
    }

    fn remember(&self, state: &mut State, error: &ProviderError, source: Vec<Stamp>, cx: &FetchCx) {
        state.failure = Some(Failure {
            error: error.clone(),
            source,
            attempt: self.ended.fetch_add(1, Ordering::AcqRel) + 1,
            at: cx.clock.monotonic(),
        });
    }

    async fn replace_waning(&self, cx: &FetchCx) -> Result<(), ProviderError> {
        let source = self.look(cx).await;
        let mut state = self.lock(cx).await?;
        self.drop_what_ended(&mut state, source, cx).await;
        let now = cx.clock.monotonic();
        if state.issued.as_ref().is_some_and(|issued| issued.is_waning(now)) {
            self.replace(&mut state, cx).await;
        }
        Ok(())
    }

    /// Renews the token, or replaces it if the server gives it no more time. A server that cannot be asked costs
    /// nothing as long as the token lasts, and neither does a renewal that is cancelled.
    async fn renew(&self, state: &mut State, cx: &FetchCx) {
        let Some(issued) = &mut state.issued else {
            return;
        };
        let now = cx.clock.monotonic();
        let renewed = self.authority.renew(issued.token.value(), &beside(cx)).await;
        match renewed {
            Ok(grant) => {
                let source = std::mem::take(&mut issued.source);
                let mut renewed = Issued::new(grant, issued.token.serial, source, now);
                if renewed.token.value == issued.token.value {
                    renewed.token = issued.token.clone();
                }
                *issued = renewed.after(issued.longest);
            }
            Err(error) if error.kind.is_transient() => {
                tracing::debug!("the token is not renewed yet: {error}");
                let pause = |ends: Duration| (ends.saturating_sub(now) / 2).max(AGAIN);
                issued.renew_from = issued.ends.map(|ends| now + pause(ends));
            }
            Err(error) => {
                tracing::debug!("the token cannot be renewed: {error}");
                issued.renew_from = None;
                self.replace(state, cx).await;
            }
        }
    }

    /// Logs in while the token still serves, which is kept if that fails.
    async fn replace(&self, state: &mut State, cx: &FetchCx) {
        let source = match self.authority.source(&beside(cx)).await {
            Ok(source) => source,
            Err(error) => {
                tracing::debug!("the login is not replaced yet: {error}");
                return;
            }
        };
        let now = cx.clock.monotonic();
        // The token is good for now, so that a failure that may pass can wait as well.
        let was_tried = |failure: &Failure| failure.source == source && now < failure.at + REFUSED_FOR;
        if state.failure.as_ref().is_some_and(was_tried) {
            return;
        }
        let seen = self.ended.load(Ordering::Acquire);
        if let Err(error) = self.login(state, seen, &beside(cx)).await {
            tracing::warn!("the login is to be replaced, and cannot be yet: {error}");
        }
    }
}

impl<A: Authority> Login for TokenCache<A> {
    fn due(&self) -> Option<Duration> {
        // Whoever holds the state now may change it, and is followed by another look.
        let state = self.state.try_lock().ok()?;
        let issued = state.issued.as_ref()?;
        let (from, ends) = (issued.renew_from?, issued.ends?);
        (from < ends && issued.lifetime >= Some(SHORT)).then_some(from)
    }

    fn keep<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Ok(mut state) = self.lock(cx).await else {
                return;
            };
            // It may have ended while the machine slept.
            self.drop_what_ended(&mut state, None, cx).await;
            let now = cx.clock.monotonic();
            if state
                .issued
                .as_ref()
                .is_some_and(|issued| issued.renewal_due(now))
            {
                self.renew(&mut state, cx).await;
            }
        })
    }
}

/// The surroundings of a request that is made while a token still serves: there must be time left to use it.
fn beside(cx: &FetchCx) -> FetchCx {
    cx.at_most(cx.remaining() / 2)
}

impl Issued {
    fn new(grant: Grant, serial: u64, source: Vec<Stamp>, granted: Duration) -> Self {
        let margin = |lifetime: Duration| (lifetime / 10).min(Duration::from_secs(10));
        // Renewing costs a use as well: a token of few uses is not worth it.
        let renewable = grant.renewable && grant.uses.is_none();
        Self {
            token: Token {
                value: grant.token,
                serial,
                ends: None,
            },
            source,
            lifetime: grant.lifetime,
            longest: grant.lifetime,
            ends: grant
                .lifetime
                .map(|lifetime| granted + lifetime - margin(lifetime)),
            renew_from: grant
                .lifetime
                .filter(|_| renewable)
                .map(|lifetime| granted + lifetime * 2 / 3),
            low_from: grant.lifetime.map(|lifetime| granted + lifetime / 3),
            uses: grant.uses,
        }
    }

    fn use_once(&mut self) {
        if let Some(uses) = &mut self.uses {
            *uses = uses.saturating_sub(1);
        }
    }

    fn renewal_due(&self, now: Duration) -> bool {
        self.renew_from.is_some_and(|from| from <= now)
    }

    /// Whether to renew it before a lease that ends with it is renewed. How low it is counts from the last grant: near
    /// the end of all its time each grant is smaller than the one before, and asking by the longest of them would be
    /// asking with every lease.
    fn lease_renewal_due(&self, now: Duration) -> bool {
        let is_low = self.low_from.is_some_and(|from| from <= now);
        self.renewal_due(now) || self.renew_from.is_some() && is_low
    }

    /// Whether it gets no more time and has less than half of it left.
    fn is_waning(&self, now: Duration) -> bool {
        let left = self.ends.map(|ends| ends.saturating_sub(now));
        self.renew_from.is_none()
            && left
                .zip(self.longest)
                .is_some_and(|(left, longest)| left < longest / 2)
    }

    /// The same token, renewed after having been granted `longest` at most. When the server grants much less than it
    /// did, the token nears the end of all its time: asking again would only shrink the steps. The longest grant is
    /// what counts, since the steps are small where leases have it renewed often.
    fn after(mut self, longest: Option<Duration>) -> Self {
        self.longest = self.longest.max(longest);
        if let (Some(lifetime), Some(longest)) = (self.lifetime, self.longest)
            && lifetime < longest / 2
        {
            self.renew_from = None;
        }
        self
    }
}

#[cfg(test)]
#[path = "token_tests.rs"]
mod tests;
