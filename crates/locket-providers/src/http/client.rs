//! The client of one provider instance: its connections, and the way of one request.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use locket_core::{FetchCx, ProviderError};
use reqwest::header::HeaderMap;
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Method, StatusCode};

use crate::http::dns::Resolver;
use crate::http::error::{is_hang_up, no_answer, transport_error, unfinished};
use crate::http::proxy::Proxies;
use crate::http::request::Place;
use crate::http::stamp::GLANCE;
use crate::http::tls::{TlsFiles, TlsStamp};
use crate::http::{Body, Request, Response};
use crate::turn::turn;
use crate::{BuildCx, ConfigError};

/// Time limit of one request unless the setting `timeout` gives another.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Time limit of reaching the server, within the request's own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Redirects that one request follows, all on one host.
const REDIRECTS: usize = 5;
/// Connections kept for the next request.
const IDLE_CONNECTIONS: usize = 64;

/// A pool of connections with one instance's settings. Makes no connection and reads no file until asked to.
#[derive(Debug)]
pub(crate) struct Client {
    tls: TlsFiles,
    proxies: Proxies,
    timeout: Duration,
    versions: Versions,
    /// For servers spoken to without TLS: loads no certificate.
    plain: Mutex<Option<reqwest::Client>>,
    /// For TLS, with the state of the files it was made from.
    secure: Mutex<Option<Pool>>,
    /// Held while the files for TLS are looked at.
    making: tokio::sync::Mutex<()>,
}

/// Connections over TLS.
#[derive(Debug)]
struct Pool {
    /// None after a rest.
    client: Option<reqwest::Client>,
    config: rustls::ClientConfig,
    /// The state of the files that it was made from.
    made_from: TlsStamp,
    /// A later state of them that nothing could be made from, and when that was tried.
    refused: Option<(TlsStamp, Duration)>,
}

/// How long files that nothing could be made from are not read again while they do not change.
const REFUSED_FOR: Duration = Duration::from_secs(30);

/// Which versions of HTTP are spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Versions {
    Any,
    /// For services that are signed requests with a `Host` field, which HTTP/2 has not.
    One,
}

