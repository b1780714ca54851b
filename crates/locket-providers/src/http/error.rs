//! What a failed request means to the caller. The one place where statuses and transport failures become kinds.
//!
//! Texts show host and path; never a query, a header or a body.

use std::error::Error;
use std::io;
use std::time::{Duration, SystemTime};

use locket_core::{ErrorKind, ProviderError};
use reqwest::header::{DATE, HeaderMap, LOCATION, RETRY_AFTER};
use reqwest::{StatusCode, Url};
use rustls::{AlertDescription, CertificateError};

use crate::http::body::LIMIT;
use crate::http::dns::DnsError;
use crate::http::request::Place;
use crate::retry_after::retry_after;

/// What a server says that wants another client certificate, or one at all.
const CLIENT_REFUSED: &[AlertDescription] = &[
    AlertDescription::CertificateRequired,
    AlertDescription::BadCertificate,
    AlertDescription::UnknownCA,
    AlertDescription::CertificateUnknown,
    AlertDescription::CertificateExpired,
    AlertDescription::UnsupportedCertificate,
];

/// What a status that is no success means to most servers.
pub(crate) fn status_error(
    status: StatusCode,
    headers: &HeaderMap,
    place: &str,
    now: SystemTime,
) -> ProviderError {
    let code = status.as_u16();
    let error = |kind, what: &str| ProviderError::new(kind, format!("{place} {what}"));
    let retry_after = pause(headers, now);
    match code {
        300..=399 => redirected(code, headers, place),
        401 => error(ErrorKind::Auth, "does not accept the credential (401)"),
        403 => error(ErrorKind::Denied, "may not be read with this credential (403)"),
        404 | 410 => error(ErrorKind::NotFound, &format!("does not exist ({code})")),
        407 => error(
            ErrorKind::Invalid,
            "was asked for through a proxy that wants a password (407)",
        )
        .hint(
            "Write user and password into the proxy's address, in a variable rather than on a command line.",
        ),
        429 => error(
            ErrorKind::RateLimited { retry_after },
            "was asked too often (429)",
        ),
        503 if retry_after.is_some() => error(
            ErrorKind::RateLimited { retry_after },
            "answered 503 and wants to be asked later",
        ),
        // The server waited for us, or is behind another that is not ready: the same request may succeed later.
        408 | 412 | 425 | 500..=599 => error(ErrorKind::Unavailable, &format!("answered {code}")),
        _ => error(ErrorKind::Invalid, &format!("refused the request ({code})")),
    }
}

/// How long the server wants to be left alone. A date is by its own clock, which the answer tells.
fn pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let theirs = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok());
    retry_after(text(RETRY_AFTER)?, theirs.unwrap_or(now))
}

