//! The signature of AWS, version 4, for the one request that is ever signed here: a form posted to STS.
//!
//! Source: <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>.

use std::time::SystemTime;

use data_encoding::HEXLOWER;
use locket_core::SecretBytes;
use ring::{digest, hmac};
use zeroize::Zeroizing;

/// The credentials of an AWS principal.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) access_key: String,
    pub(super) secret_key: SecretBytes,
    /// For credentials that end.
    pub(super) session_token: Option<SecretBytes>,
}

/// The headers that make a request to `host` with this body one of the principal's, in the order they are signed, and
/// the signature itself.
pub(super) fn signed_headers(
    credentials: &Credentials,
    region: &str,
    host: &str,
    body: &str,
    now: SystemTime,
) -> Vec<(&'static str, Zeroizing<String>)> {
    let date = humantime::format_rfc3339_seconds(now)
        .to_string()
        .replace(['-', ':'], "");
    let day = date.get(..8).unwrap_or_default().to_owned();
    let mut headers = vec![
        (
            "Content-Type",
            "application/x-www-form-urlencoded; charset=utf-8"
                .to_owned()
                .into(),
        ),
        ("Host", host.to_owned().into()),
        ("X-Amz-Date", date.clone().into()),
    ];
    if let Some(token) = &credentials.session_token {
        headers.push(("X-Amz-Security-Token", text(token)));
    }
    let names: Vec<_> = headers
        .iter()
        .map(|(name, _)| name.to_ascii_lowercase())
        .collect();
    let mut canonical = Zeroizing::new("POST\n/\n\n".to_owned());
    for (name, (_, value)) in names.iter().zip(&headers) {
        for part in [name, ":", value, "\n"] {
            canonical.push_str(part);
        }
    }
    let names = names.join(";");
    for part in ["\n", &names, "\n", &hex_digest(body)] {
        canonical.push_str(part);
    }
    let scope = format!("{day}/{region}/sts/aws4_request");
    let signed = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", hex_digest(&canonical));
    let signature = sign(credentials, &scope, &signed);
    let access_key = &credentials.access_key;
    headers.push((
        "Authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{scope}, SignedHeaders={names}, Signature={signature}"
        )
        .into(),
    ));
    headers
}

fn sign(credentials: &Credentials, scope: &str, signed: &str) -> String {
    let mac = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let mut first = Zeroizing::new(b"AWS4".to_vec());
    #[expect(clippy::disallowed_methods, reason = "the key signs the request")]
    first.extend_from_slice(credentials.secret_key.expose());
    let mut key = Zeroizing::new(first.to_vec());
    for part in scope.split('/') {
        *key = mac(&key, part).as_ref().to_vec();
    }
    HEXLOWER.encode(mac(&key, signed).as_ref())
}

fn hex_digest(text: &str) -> String {
    HEXLOWER.encode(digest::digest(&digest::SHA256, text.as_bytes()).as_ref())
}

fn text(secret: &SecretBytes) -> Zeroizing<String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the token goes to the server that issued it"
    )]
    let text = String::from_utf8_lossy(secret.expose()).into_owned();
    Zeroizing::new(text)
}
