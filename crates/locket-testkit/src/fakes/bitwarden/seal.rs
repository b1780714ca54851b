//! What clients of Bitwarden do to a text before the server gets it: `EncString` of type 2.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockEncryptMut, KeyIvInit};
use data_encoding::BASE64;
use ring::{hkdf, hmac};

/// A key of 64 bytes.
#[derive(Clone, Copy)]
pub(super) struct Key([u8; 64]);

impl Key {
    /// A key that only `purpose` has.
    pub(super) fn made_of(purpose: &str) -> Self {
        let half = |part: &str| digest(format!("{purpose}/{part}").as_bytes());
        let mut key = [0; 64];
        key[..32].copy_from_slice(&half("cipher"));
        key[32..].copy_from_slice(&half("code"));
        Self(key)
    }

    /// The key that the last part of an access token stands for.
    pub(super) fn of_access_token(seed: &[u8; 16]) -> Self {
        struct SixtyFour;
        impl hkdf::KeyType for SixtyFour {
            fn len(&self) -> usize {
                64
            }
        }
        let mut key = [0; 64];
        hkdf::Salt::new(hkdf::HKDF_SHA256, b"bitwarden-accesstoken")
            .extract(seed)
            .expand(&[b"sm-access-token"], SixtyFour)
            .and_then(|stream| stream.fill(&mut key))
            .expect("64 bytes are few enough");
        Self(key)
    }

    /// Its bytes in base64, as one client hands it to the next.
    pub(super) fn to_base64(self) -> String {
        BASE64.encode(&self.0)
    }

    /// `plain` under an initialisation vector of its own.
    pub(super) fn seal(&self, plain: &[u8], number: u64) -> String {
        let vector = &digest(&[&self.0[..], &number.to_be_bytes()].concat())[..16];
        let (cipher, code) = self.0.split_at(32);
        let text = cbc::Encryptor::<Aes256>::new_from_slices(cipher, vector)
            .expect("key and vector have their lengths")
            .encrypt_padded_vec_mut::<Pkcs7>(plain);
        let code = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, code),
            &[vector, &text].concat(),
        );
        let [vector, text, code] = [vector, &text, code.as_ref()].map(|part| BASE64.encode(part));
        format!("2.{vector}|{text}|{code}")
    }
}

/// A number of 32 bytes that looks random and is the same each time.
pub(super) fn digest(of: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, of);
    digest.as_ref().try_into().expect("SHA-256 has 32 bytes")
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}
