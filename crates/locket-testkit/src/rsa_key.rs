//! RSA keys of 2048 bits. To make one takes up to a second, so that a process makes a few and shares them.

use std::sync::OnceLock;

use data_encoding::BASE64;
use rcgen::{KeyPair, PKCS_RSA_SHA256};
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rsa::RsaPublicKey;
use rsa::pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::{DecodePublicKey, EncodePrivateKey, EncodePublicKey};

/// How many different keys there are.
const KEYS: usize = 3;

/// A private key, in the forms that tools write.
pub struct RsaKey {
    pkcs1: Vec<u8>,
    pkcs8: Vec<u8>,
    public_info: Vec<u8>,
}

impl RsaKey {
    /// The key of this number in this process; there are three, and larger numbers begin anew.
    ///
    /// # Panics
    /// There is no randomness.
    pub fn number(number: usize) -> &'static Self {
        static MADE: [OnceLock<RsaKey>; KEYS] = [const { OnceLock::new() }; KEYS];
        MADE[number % KEYS].get_or_init(Self::generate)
    }

    fn generate() -> Self {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, 2048).expect("a key can be made");
        let public = key.to_public_key();
        Self {
            pkcs1: key.to_pkcs1_der().expect("a key is DER").as_bytes().to_vec(),
            pkcs8: key.to_pkcs8_der().expect("a key is DER").as_bytes().to_vec(),
            public_info: public.to_public_key_der().expect("a key is DER").into_vec(),
        }
    }

    /// As PEM in PKCS#8 form.
    pub fn pem(&self) -> String {
        pem("PRIVATE KEY", &self.pkcs8)
    }

    /// As PEM in the older PKCS#1 form.
    pub fn traditional_pem(&self) -> String {
        pem("RSA PRIVATE KEY", &self.pkcs1)
    }

    /// The public half as PEM.
    pub fn public_pem(&self) -> String {
        pem("PUBLIC KEY", &self.public_info)
    }

    /// The public half, as `SubjectPublicKeyInfo` in DER.
    pub fn public_info(&self) -> &[u8] {
        &self.public_info
    }

    /// The same for certificates.
    ///
    /// # Panics
    /// Never, for a key that was made here.
    pub fn key_pair(&self) -> KeyPair {
        KeyPair::from_pkcs8_pem_and_sign_algo(&self.pem(), &PKCS_RSA_SHA256).expect("the key is one")
    }
}

/// Whether `signature` (RSASSA-PKCS1-v1_5 with SHA-256) of `text` was made with the private half of the key that
/// `public_info` describes.
pub fn verifies(public_info: &[u8], text: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = RsaPublicKey::from_public_key_der(public_info) else {
        return false;
    };
    let der = key.to_pkcs1_der().expect("a key is DER");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, der.as_bytes())
        .verify(text, signature)
        .is_ok()
}

fn pem(label: &str, der: &[u8]) -> String {
    let packed = BASE64.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    let mut rest = packed.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

impl std::fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RsaKey(…)")
    }
}
