//! Signed tokens, as an identity provider issues them (RFC 7519 with the Ed25519 signatures of RFC 8037).

use data_encoding::BASE64URL_NOPAD;
use rcgen::{KeyPair, PKCS_ED25519, PublicKeyData, SigningKey};
use serde_json::{Value, json};

/// Who signs tokens.
pub struct JwtIssuer(KeyPair);

impl Default for JwtIssuer {
    fn default() -> Self {
        Self::new()
    }
}

impl JwtIssuer {
    /// An issuer with a new key.
    ///
    /// # Panics
    /// There is no randomness.
    pub fn new() -> Self {
        Self(KeyPair::generate_for(&PKCS_ED25519).expect("a key can be made"))
    }

    /// The public key, as PEM.
    pub fn public_key_pem(&self) -> String {
        let der = data_encoding::BASE64.encode(&self.0.subject_public_key_info());
        format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
    }

    /// A token with these claims.
    ///
    /// # Panics
    /// The key cannot sign.
    pub fn token(&self, claims: &Value) -> String {
        let signed = head_and_claims("EdDSA", claims);
        let signature = self.0.sign(signed.as_bytes()).expect("the key signs");
        format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
    }
}

/// A token with these claims whose signature is none: for who asks its issuer rather than verify it.
pub fn unsigned(claims: &Value) -> String {
    let signature = BASE64URL_NOPAD.encode(&[7; 256]);
    format!("{}.{signature}", head_and_claims("RS256", claims))
}

fn head_and_claims(algorithm: &str, claims: &Value) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let head = json!({ "alg": algorithm, "typ": "JWT" });
    format!("{}.{}", part(&head), part(claims))
}

impl std::fmt::Debug for JwtIssuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JwtIssuer(…)")
    }
}
