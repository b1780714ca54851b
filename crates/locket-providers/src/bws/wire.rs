//! The server's JSON. What stands in it is encrypted, but for ids and dates.

use std::borrow::Cow;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The answer to a login.
#[derive(Deserialize)]
pub(super) struct Login<'a> {
    #[serde(borrow)]
    pub(super) access_token: &'a RawValue,
    /// Seconds.
    pub(super) expires_in: u64,
    /// The organization's key, sealed with the access token's.
    #[serde(borrow)]
    pub(super) encrypted_payload: Cow<'a, str>,
}

/// What [`Login::encrypted_payload`] holds.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Payload<'a> {
    /// In base64.
    #[serde(borrow)]
    pub(super) encryption_key: &'a str,
}

/// A list of the API.
#[derive(Deserialize)]
pub(super) struct List<T> {
    pub(super) data: Vec<T>,
}

/// A project; its name is sealed.
#[derive(Deserialize)]
pub(super) struct Project {
    pub(super) id: String,
    #[serde(default)]
    pub(super) name: Option<String>,
}

/// What the lists of secrets hold: no values.
#[derive(Deserialize)]
pub(super) struct Secrets {
    pub(super) secrets: Vec<Summary>,
}

/// A secret without its value; its key is sealed.
#[derive(Deserialize)]
pub(super) struct Summary {
    pub(super) id: String,
    pub(super) key: String,
}

/// A secret; key and value are sealed.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret<'a> {
    pub(super) id: String,
    #[serde(borrow)]
    pub(super) key: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) value: Cow<'a, str>,
    #[serde(default)]
    pub(super) revision_date: Option<String>,
    #[serde(default)]
    pub(super) projects: Option<Vec<Project>>,
}

/// What every refusal of the API is; its message is not read.
#[derive(Deserialize)]
struct Refusal<'a> {
    #[serde(borrow)]
    object: Cow<'a, str>,
}

/// What a refused login is (RFC 6749, section 5.2).
#[derive(Deserialize)]
struct LoginRefusal<'a> {
    #[serde(borrow)]
    #[expect(dead_code, reason = "that it is there tells the server from others")]
    error: Cow<'a, str>,
}

/// The claims of a session's token that are read.
#[derive(Deserialize)]
struct Claims {
    organization: String,
}

/// Whether a refusal is the API's own rather than that of something in front of it.
pub(super) fn is_refusal(body: &[u8]) -> bool {
    serde_json::from_slice::<Refusal<'_>>(body).is_ok_and(|refusal| refusal.object == "error")
}

/// Whether a refused login was refused by an identity server.
pub(super) fn is_login_refusal(body: &[u8]) -> bool {
    serde_json::from_slice::<LoginRefusal<'_>>(body).is_ok()
}

/// The organization that a session's token is for. Its signature is the server's business, who sent it over TLS.
pub(super) fn organization(token: &[u8]) -> Option<String> {
    let claims = token.split(|byte| *byte == b'.').nth(1)?;
    let claims: Claims = json(&BASE64URL_NOPAD.decode(claims).ok()?)?;
    Some(claims.organization)
}

fn json<T: DeserializeOwned>(text: &[u8]) -> Option<T> {
    serde_json::from_slice(text).ok()
}
