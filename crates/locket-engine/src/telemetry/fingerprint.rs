//! Keyed digests: equal values have equal ones on one machine, and nobody without the key can try values out.

use std::io;
use std::path::Path;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use locket_core::SecretBytes;
use sha2::Sha256;

/// The key's file in the state directory.
const KEY: &str = "audit.key";

/// HMAC-SHA256 under a random key that is kept in the state directory, readable by its owner only.
#[derive(Debug)]
pub struct Fingerprints(SecretBytes);

impl Fingerprints {
    /// The key of `directory`, made when there is none.
    pub(crate) fn open(directory: &Path) -> io::Result<Self> {
        crate::state_dir::key(directory, KEY).map(Self)
    }

    /// With a key that is kept elsewhere.
    pub fn with(key: SecretBytes) -> Self {
        Self(key)
    }

    /// A key that nobody has yet.
    ///
    /// # Errors
    /// The system has no random bytes.
    pub fn fresh_key() -> io::Result<Vec<u8>> {
        let mut key = vec![0; crate::state_dir::KEY_LENGTH];
        getrandom::fill(&mut key).map_err(io::Error::other)?;
        Ok(key)
    }

    /// The digest of a value, in 64 hexadecimal digits.
    pub fn of(&self, value: &SecretBytes) -> String {
        #[expect(clippy::disallowed_methods, reason = "key and value go into the HMAC")]
        let (key, bytes) = (self.0.expose(), value.expose());
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return String::new();
        };
        mac.update(bytes);
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }
}
