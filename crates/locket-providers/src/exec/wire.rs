//! One line of the protocol: requests as they are written, answers as they are read.
//!
//! Nothing of an answer but its message goes into an error: a line that is not understood may hold a value.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use data_encoding::BASE64;
use locket_core::{ErrorKind, SecretBytes, json_path};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::locator::HelperLocator;
use crate::retry_after::retry_after;

/// The version of the protocol.
pub(super) const PROTOCOL: u32 = 1;

/// One answer.
#[derive(Debug)]
pub(super) struct Answer {
    /// The request that it answers.
    pub(super) id: u64,
    /// The item that it is about; `None` for all that are not answered yet.
    pub(super) item: Option<usize>,
    pub(super) content: Content,
}

/// What an answer says.
#[derive(Debug)]
pub(super) enum Content {
    Value {
        value: SecretBytes,
        version: Option<String>,
        ttl: Option<Duration>,
    },
    Error {
        kind: ErrorKind,
        message: Option<String>,
    },
    /// It is about an item and makes no sense, for this reason.
    Senseless(&'static str),
}

#[derive(Serialize)]
struct Request<'a> {
    protocol: u32,
    id: u64,
    get: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    item: usize,
    locator: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    options: BTreeMap<&'a str, &'a str>,
}

/// What is sure about an answer, and the rest as it was written.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct WireAnswer<'a> {
    id: u64,
    item: Option<usize>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    base64: Option<&'a RawValue>,
    #[serde(borrow)]
    version: Option<&'a RawValue>,
    #[serde(borrow)]
    ttl: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<&'a RawValue>,
    #[serde(borrow)]
    message: Option<&'a RawValue>,
    #[serde(borrow)]
    retry_after: Option<&'a RawValue>,
}

/// The line that asks for `items`, its line end included.
pub(super) fn request(id: u64, items: &[&HelperLocator]) -> Vec<u8> {
    let get = items.iter().enumerate().map(|(item, locator)| Item {
        item,
        locator: &locator.text,
        options: locator
            .options
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect(),
    });
    let request = Request {
        protocol: PROTOCOL,
        id,
        get: get.collect(),
    };
    // Texts and numbers always have a JSON form.
    let mut line = serde_json::to_vec(&request).unwrap_or_default();
    line.push(b'\n');
    line
}

/// What a line that came at the time `now` says; `None` when it is none of the protocol's.
pub(super) fn answer(line: &[u8], now: SystemTime) -> Option<Answer> {
    let wire: WireAnswer<'_> = serde_json::from_slice(line).ok()?;
    let content = match content(&wire, now) {
        Ok(content) => content,
        Err(reason) => Content::Senseless(reason),
    };
    let is_placed = wire.item.is_some() || matches!(content, Content::Error { .. });
    is_placed.then_some(Answer {
        id: wire.id,
        item: wire.item,
        content,
    })
}

fn content(wire: &WireAnswer<'_>, now: SystemTime) -> Result<Content, &'static str> {
    let value = match (wire.value, wire.base64, wire.error) {
        (None, None, Some(error)) => return failure(wire, error, now),
        (Some(text), None, None) => secret_text(text).ok_or("its `value` is no text")?,
        (None, Some(text), None) => {
            let encoded = secret_text(text).ok_or("its `base64` is no text")?;
            #[expect(clippy::disallowed_methods, reason = "the encoded form becomes the value")]
            let decoded = BASE64.decode(encoded.expose());
            SecretBytes::new(decoded.map_err(|_| "its `base64` is not base64 with padding")?)
        }
        (None, None, None) => return Err("it has none of `value`, `base64` and `error`"),
        _ => return Err("it has several of `value`, `base64` and `error`"),
    };
    let version = wire
        .version
        .map(word)
        .transpose()
        .map_err(|()| "its `version` is no text")?;
    let ttl = wire
        .ttl
        .map(seconds)
        .transpose()
        .map_err(|()| "its `ttl` is no number of seconds")?;
    Ok(Content::Value { value, version, ttl })
}

fn failure(wire: &WireAnswer<'_>, error: &RawValue, now: SystemTime) -> Result<Content, &'static str> {
    let kind = match text(error).as_deref() {
        Some("not-found") => ErrorKind::NotFound,
        Some("denied") => ErrorKind::Denied,
        Some("auth") => ErrorKind::Auth,
        Some("rate-limited") => ErrorKind::RateLimited {
            retry_after: wire.retry_after.and_then(|raw| pause(raw, now)),
        },
        Some("unavailable") => ErrorKind::Unavailable,
        Some("invalid") => ErrorKind::Invalid,
        _ => return Err("its `error` is none of the protocol's"),
    };
    Ok(Content::Error {
        kind,
        message: wire.message.and_then(text),
    })
}

/// A JSON string, unescaped straight into its wrapper.
fn secret_text(raw: &RawValue) -> Option<SecretBytes> {
    let text = raw.get();
    text.starts_with('"')
        .then(|| json_path::select(text.as_bytes(), "").ok())
        .flatten()
}

fn text(raw: &RawValue) -> Option<String> {
    serde_json::from_str(raw.get()).ok()
}

/// A text, or a number by its digits.
fn word(raw: &RawValue) -> Result<String, ()> {
    let is_number = raw.get().starts_with(|first: char| first.is_ascii_digit());
    match is_number {
        true => Ok(raw.get().to_owned()),
        false => text(raw).ok_or(()),
    }
}

fn seconds(raw: &RawValue) -> Result<Duration, ()> {
    let number: f64 = serde_json::from_str(raw.get()).map_err(|_| ())?;
    Duration::try_from_secs_f64(number).map_err(|_| ())
}

/// Seconds, or what a server's `Retry-After` header says, which a helper need not understand. Anything else is no
/// wish: asking again is bounded anyway.
fn pause(raw: &RawValue, now: SystemTime) -> Option<Duration> {
    match text(raw) {
        Some(header) => retry_after(&header, now),
        None => seconds(raw).ok(),
    }
}