impl Client {
    /// A client with the network settings of an instance.
    ///
    /// # Errors
    /// A setting is not what it should be.
    pub(crate) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let timeout = cx.settings.duration("timeout")?.unwrap_or(TIMEOUT);
        if timeout.is_zero() {
            return Err(ConfigError::new(
                format!("`timeout` of `{}` is zero", cx.instance),
                "Give the time that one request may take, like `10s`.",
            ));
        }
        Ok(Self {
            tls: TlsFiles::new(cx)?,
            proxies: Proxies::new(cx)?,
            timeout,
            versions: Versions::Any,
            plain: Mutex::new(None),
            secure: Mutex::new(None),
            making: tokio::sync::Mutex::default(),
        })
    }

    /// The same, speaking HTTP/1.1 alone.
    #[must_use]
    pub(crate) fn http1_only(mut self) -> Self {
        self.versions = Versions::One;
        self
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// There is no whole answer within the request's time limit or what the deadline leaves.
    pub(crate) async fn send(&self, request: Request, cx: &FetchCx) -> Result<Response, ProviderError> {
        let place = Place::of(&request.url);
        let late = || ProviderError::unavailable(format!("no time was left to ask {place}"));
        if cx.remaining().is_zero() {
            return Err(late());
        }
        self.proxies.check(&request.url)?;
        let client = self.client_for(request.url.scheme(), cx).await?;
        let limit = self.timeout.min(cx.remaining());
        if limit.is_zero() {
            return Err(late());
        }
        let method = request.method.clone();
        let started = cx.clock.monotonic();
        cx.count_request();
        // One timer for the whole of it, where the HTTP client would set two.
        let outcome = match tokio::time::timeout(limit, exchange(&client, request, &place, cx)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(no_answer(&place, limit)),
        };
        let ms = cx.clock.monotonic().saturating_sub(started).as_millis();
        let at = place.as_str();
        match &outcome {
            Ok(answer) => {
                tracing::debug!(%method, place = at, status = answer.status.as_u16(), ms, "request");
            }
            Err(error) => tracing::debug!(%method, place = at, error = error.kind.name(), ms, "request"),
        }
        outcome.map(|answer| Response {
            status: answer.status,
            headers: answer.headers,
            body: answer.body,
            place: place.into(),
            arrived: cx.clock.wall(),
        })
    }

    /// Closes the connections that nobody uses now. The next request makes new ones.
    pub(crate) fn rest(&self) {
        *locked(&self.plain) = None;
        let mut secure = locked(&self.secure);
        // What was read of files may be all that there is of them by then.
        match &mut *secure {
            Some(pool) if !pool.made_from.is_empty() => pool.client = None,
            _ => *secure = None,
        }
    }

    /// The pool that serves addresses of `scheme`.
    async fn client_for(&self, scheme: &str, cx: &FetchCx) -> Result<reqwest::Client, ProviderError> {
        if scheme == "http" && !self.proxies.plain_needs_tls() {
            let mut plain = locked(&self.plain);
            if let Some(client) = &*plain {
                return Ok(client.clone());
            }
            let client = self.build(TlsFiles::unused()?)?;
            *plain = Some(client.clone());
            return Ok(client);
        }
        self.secure_client(cx).await
    }

    /// The pool for TLS. One that serves goes on where there are no files for another, or not soon enough: somebody may
    /// be writing them just now, and a file system may stall.
    async fn secure_client(&self, cx: &FetchCx) -> Result<reqwest::Client, ProviderError> {
        if let Some(client) = self.as_before() {
            let short = cx.at_most(GLANCE);
            return match self.renewed(&short).await {
                Ok(Some(renewed)) => Ok(renewed),
                Ok(None) | Err(_) => client,
            };
        }
        let _making = self.making(cx).await?;
        // Whoever comes meanwhile finds the pool that was being made.
        match self.as_before() {
            Some(client) => client,
            None => self.make(self.tls.stamp(cx).await?, cx).await,
        }
    }

    /// A pool of files that are not those that the present one was made from; none where they are.
    async fn renewed(&self, cx: &FetchCx) -> Result<Option<reqwest::Client>, ProviderError> {
        if !self.is_news(&self.tls.stamp(cx).await?, cx) {
            return Ok(None);
        }
        let _making = self.making(cx).await?;
        let stamp = self.tls.stamp(cx).await?;
        match self.is_news(&stamp, cx) {
            true => self.make(stamp, cx).await.map(Some),
            // Somebody else has made it.
            false => self.as_before().transpose(),
        }
    }

    async fn making(&self, cx: &FetchCx) -> Result<tokio::sync::MutexGuard<'_, ()>, ProviderError> {
        turn(
            &self.making,
            cx,
            "the files for TLS took all the time that there was",
        )
        .await
    }

    /// Reads the files, which `stamp` is the state of, and makes a pool of them.
    async fn make(&self, stamp: TlsStamp, cx: &FetchCx) -> Result<reqwest::Client, ProviderError> {
        let made = self.tls.config(cx).await;
        let made = made.and_then(|config| Ok((self.build(config.clone())?, config)));
        let mut secure = locked(&self.secure);
        match made {
            Ok((client, config)) => {
                *secure = Some(Pool {
                    client: Some(client.clone()),
                    config,
                    made_from: stamp,
                    refused: None,
                });
                Ok(client)
            }
            Err(error) => {
                if let Some(pool) = &mut *secure {
                    let before = pool.refused.replace((stamp.clone(), cx.clock.monotonic()));
                    if before.is_none_or(|(before, _)| before != stamp) {
                        tracing::warn!("connections are made as before, since {error}");
                    }
                }
                Err(error)
            }
        }
    }

    /// The pool for TLS that there is.
    fn as_before(&self) -> Option<Result<reqwest::Client, ProviderError>> {
        let mut secure = locked(&self.secure);
        let pool = secure.as_mut()?;
        if let Some(client) = &pool.client {
            return Some(Ok(client.clone()));
        }
        let built = self.build(pool.config.clone());
        pool.client = built.as_ref().ok().cloned();
        Some(built)
    }

    /// Whether there may be a newer pool to be made of files in this state.
    fn is_news(&self, stamp: &TlsStamp, cx: &FetchCx) -> bool {
        let now = cx.clock.monotonic();
        locked(&self.secure).as_ref().is_none_or(|pool| {
            let was_refused = pool
                .refused
                .as_ref()
                .is_some_and(|(refused, at)| refused == stamp && now < *at + REFUSED_FOR);
            pool.made_from != *stamp && !was_refused
        })
    }

    fn build(&self, mut tls: rustls::ClientConfig) -> Result<reqwest::Client, ProviderError> {
        let unbuilt = |error| ProviderError::invalid(format!("no HTTP client: {error}"));
        if self.versions == Versions::One {
            tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(std::sync::Arc::new(Resolver))
            .redirect(Policy::custom(within_one_host))
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT.min(self.timeout))
            // No timer of our own: an idle agent does not wake. The server closes what it tires of, and the
            // kernel's keep-alive finds peers that are gone.
            .pool_idle_timeout(None)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .user_agent(concat!("locket/", env!("CARGO_PKG_VERSION")))
            .no_proxy();
        if self.versions == Versions::One {
            builder = builder.http1_only();
        }
        for proxy in self.proxies.as_client_proxies().map_err(unbuilt)? {
            builder = builder.proxy(proxy);
        }
        builder.build().map_err(unbuilt)
    }
}

/// What came back.
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Body,
}

/// One request and its whole answer.
async fn exchange(
    client: &reqwest::Client,
    request: Request,
    place: &Place,
    cx: &FetchCx,
) -> Result<Answer, ProviderError> {
    let failed = |error: reqwest::Error| transport_error(&error, place);
    let only_reads = request.method == Method::GET && !request.is_single;
    let mut sent = client
        .request(request.method, request.url)
        .headers(request.headers);
    if let Some(body) = request.body {
        sent = sent.body(Bytes::from_owner(body));
    }
    let again = only_reads.then(|| sent.try_clone()).flatten();
    let outcome = match (sent.send().await, again) {
        // A server closes a kept connection without knowing of the request that is on its way there. It may have
        // taken that one for all that, so that nothing but a read is sent again; and once, since a server that
        // closes every connection has no answer to give.
        (Err(error), Some(again)) if is_hang_up(&error) => {
            tracing::debug!(place = place.as_str(), "asked again: the connection was closed");
            cx.count_request();
            again.send().await
        }
        (outcome, _) => outcome,
    };
    let mut answer = outcome.map_err(failed)?;
    let mut body = Body::with_capacity(answer.content_length());
    while let Some(chunk) = answer.chunk().await.map_err(failed)? {
        if !body.extend(&chunk) {
            return Err(unfinished(place));
        }
    }
    Ok(Answer {
        status: answer.status(),
        headers: std::mem::take(answer.headers_mut()),
        body,
    })
}

fn locked<T>(pool: &Mutex<T>) -> MutexGuard<'_, T> {
    pool.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Credentials stay with the server they were meant for: a redirect to anywhere else is an answer, not an order.
fn within_one_host(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let same = attempt
        .previous()
        .last()
        .is_some_and(|from| from.origin() == attempt.url().origin());
    if same && attempt.previous().len() <= REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
    }
}
