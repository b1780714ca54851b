//! The one interface between locket and a secret manager.
//!
//! A provider only asks and answers. Retrying, limiting, grouping, caching and counting are layers of the engine,
//! written once; a provider that does one of them itself does it wrong. What one call needs several requests for, it
//! bounds itself, since the engine sees the call alone.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{Clock, Locator, SecretBytes};

/// A boxed future, so that the trait can be used as an object.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One configured instance of a secret manager.
pub trait Provider: Send + Sync + fmt::Debug {
    /// What the resolver may ask of it.
    fn capability(&self) -> Capability;

    /// Reads `batch`: one result for each locator, in the same order.
    ///
    /// A locator that [asks for every part](Locator::is_every) is answered with [`Fetched::every`]; no provider gets one
    /// that its own `parse_every` did not make. The resolver passes distinct locators, at most [`Capability::items_per_call`] items, all fields of one item
    /// together. Dropping the future cancels the call and must leave the provider usable.
    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>>;

    /// Nothing will be asked for a while: connections are let go of. One that lies idle for hours costs both ends
    /// memory and may be dead without either knowing. The next call makes new ones.
    fn rest(&self) {}

    /// What it logged in with to read, where that lasts for a while only and can get more time; `None` where nothing
    /// ever does.
    fn login(&self) -> Option<&dyn Login> {
        None
    }

    /// How what [`Provider::fetch`] leased is renewed and revoked; `None` where nothing ever is.
    fn leases(&self) -> Option<&dyn Leases> {
        None
    }
}

/// A login that gets more time while nobody asks for anything: what it was made with may be good for no other one.
pub trait Login: Send + Sync {
    /// When it is to be given more time, on the monotonic clock; `None` where there is none, or it gets no more.
    fn due(&self) -> Option<Duration>;

    /// Asks for more time for it. Where that fails, [`Login::due`] says when to come again, if ever.
    fn keep<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, ()>;
}

/// What can be done about the leases of one provider. When to do it is the engine's.
///
/// Dropping a future cancels the call and must leave the provider usable, as for [`Provider::fetch`].
pub trait Leases: Send + Sync {
    /// Asks for more time for a lease that [`Lease::renewable`] was said of.
    ///
    /// # Errors
    /// A transient one when the server cannot be asked now; any other means that this lease gets no more time, and
    /// that the secret is to be read anew before its end.
    fn renew<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Renewal, ProviderError>>;

    /// Ends one lease that nobody uses any more: what it covered is worthless afterwards.
    ///
    /// # Errors
    /// The server cannot be asked, or does not allow it.
    fn revoke<'a>(
        &'a self,
        lease: &'a LeaseHandle,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<(), ProviderError>>;

    /// Ends everything that was leased for this process, which needs no lease of this provider any more: `held`, and
    /// what a cancelled call may have left behind. One result for each of `held`, in order.
    fn end<'a>(
        &'a self,
        held: &'a [LeaseHandle],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<(), ProviderError>>>;
}

/// What a provider can do, so that the resolver can choose the fewest requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capability {
    /// Items that one call of [`Provider::fetch`] may carry; 1 where the server has no batch request.
    pub items_per_call: usize,
    /// Calls in flight at once, unless the user says otherwise.
    pub max_concurrent: usize,
    /// Whether the provider is on this machine, so that asking costs nothing and nobody throttles.
    pub local: bool,
}

/// What surrounds one call of [`Provider::fetch`].
#[derive(Clone, Debug)]
pub struct FetchCx {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// When the caller gives up, on the monotonic clock. One request may be given less time than this leaves.
    pub deadline: Duration,
    /// What was sent so far, by every call that shares the count.
    requests: Arc<AtomicU64>,
}

impl FetchCx {
    /// The surroundings of one call.
    pub fn new(clock: Arc<dyn Clock>, deadline: Duration) -> Self {
        Self {
            clock,
            deadline,
            requests: Arc::default(),
        }
    }

    /// The same, with requests counted in `requests`.
    #[must_use]
    pub fn counting(self, requests: Arc<AtomicU64>) -> Self {
        Self { requests, ..self }
    }

    /// Notes that one request goes out to a server that may count them: whoever sends one says so, whatever comes of
    /// it.
    pub fn count_request(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// The same, with no more than `limit` of the time that is left.
    #[must_use]
    pub fn at_most(&self, limit: Duration) -> Self {
        Self {
            deadline: self.deadline.min(self.clock.monotonic() + limit),
            ..self.clone()
        }
    }

    /// Time left until the deadline; zero when it has passed.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(self.clock.monotonic())
    }
}

/// One value as a provider gave it.
#[derive(Debug)]
pub struct Fetched {
    /// The value's exact bytes.
    pub value: SecretBytes,
    /// The provider's own name for this version of the value, where it has one. Not secret.
    pub version: Option<SecretVersion>,
    /// How long the value is good for, where the provider says so.
    pub lease: Option<Lease>,
    /// Whether what is rendered is the value, or is computed from it at rendering time.
    pub derive: Derive,
    /// Every part of the item, where all were asked for; the value itself is empty then.
    pub members: Option<Members>,
}

