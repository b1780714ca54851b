//! What stands in the token of a service account: `ops_` and JSON in base64url.
//!
//! Only the address is read here; the rest is for whoever speaks the protocol.

use data_encoding::BASE64URL_NOPAD;
use locket_core::{ProviderError, SecretBytes};
use serde::Deserialize;
use zeroize::Zeroizing;

/// How every token begins.
const PREFIX: &[u8] = b"ops_";

#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow, rename = "signInAddress")]
    sign_in_address: std::borrow::Cow<'a, str>,
}

/// The host, and port where one is given, that `token` is for, such as `example.1password.com`.
///
/// # Errors
/// It is no token of a service account.
pub(super) fn sign_in_address(token: &SecretBytes) -> Result<String, ProviderError> {
    #[expect(clippy::disallowed_methods, reason = "the address is taken out of the token")]
    let encoded = token.expose().strip_prefix(PREFIX).ok_or_else(foreign)?;
    let encoded = encoded.trim_ascii_end();
    let unpadded = encoded.len() - encoded.iter().rev().take_while(|byte| **byte == b'=').count();
    let json = BASE64URL_NOPAD.decode(&encoded[..unpadded]).map_err(|_| cut())?;
    let json = Zeroizing::new(json);
    let content: Content<'_> = serde_json::from_slice(&json).map_err(|_| cut())?;
    let address = content.sign_in_address.trim_end_matches('/');
    let address = address.strip_prefix("https://").unwrap_or(address);
    match address.is_empty()
        || address.contains(['/', '@', '?', '#'])
        || address.contains(char::is_whitespace)
    {
        true => Err(cut()),
        false => Ok(address.to_owned()),
    }
}

fn foreign() -> ProviderError {
    ProviderError::auth("the credential is not the token of a 1Password service account").hint(
        "Such a token begins with `ops_`. The token of a Connect server belongs to `--provider op-connect` and \
         `connect.token-file`.",
    )
}

fn cut() -> ProviderError {
    ProviderError::auth("the token of the 1Password service account is damaged").hint(
        "Copy it again, whole and in one line; 1Password shows it once, when the service account is made.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(json: &str) -> SecretBytes {
        SecretBytes::new(format!("ops_{}", BASE64URL_NOPAD.encode(json.as_bytes())).into_bytes())
    }

    #[test]
    fn a_token_tells_where_it_signs_in() {
        for address in [
            "example.1password.com",
            "https://example.1password.com",
            "https://example.1password.com/",
        ] {
            let token = token(&format!(r#"{{"signInAddress":"{address}","muk":{{"k":"x"}}}}"#));
            assert_eq!(sign_in_address(&token).unwrap(), "example.1password.com");
        }
    }

    #[test]
    fn what_is_no_token_of_a_service_account_is_said_to_be_none() {
        let of_connect = SecretBytes::copy_from(b"eyJhbGciOiJFUzI1NiJ9.e30.x");
        let error = sign_in_address(&of_connect).unwrap_err();
        assert!(error.hint.unwrap().contains("op-connect"));
        let whole = token(r#"{"signInAddress":"example.1password.com"}"#);
        let cut = SecretBytes::copy_from(&{
            #[expect(clippy::disallowed_methods, reason = "a token of the test's own")]
            whole.expose()[..20].to_owned()
        });
        assert!(sign_in_address(&cut).unwrap_err().context.contains("damaged"));
        for json in [
            "{}",
            r#"{"signInAddress":""}"#,
            r#"{"signInAddress":"a@b/c"}"#,
            "[]",
        ] {
            assert!(
                sign_in_address(&token(json))
                    .unwrap_err()
                    .context
                    .contains("damaged"),
                "{json}"
            );
        }
    }
}
