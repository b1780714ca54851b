//! The server's JSON. Values are borrowed from the response and copied once, into secrets.

use std::borrow::Cow;
use std::time::Duration;

use locket_core::{ProviderError, SecretBytes, json_path};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::client::not_the_protocol;
use crate::http::{Grant, Response};

/// The secrets of one folder.
#[derive(Deserialize)]
pub(super) struct Folder<'a> {
    #[serde(borrow)]
    pub(super) secrets: Vec<Secret<'a>>,
    /// Of the folders that it imports; the last one counts most, and what is in the folder itself more than all.
    #[serde(borrow, default)]
    pub(super) imports: Option<Vec<Import<'a>>>,
}

#[derive(Deserialize)]
pub(super) struct Import<'a> {
    #[serde(borrow)]
    pub(super) secrets: Vec<Secret<'a>>,
}

/// One secret.
#[derive(Deserialize)]
pub(super) struct Single<'a> {
    #[serde(borrow)]
    pub(super) secret: Secret<'a>,
}

/// One secret of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Secret<'a> {
    #[serde(borrow)]
    pub(super) secret_key: Cow<'a, str>,
    #[serde(borrow, default)]
    secret_value: Option<&'a RawValue>,
    /// Whether the value is a word that stands for one that may not be seen.
    #[serde(default)]
    pub(super) secret_value_hidden: bool,
    #[serde(default)]
    pub(super) version: Option<u64>,
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Login<'a> {
    #[serde(borrow)]
    access_token: &'a RawValue,
    /// Seconds; 0 for a token without end.
    expires_in: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Refusal<'a> {
    status_code: u16,
    #[serde(borrow)]
    error: Cow<'a, str>,
}

/// What a refusal says, apart from its status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// The API refuses.
    ByApi,
    /// The API refuses a token that is malformed or has ended, which it does with the status of a denial.
    Token,
    /// The API has no such request: it is of another generation.
    NoRequest,
    /// It is not the API that speaks.
    BySomethingElse,
}

impl Secret<'_> {
    /// The value.
    ///
    /// # Errors
    /// It is not text.
    pub(super) fn value(&self, response: &Response) -> Result<SecretBytes, ProviderError> {
        match self.secret_value {
            None => Ok(SecretBytes::copy_from(b"")),
            Some(raw) if !raw.get().starts_with('"') => Err(not_the_protocol(&response.place)),
            Some(raw) => {
                json_path::select(raw.get().as_bytes(), "").map_err(|_| not_the_protocol(&response.place))
            }
        }
    }

    /// Whether it is one user's own.
    pub(super) fn is_personal(&self) -> bool {
        self.kind.as_deref() == Some("personal")
    }
}

/// The token that a login or a renewal brought.
///
/// # Errors
/// The body is not what the API promises.
pub(super) fn grant(response: &Response) -> Result<Grant, ProviderError> {
    let garbage = || not_the_protocol(&response.place);
    let login: Login<'_> = serde_json::from_slice(response.body.bytes()).map_err(|_| garbage())?;
    let raw = login.access_token.get();
    let token = json_path::select(raw.as_bytes(), "").map_err(|_| garbage())?;
    if token.is_empty() || !raw.starts_with('"') {
        return Err(garbage());
    }
    let grant = Grant::new(token).renewable();
    Ok(match login.expires_in {
        0 => grant,
        seconds => grant.lasting(Duration::from_secs(seconds)),
    })
}

/// What a body that came with a refusal says.
pub(super) fn refused(response: &Response) -> Refused {
    let refusal: Option<Refusal<'_>> = serde_json::from_slice(response.body.bytes()).ok();
    let refusal = refusal.filter(|refusal| refusal.status_code == response.status.as_u16());
    match refusal.as_ref().map(|refusal| refusal.error.as_ref()) {
        None => Refused::BySomethingElse,
        Some("TokenError") => Refused::Token,
        // The framework's own words for an address that leads nowhere; what the API cannot find is a `NotFound`.
        Some("Not Found") => Refused::NoRequest,
        Some(_) => Refused::ByApi,
    }
}
