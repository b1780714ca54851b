//! The token of a service account, and what the server knows of it.

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use serde_json::json;

use super::cipher::random;

/// A service account. Clones are the same one.
#[derive(Clone, Debug)]
pub struct ServiceAccount {
    pub(super) email: String,
    /// The part of the secret key that names it.
    pub(super) key_id: String,
    pub(super) salt: [u8; 16],
    pub(super) x: [u8; 32],
    pub(super) unlock_key: [u8; 32],
    device: String,
    throttle_seed: [u8; 32],
    secret: String,
}

/// The letters of secret keys, of which some look too much like others to be used.
const LETTERS: &[u8] = b"ACDEFGHJKLMNPQRSTVWXYZ2345678923";

impl ServiceAccount {
    pub(super) fn new() -> Self {
        let letters = |count: usize| -> String {
            let bytes = random::<32>();
            bytes[..count]
                .iter()
                .map(|byte| char::from(LETTERS[usize::from(byte % 32)]))
                .collect()
        };
        Self {
            email: format!("{}@1passwordserviceaccounts.com", super::server::id()),
            key_id: letters(6),
            salt: random(),
            x: random(),
            unlock_key: random(),
            device: super::server::id(),
            throttle_seed: random(),
            secret: [6, 5, 5, 5, 5].map(letters).join("-"),
        }
    }

    /// The name that it logs in by.
    pub fn email(&self) -> &str {
        &self.email
    }

    /// Its token for the server at `address`, such as `127.0.0.1:1234`.
    pub fn token(&self, address: &str) -> String {
        let json = json!({
            "signInAddress": address,
            "userAuth": self.user_auth(),
            "email": self.email,
            "srpX": HEXLOWER.encode(&self.x),
            "muk": {
                "alg": "A256GCM", "ext": true, "k": BASE64URL_NOPAD.encode(&self.unlock_key),
                "key_ops": ["encrypt", "decrypt"], "kty": "oct", "kid": "mp",
            },
            "secretKey": format!("A3-{}-{}", self.key_id, self.secret),
            "throttleSecret": {"seed": HEXLOWER.encode(&self.throttle_seed), "uuid": super::server::id().to_uppercase()},
            "deviceUuid": self.device,
        });
        format!("ops_{}", BASE64URL_NOPAD.encode(json.to_string().as_bytes()))
    }

    pub(super) fn user_auth(&self) -> serde_json::Value {
        json!({
            "method": "SRPg-4096",
            "alg": "PBES2g-HS256",
            "iterations": 650_000,
            "salt": BASE64URL_NOPAD.encode(&self.salt),
        })
    }
}
