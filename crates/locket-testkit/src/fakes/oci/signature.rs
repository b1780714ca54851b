//! Verifies signatures (version 1 of Oracle's form) for real.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use data_encoding::BASE64;
use ring::digest::{SHA256, digest};

use crate::Request;
use crate::rsa_key::verifies;

/// What a request's `Authorization` says.
pub(super) struct Signature<'a> {
    pub(super) key_id: &'a str,
    headers: Vec<&'a str>,
    signature: Vec<u8>,
}

/// What must be signed.
const GENERAL: &[&str] = &["date", "(request-target)"];
const OF_BODY: &[&str] = &["content-length", "content-type", "x-content-sha256"];

/// Whether the host must be signed as well.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Host {
    Signed,
    Unsigned,
}

impl<'a> Signature<'a> {
    /// The signature of `request`; `None` when it has none of the form.
    pub(super) fn of(request: &'a Request) -> Option<Self> {
        let fields = request.header("authorization")?.strip_prefix("Signature ")?;
        let fields: HashMap<_, _> = fields
            .split(',')
            .filter_map(|field| field.split_once('='))
            .collect();
        let field = |name: &str| fields.get(name)?.strip_prefix('"')?.strip_suffix('"');
        if field("algorithm")? != "rsa-sha256" || field("version")? != "1" {
            return None;
        }
        Some(Self {
            key_id: field("keyId")?,
            headers: field("headers")?.split(' ').collect(),
            signature: BASE64.decode(field("signature")?.as_bytes()).ok()?,
        })
    }

    /// Whether everything that must be signed is, at about the present time, by the owner of this key.
    pub(super) fn is_good(
        &self,
        request: &Request,
        host: Host,
        public_info: &[u8],
        now: SystemTime,
        skew: Duration,
    ) -> bool {
        let covers = |names: &[&str]| names.iter().all(|name| self.headers.contains(name));
        let has_body = request.method != hyper::Method::GET;
        covers(GENERAL)
            && (host == Host::Unsigned || covers(&["host"]))
            && (!has_body || (covers(OF_BODY) && hashes(request)))
            && is_present(request, now, skew)
            && self
                .text(request)
                .is_some_and(|text| verifies(public_info, text.as_bytes(), &self.signature))
    }

    fn text(&self, request: &Request) -> Option<String> {
        let line = |name: &&str| {
            let value = match *name {
                "(request-target)" => format!(
                    "{} {}",
                    request.method.as_str().to_ascii_lowercase(),
                    request.target()
                ),
                // A proxy between tells which host was asked.
                "host" => request
                    .header("x-forwarded-host")
                    .or_else(|| request.header("host"))?
                    .to_owned(),
                "content-length" => request.body.len().to_string(),
                name => request.header(name)?.to_owned(),
            };
            Some(format!("{name}: {value}"))
        };
        let lines: Option<Vec<String>> = self.headers.iter().map(line).collect();
        Some(lines?.join("\n"))
    }
}

fn hashes(request: &Request) -> bool {
    let hash = BASE64.encode(digest(&SHA256, &request.body).as_ref());
    request.header("x-content-sha256") == Some(hash.as_str())
}

fn is_present(request: &Request, now: SystemTime, skew: Duration) -> bool {
    let date = request
        .header("date")
        .and_then(|date| httpdate::parse_http_date(date).ok());
    date.is_some_and(|date| {
        let off = now.duration_since(date).unwrap_or_else(|ahead| ahead.duration());
        off <= skew
    })
}
