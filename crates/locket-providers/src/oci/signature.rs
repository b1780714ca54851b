//! Signatures as Oracle wants them: RSA with SHA-256 over chosen lines of the request, in `Authorization`.
//!
//! Source: `/iaas/Content/API/Concepts/signingrequests.htm`, version 1.

use std::time::SystemTime;

use data_encoding::BASE64;
use locket_core::{ProviderError, SecretBuilder, SecretBytes};
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, DATE, HeaderName};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::http::Request;
use crate::signing::SigningKey;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-content-sha256");

/// Whether the signature covers the host. The service that makes tokens wants it without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    Signed,
    Unsigned,
}

/// Signs a request without a body.
///
/// # Errors
/// There is no randomness.
pub(super) fn sign_get(
    request: Request,
    key_id: &SecretBytes,
    key: &SigningKey,
    now: SystemTime,
) -> Result<Request, ProviderError> {
    let request = request.header(DATE, &httpdate::fmt_http_date(now))?;
    sign(request, key_id, key, Host::Signed, &[])
}

/// Signs a `POST` of JSON; its body may be empty.
///
/// # Errors
/// There is no randomness.
pub(super) fn sign_post(
    request: Request,
    body: Zeroizing<Vec<u8>>,
    key_id: &SecretBytes,
    key: &SigningKey,
    host: Host,
    now: SystemTime,
) -> Result<Request, ProviderError> {
    let hash = BASE64.encode(digest(&SHA256, &body).as_ref());
    let length = body.len().to_string();
    let request = request
        .header(DATE, &httpdate::fmt_http_date(now))?
        .header(CONTENT_SHA256, &hash)?
        .header(CONTENT_LENGTH, &length)?
        .json(body);
    sign(
        request,
        key_id,
        key,
        host,
        &["content-length", "content-type", "x-content-sha256"],
    )
}

#[expect(
    clippy::disallowed_methods,
    reason = "the token is part of the signature's header, and goes to the service that takes it"
)]
fn sign(
    request: Request,
    key_id: &SecretBytes,
    key: &SigningKey,
    host: Host,
    of_body: &[&str],
) -> Result<Request, ProviderError> {
    let mut names = vec!["date", "(request-target)"];
    if host == Host::Signed {
        names.push("host");
    }
    names.extend(of_body);
    let lines: Vec<String> = names
        .iter()
        .map(|name| match *name {
            "(request-target)" => format!(
                "(request-target): {} {}",
                request.method().as_str().to_ascii_lowercase(),
                request.target()
            ),
            "host" => format!("host: {}", request.host()),
            name => format!("{name}: {}", request.header_text(name)),
        })
        .collect();
    let signature = BASE64.encode(&key.sign(lines.join("\n").as_bytes())?);
    let mut header = SecretBuilder::with_capacity(512 + key_id.len());
    header.extend(b"Signature algorithm=\"rsa-sha256\",headers=\"");
    header.extend(names.join(" ").as_bytes());
    header.extend(b"\",keyId=\"");
    header.extend(key_id.expose());
    header.extend(b"\",signature=\"");
    header.extend(signature.as_bytes());
    header.extend(b"\",version=\"1\"");
    request.secret_header(AUTHORIZATION, &header.finish())
}