/// Every part of an item with its name, in the provider's order.
#[derive(Debug, Default)]
pub struct Members(Vec<(String, Arc<Fetched>)>);

impl Members {
    /// These parts. A name may stand for several of them; whoever makes files of them refuses that.
    pub fn new(parts: impl IntoIterator<Item = (String, Fetched)>) -> Self {
        Self(
            parts
                .into_iter()
                .map(|(name, fetched)| (name, Arc::new(fetched)))
                .collect(),
        )
    }

    /// The names, which are no secrets.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The first part of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Fetched>> {
        self.0
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, fetched)| fetched)
    }
}

impl Fetched {
    /// A plain value without version or lease.
    pub fn new(value: SecretBytes) -> Self {
        Self {
            value,
            version: None,
            lease: None,
            derive: Derive::Nothing,
            members: None,
        }
    }

    /// Every part of an item.
    pub fn every(members: Members) -> Self {
        Self {
            members: Some(members),
            ..Self::new(SecretBytes::copy_from(b""))
        }
    }

    /// The same with the provider's version name.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = Some(SecretVersion(version.into()));
        self
    }

    /// The same, good for the time of `lease`.
    #[must_use]
    pub fn lease(mut self, lease: Lease) -> Self {
        self.lease = Some(lease);
        self
    }
}

/// A provider's name for one version of a secret.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SecretVersion(pub String);

/// The time a value is good for. All fields that one request brought share one.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The provider's handle for renewing and revoking; `None` for a value that merely expires.
    pub handle: Option<LeaseHandle>,
    /// How long the value is good for unless renewed, from the call of [`Provider::fetch`] that brought it.
    pub lasts: Duration,
    /// Whether asking for more time can succeed.
    pub renewable: bool,
    /// Whether the server itself puts another value in this one's place at the end, and not sooner unless somebody
    /// tells it to: it is read anew after the end rather than before, and a refresh asks for it like for any other.
    pub rotates: bool,
}

/// What a provider knows a lease by. Opaque to everybody else, and not shown: whoever has it may end the lease.
#[derive(Clone)]
pub struct LeaseHandle(Arc<dyn Any + Send + Sync>);

/// What came of asking for more time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// How long the value is good for now, from the call that asked.
    pub lasts: Duration,
    /// Whether asking again can succeed.
    pub renewable: bool,
}

impl LeaseHandle {
    /// A handle that carries the provider's own form.
    pub fn new<T: Any + Send + Sync>(typed: T) -> Self {
        Self(Arc::new(typed))
    }

    /// The provider's own form; `None` when it was made by another provider.
    pub fn typed<T: Any + Send + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }
}

impl PartialEq for LeaseHandle {
    /// Handles are equal when one is a clone of the other.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for LeaseHandle {}

impl fmt::Debug for LeaseHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeaseHandle(…)")
    }
}

/// What rendering makes of a value before filters see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Derive {
    /// The value is used as it is.
    #[default]
    Nothing,
    /// The value is a TOTP seed (an `otpauth://` URI or base32 key); the current code is used.
    Totp,
}

/// Why a provider gave no value: what the caller does next, not what the server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderError {
    /// What the caller does next.
    pub kind: ErrorKind,
    /// What was tried and what happened, as a lower-case fragment without response bodies or values.
    pub context: String,
    /// What a person can do about it, as a sentence.
    pub hint: Option<String>,
    /// The least time until it is worth asking again, where trying tells nothing before.
    pub pause: Option<Duration>,
}

/// What the caller of a provider does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// The provider says that the secret or field does not exist. Not asked again before the next refresh.
    NotFound,
    /// The credential is good but may not read this.
    Denied,
    /// There is no valid credential.
    Auth,
    /// Too many requests; `retry_after` is the server's own wish.
    RateLimited {
        /// How long the server asked to be left alone.
        retry_after: Option<Duration>,
    },
    /// No usable answer: unreachable, timed out, 5xx, or a body that is not the protocol's.
    Unavailable,
    /// The request can never succeed as it is: the reference or the configuration is wrong.
    Invalid,
}

impl ErrorKind {
    /// Whether asking again, without anything changed, may succeed.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Unavailable)
    }

    /// The kind as one word for logs, metrics and machine-readable output.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "not-found",
            Self::Denied => "denied",
            Self::Auth => "auth",
            Self::RateLimited { .. } => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Invalid => "invalid",
        }
    }
}

impl ProviderError {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, context: impl Into<String>) -> Self {
        Self {
            kind,
            context: context.into(),
            hint: None,
            pause: None,
        }
    }

    /// The provider says that the secret or field does not exist.
    pub fn not_found(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, context)
    }

    /// The credential may not read this.
    pub fn denied(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Denied, context)
    }

    /// There is no valid credential.
    pub fn auth(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Auth, context)
    }

    /// No usable answer.
    pub fn unavailable(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unavailable, context)
    }

    /// The request can never succeed as it is.
    pub fn invalid(context: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, context)
    }

    /// The same error with advice.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same error, after which nobody asks again for `pause`.
    #[must_use]
    pub fn pause(mut self, pause: Duration) -> Self {
        self.pause = Some(pause);
        self
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.context)
    }
}

impl std::error::Error for ProviderError {}