/// What it means that there is no whole answer from `place` within `limit`.
pub(super) fn no_answer(place: &Place, limit: Duration) -> ProviderError {
    let limit = Duration::from_millis(u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
    let limit = humantime::format_duration(limit);
    ProviderError::unavailable(format!("{place} gave no answer within {limit}"))
        .hint("Set `timeout` higher if the server is known to be slow.")
}

/// What it means that a request to `place` failed on the way.
pub(super) fn transport_error(error: &reqwest::Error, place: &Place) -> ProviderError {
    let host = place.host();
    let unavailable = |text: String| ProviderError::unavailable(text);
    if let Some(dns) = chain(error).find_map(found::<DnsError>) {
        return unavailable(format!("the name of {host} has no address: {dns}"))
            .hint("Check the address, and that this machine's name servers know it.");
    }
    if let Some(tls) = chain(error).find_map(found::<rustls::Error>) {
        return tls_error(tls, host);
    }
    // HTTP/2 keeps only the words of an error. In TLS 1.3 a server refuses a client after the handshake.
    let words = cause(error);
    let refused = |alert: &&AlertDescription| rustls::Error::AlertReceived(**alert).to_string() == words;
    if let Some(alert) = CLIENT_REFUSED.iter().find(refused) {
        return tls_error(&rustls::Error::AlertReceived(*alert), host);
    }
    let tunnel = chain(error)
        .map(ToString::to_string)
        .find(|words| words.starts_with(TUNNEL));
    if let Some(words) = tunnel {
        return tunnel_error(&words, host);
    }
    if error.is_timeout() {
        // The client has one limit of its own, for the way there; the kernel gives up a peer that is gone.
        return match error.is_connect() {
            true => unavailable(format!("no connection to {host} in time"))
                .hint("Check the address, the port, this machine's name servers, and whether a firewall or proxy stands between."),
            false => unavailable(format!("{place} broke off: nothing came from {host} any more")),
        };
    }
    match chain(error)
        .find_map(|error| error.downcast_ref::<io::Error>())
        .map(io::Error::kind)
    {
        Some(io::ErrorKind::ConnectionRefused) => unavailable(format!("connection refused by {host}"))
            .hint("Check that the server runs and that address and port are right."),
        Some(io::ErrorKind::NetworkUnreachable | io::ErrorKind::HostUnreachable) => {
            unavailable(format!("no route to {host}")).hint("Check this machine's network and the address.")
        }
        _ if error.is_connect() => unavailable(format!("no connection to {host}: {words}"))
            .hint("Check the address, and the proxy if one is set."),
        _ if error.is_request() && place.is_secure => {
            // A server that refuses the client's certificate may hang up before its reason is read.
            unavailable(format!("{host} closed the connection without an answer: {words}")).hint(
                "If the server asks for client certificates, set `client-cert-file` and `client-key-file` to one that it trusts.",
            )
        }
        _ => unavailable(format!("{place} broke off its answer: {words}")),
    }
}

/// Whether the connection that a request was sent on ended before its answer began.
pub(super) fn is_hang_up(error: &reqwest::Error) -> bool {
    let is_end = |error: &io::Error| {
        // TLS tells an end without its goodbye from others.
        use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
    };
    !error.is_connect()
        && chain(error).any(|cause| {
            cause
                .downcast_ref::<hyper::Error>()
                .is_some_and(hyper::Error::is_incomplete_message)
                || cause.downcast_ref().is_some_and(is_end)
        })
}

/// How the HTTP client's errors about a proxy's `CONNECT` begin; they have no other form.
const TUNNEL: &str = "tunnel error: ";

/// What it means that a proxy makes no way to `host`.
fn tunnel_error(words: &str, host: &str) -> ProviderError {
    match words.strip_prefix(TUNNEL) {
        Some("proxy authorization required") => ProviderError::invalid(format!(
            "the proxy on the way to {host} wants a password (407)"
        ))
        .hint(
            "Write user and password into the proxy's address, in a variable rather than on a command line.",
        ),
        Some("unsuccessful") => ProviderError::unavailable(format!("the proxy refuses to connect to {host}"))
            .hint(format!(
                "Let the proxy allow {host}, name another in `proxy` or HTTPS_PROXY, or except the host in NO_PROXY."
            )),
        _ => ProviderError::unavailable(format!("there is no way through the proxy to {host}: {words}"))
            .hint("Check the proxy's address in `proxy` or HTTPS_PROXY, and that it runs."),
    }
}

/// A body that goes on past what any secret needs.
pub(super) fn unfinished(place: &Place) -> ProviderError {
    ProviderError::unavailable(format!(
        "{place} answered with more than {} MiB",
        LIMIT / (1 << 20)
    ))
}

/// How long a server that sends everybody away for good is left alone.
const MOVED_FOR: Duration = Duration::from_secs(5 * 60);

/// Whoever sends others away for now may answer the next time: a standby server, a load balancer in trouble, a page that
/// asks for a login. Whoever sends them away for good (301, 308) says that the address is wrong, and is not sent the
/// credential again and again; but such pages come and go as well.
fn redirected(code: u16, headers: &HeaderMap, place: &str) -> ProviderError {
    let sent_away = |text: String| match code {
        301 | 308 => ProviderError::unavailable(text).pause(MOVED_FOR),
        _ => ProviderError::unavailable(text),
    };
    let target = headers
        .get(LOCATION)
        .and_then(|location| Url::parse(location.to_str().ok()?).ok())
        .map(|url| url.origin().ascii_serialization());
    match target {
        Some(origin) => sent_away(format!("{place} redirects to {origin}"))
            .hint(format!(
                "Credentials are never sent on to another host: give {origin} as the address if it is the right server."
            )),
        None => sent_away(format!("{place} answered with a redirect that leads nowhere"))
            .hint("Check the address, and what stands in front of the server."),
    }
}

fn tls_error(error: &rustls::Error, host: &str) -> ProviderError {
    let unavailable = |text: String| ProviderError::unavailable(text);
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => {
            unavailable(format!("the certificate of {host} is not trusted: its issuer is unknown")).hint(
                "Set `ca-file` (or SSL_CERT_FILE) to the PEM certificate of the authority that issued it.",
            )
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => unavailable(format!("the certificate of {host} is for another name"))
            .hint("Use one of the names in the server's certificate as the address."),
        rustls::Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => unavailable(format!("the certificate of {host} has expired"))
            .hint("Renew it, or set this machine's clock right."),
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => unavailable(format!("the certificate of {host} is not valid yet"))
            .hint("Set this machine's clock right."),
        rustls::Error::AlertReceived(alert) if CLIENT_REFUSED.contains(alert) => ProviderError::auth(format!("{host} does not accept the client certificate")).hint(
            "Set `client-cert-file` and `client-key-file` to a certificate that the server trusts, with its chain.",
        ),
        rustls::Error::InvalidMessage(_) => unavailable(format!("{host} does not speak TLS")).hint(
            "Check the port, and whether the address should start with `http://`.",
        ),
        other => unavailable(format!("no TLS connection to {host}: {other}")),
    }
}

/// An error and all that caused it.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// `E` itself, or wrapped in an I/O error, which keeps its inside away from `source`.
fn found<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    error.downcast_ref::<E>().or_else(|| {
        let inner = error.downcast_ref::<io::Error>()?.get_ref()?;
        let inner: &(dyn Error + 'static) = inner;
        found(inner)
    })
}

/// The innermost text: the outer ones repeat the address with its query.
fn cause(error: &reqwest::Error) -> String {
    match chain(error).skip(1).last() {
        Some(innermost) => innermost.to_string(),
        None => "the connection failed".to_owned(),
    }
}
