//! The bodies of vaults and of what hands out tokens.

use std::borrow::Cow;
use std::time::Duration;

use locket_core::{Fetched, ProviderError, SecretBytes};
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use zeroize::Zeroizing;

use crate::http::Response;

/// `SecretBundle`, as far as it is used. The value stays where it is unless JSON escapes something in it.
#[derive(Deserialize)]
struct SecretBundle<'a> {
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
}

/// `SecretListResult`.
#[derive(Deserialize)]
pub(super) struct SecretList {
    pub(super) value: Vec<SecretItem>,
    #[serde(rename = "nextLink", default)]
    pub(super) next_link: Option<String>,
}

/// One secret of a list.
#[derive(Deserialize)]
pub(super) struct SecretItem {
    id: String,
    attributes: Attributes,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default = "yes")]
    enabled: bool,
}

fn yes() -> bool {
    true
}

/// What an error of a vault is called, from outside to inside.
#[derive(Debug, Default)]
pub(super) struct VaultError {
    pub(super) code: String,
    pub(super) inner: String,
}

#[derive(Deserialize)]
struct ErrorBody {
    error: ErrorField,
}

#[derive(Deserialize)]
struct ErrorField {
    code: String,
    #[serde(default)]
    innererror: Option<InnerError>,
}

#[derive(Deserialize)]
struct InnerError {
    #[serde(default)]
    code: String,
}

/// A token as Entra, the metadata service and the Azure CLI give it.
#[derive(Deserialize)]
struct TokenBody<'a> {
    #[serde(alias = "accessToken")]
    access_token: &'a str,
    /// Seconds; some write them as a string.
    #[serde(default, deserialize_with = "number")]
    expires_in: Option<u64>,
    /// Seconds since 1970.
    #[serde(default, deserialize_with = "number")]
    expires_on: Option<u64>,
}

/// A token and how long it lasts.
pub(super) struct Token {
    pub(super) value: SecretBytes,
    pub(super) lasts: Option<Duration>,
    /// Since 1970.
    pub(super) ends: Option<Duration>,
}

/// Why Entra gave no token.
#[derive(Debug, Default, Deserialize)]
pub(super) struct LoginError {
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) error_codes: Vec<u64>,
}

/// The value of a secret.
///
/// # Errors
/// The body is none.
pub(super) fn secret(response: &Response) -> Result<Fetched, ProviderError> {
    let bundle: SecretBundle<'_> =
        serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(&response.place))?;
    let value = SecretBytes::copy_from(bundle.value.as_bytes());
    if let Cow::Owned(copy) = bundle.value {
        drop(Zeroizing::new(copy));
    }
    let fetched = Fetched::new(value);
    Ok(match bundle.id.rsplit('/').next() {
        Some(version) if !version.is_empty() => fetched.version(version),
        _ => fetched,
    })
}

/// One page of a list.
///
/// # Errors
/// The body is none.
pub(super) fn list(response: &Response) -> Result<SecretList, ProviderError> {
    serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(&response.place))
}

impl SecretItem {
    /// Its name; `None` when it cannot be read, since it is disabled.
    pub(super) fn name(&self) -> Option<&str> {
        let name = self.id.rsplit('/').next().filter(|name| !name.is_empty());
        name.filter(|_| self.attributes.enabled)
    }
}

/// What a vault calls an error; `None` when the answer is no vault's.
pub(super) fn vault_error(response: &Response) -> Option<VaultError> {
    let body: ErrorBody = serde_json::from_slice(response.body.bytes()).ok()?;
    Some(VaultError {
        code: body.error.code,
        inner: body.error.innererror.map(|inner| inner.code).unwrap_or_default(),
    })
}

/// The token in a body.
///
/// # Errors
/// The body is none.
pub(super) fn token(body: &[u8], place: &str) -> Result<Token, ProviderError> {
    let token: TokenBody<'_> = serde_json::from_slice(body).map_err(|_| not_the_protocol(place))?;
    if token.access_token.is_empty() {
        return Err(not_the_protocol(place));
    }
    Ok(Token {
        value: SecretBytes::copy_from(token.access_token.as_bytes()),
        lasts: token.expires_in.map(Duration::from_secs),
        ends: token.expires_on.map(Duration::from_secs),
    })
}

/// Why a login was refused, in Entra's numbers.
pub(super) fn login_error(response: &Response) -> LoginError {
    serde_json::from_slice(response.body.bytes()).unwrap_or_default()
}

/// What a body is answered with that Azure does not send.
pub(super) fn not_the_protocol(place: &str) -> ProviderError {
    ProviderError::unavailable(format!(
        "{place} answered with something that Azure does not send"
    ))
    .hint("Check whether a proxy or a sign-in page stands between.")
}

fn number<'de, D: Deserializer<'de>>(from: D) -> Result<Option<u64>, D::Error> {
    struct Number;
    impl Visitor<'_> for Number {
        type Value = Option<u64>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("seconds")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(Some(number))
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        // Some services write dates here, which say nothing that the other field does not.
        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            Ok(text.parse().ok())
        }
    }
    from.deserialize_any(Number)
}
