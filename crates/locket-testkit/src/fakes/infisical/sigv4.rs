//! What AWS does with a signed request: recomputes the signature with the secret key that it knows.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use ring::{digest, hmac};

/// The principal's keys.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    pub(super) access_key: String,
    pub(super) secret_key: String,
    pub(super) session_token: Option<String>,
}

/// Whether `headers` sign a post of `body` to STS with these keys.
pub(super) fn is_signed(keys: &Keys, headers: &BTreeMap<String, String>, body: &str) -> bool {
    verify(keys, headers, body).is_some()
}

fn verify(keys: &Keys, headers: &BTreeMap<String, String>, body: &str) -> Option<()> {
    let headers: BTreeMap<_, _> = headers
        .iter()
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim()))
        .collect();
    let authorization = headers.get("authorization")?.strip_prefix("AWS4-HMAC-SHA256 ")?;
    let part = |name: &str| authorization.split(", ").find_map(|part| part.strip_prefix(name));
    let (access_key, scope) = part("Credential=")?.split_once('/')?;
    let (names, signature) = (part("SignedHeaders=")?, part("Signature=")?);
    let [day, region, "sts", "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    let date = *headers.get("x-amz-date")?;
    let host = *headers.get("host")?;
    let must_be_signed = ["host", "x-amz-date"];
    let is_whole = access_key == keys.access_key
        && date.starts_with(day)
        && host == format!("sts.{region}.amazonaws.com")
        && must_be_signed
            .iter()
            .all(|name| names.split(';').any(|signed| signed == *name))
        && headers.get("x-amz-security-token").copied() == keys.session_token.as_deref();
    if !is_whole {
        return None;
    }
    let length = body.len().to_string();
    let mut canonical = "POST\n/\n\n".to_owned();
    for name in names.split(';') {
        let value = match name {
            // Not handed on, since whoever sends the request sets it.
            "content-length" => length.as_str(),
            _ => headers.get(name)?,
        };
        canonical += &format!("{name}:{value}\n");
    }
    canonical += &format!("\n{names}\n{}", hex(body.as_bytes()));
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex(canonical.as_bytes()));
    let key = [day, region, "sts", "aws4_request"]
        .iter()
        .fold(format!("AWS4{}", keys.secret_key).into_bytes(), |key, part| {
            mac(&key, part)
        });
    (HEXLOWER.encode(&mac(&key, &text)) == signature).then_some(())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes())
        .as_ref()
        .to_vec()
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, bytes).as_ref())
}
