//! The bodies of the two services.

use data_encoding::BASE64;
use locket_core::{Fetched, ProviderError, SecretBytes};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::http::Response;

/// `SecretBundle`, as far as it is used.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SecretBundle<'a> {
    #[serde(default)]
    version_number: Option<u64>,
    #[serde(borrow)]
    secret_bundle_content: Content<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content<'a> {
    content_type: &'a str,
    /// Base64 has no characters that JSON escapes; a server may write `\/` all the same.
    #[serde(borrow)]
    content: Option<std::borrow::Cow<'a, str>>,
}

/// `X509FederationDetails`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Federation {
    pub(super) certificate: String,
    pub(super) public_key: String,
    pub(super) intermediate_certificates: Vec<String>,
}

#[derive(Deserialize)]
struct SecurityToken<'a> {
    token: &'a str,
}

#[derive(Deserialize)]
struct ApiError<'a> {
    #[serde(borrow)]
    code: std::borrow::Cow<'a, str>,
}

/// The content of a bundle, byte for byte.
///
/// # Errors
/// The body is none.
pub(super) fn bundle(response: &Response) -> Result<Fetched, ProviderError> {
    let garbled = || not_the_protocol(response);
    let bundle: SecretBundle<'_> = serde_json::from_slice(response.body.bytes()).map_err(|_| garbled())?;
    let content = bundle.secret_bundle_content;
    if content.content_type != "BASE64" {
        return Err(ProviderError::invalid(
            "the secret's content is of a type that is not known here",
        ));
    }
    let packed = Zeroizing::new(content.content.unwrap_or_default().into_owned());
    let bytes = Zeroizing::new(BASE64.decode(packed.as_bytes()).map_err(|_| garbled())?);
    let fetched = Fetched::new(SecretBytes::copy_from(&bytes));
    Ok(match bundle.version_number {
        Some(number) => fetched.version(number.to_string()),
        None => fetched,
    })
}

/// The token that a federation brought.
///
/// # Errors
/// The body is none.
pub(super) fn security_token(response: &Response) -> Result<SecretBytes, ProviderError> {
    let body: SecurityToken<'_> =
        serde_json::from_slice(response.body.bytes()).map_err(|_| not_the_protocol(response))?;
    if body.token.is_empty() {
        return Err(not_the_protocol(response));
    }
    Ok(SecretBytes::copy_from(body.token.as_bytes()))
}

/// Oracle's word for an error; `None` when the answer is not of an Oracle service.
pub(super) fn error_code(response: &Response) -> Option<String> {
    let error: ApiError<'_> = serde_json::from_slice(response.body.bytes()).ok()?;
    Some(error.code.into_owned())
}

/// What a body is answered with that no such service sends.
pub(super) fn not_the_protocol(response: &Response) -> ProviderError {
    ProviderError::unavailable(format!(
        "{} answered with something that Oracle Cloud does not send",
        response.place
    ))
    .hint("Check `oci.endpoint` if it is set, and whether a proxy or a sign-in page stands between.")
}
