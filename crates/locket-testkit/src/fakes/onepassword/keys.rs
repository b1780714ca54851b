//! Keys that were made once, with OpenSSL: a keyset, and four vaults' keys encrypted with it (RSA-OAEP), so that no test
//! needs an RSA library. They protect nothing.

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::cipher::{random, seal};

const KEYS: &str = include_str!("keys.json");

/// What `keys.json` holds.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Keys {
    keyset: String,
    public: Value,
    private: Value,
    signing_public: Value,
    signing_private: Value,
    pub(super) vaults: Vec<VaultKey>,
}

/// One vault's id and key.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct VaultKey {
    pub(super) id: String,
    key: String,
    sealed: String,
}

impl Keys {
    pub(super) fn read() -> Self {
        serde_json::from_str(KEYS).expect("the keys are beside this file")
    }

    /// The keyset as the server sends it, for whoever has the account's unlock key.
    pub(super) fn keyset(&self, unlock_key: &[u8]) -> Value {
        let id = self.keyset.as_str();
        let own = random::<32>();
        let symmetric = json!({
            "alg": "A256GCM", "ext": true, "k": BASE64URL_NOPAD.encode(&own),
            "key_ops": ["encrypt", "decrypt"], "kty": "oct", "kid": id,
        });
        json!({
            "uuid": id,
            "encryptedBy": "mp",
            "sn": 1,
            "encSymKey": seal("mp", unlock_key, &symmetric),
            "encPriKey": seal(id, &own, &self.private),
            "pubKey": self.public,
            "encSPriKey": seal(id, &own, &self.signing_private),
            "spubKey": self.signing_public,
        })
    }

    /// A vault's key as the server sends it.
    pub(super) fn vault_key(&self, vault: &VaultKey) -> Value {
        json!({"kid": self.keyset, "enc": "RSA-OAEP", "cty": "b5+jwk+json", "data": vault.sealed})
    }

    pub(super) fn keyset_id(&self) -> &str {
        &self.keyset
    }
}

impl VaultKey {
    /// `json` encrypted for the vault.
    pub(super) fn seal(&self, json: &Value) -> Value {
        let key = BASE64URL_NOPAD
            .decode(self.key.as_bytes())
            .expect("keys are base64url");
        seal(&self.id, &key, json)
    }
}
