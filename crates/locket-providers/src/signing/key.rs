//! RSA private keys in the PEM forms that `openssl`, the clouds' tools and their consoles write.

use std::fmt;
use std::sync::Arc;

use locket_core::{ProviderError, SecretBytes};
use ring::rand::SystemRandom;
use ring::signature::{KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rsa::pkcs1::EncodeRsaPrivateKey;

use super::{der, encrypted, pem};

/// Bits of the keys that are made here: what every service takes.
const BITS: usize = 2048;

/// An RSA private key that signs. Clones are the same key.
#[derive(Clone)]
pub(crate) struct SigningKey(Arc<RsaKeyPair>);

/// Why a text is no private key that signs. Never holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// No PEM block, or a broken one.
    #[error("holds no private key in PEM form")]
    NotPem,
    /// A key or certificate that everybody may know.
    #[error("holds a public key or certificate, and no private key")]
    Public,
    /// The key is protected and nobody said by what.
    #[error("is encrypted, and there is no pass phrase")]
    NoPassPhrase,
    /// Another pass phrase protects it.
    #[error("cannot be decrypted: the pass phrase is wrong, or the key is damaged")]
    WrongPassPhrase,
    /// It is protected by what is not spoken here.
    #[error("is encrypted in a way that is not supported")]
    Cipher,
    /// Not RSA.
    #[error("holds a key that is not RSA")]
    Kind,
    /// Of a size that is not spoken here.
    #[error("holds an RSA key of less than 2048 or more than 4096 bits")]
    Size,
    /// The key's structure is broken.
    #[error("holds a damaged private key")]
    Damaged,
}

impl SigningKey {
    /// The first private key in `text`. A pass phrase that it does not need is not looked at.
    ///
    /// # Errors
    /// There is none, or none that can be used.
    pub(crate) fn from_pem(text: &[u8], pass_phrase: Option<&SecretBytes>) -> Result<Self, KeyError> {
        let blocks = pem::all(text).map_err(|_| KeyError::NotPem)?;
        let Some(block) = blocks.iter().find(|block| block.label.ends_with("PRIVATE KEY")) else {
            return Err(match blocks.is_empty() {
                true => KeyError::NotPem,
                false => KeyError::Public,
            });
        };
        let needed = || pass_phrase.ok_or(KeyError::NoPassPhrase);
        // What comes out of a decryption and is no key tells that the pass phrase was another.
        let decrypted = |error| match error {
            KeyError::Damaged => KeyError::WrongPassPhrase,
            other => other,
        };
        match block.label {
            "PRIVATE KEY" => from_pkcs8(&block.der),
            "ENCRYPTED PRIVATE KEY" => {
                from_pkcs8(&encrypted::pkcs8(&block.der, needed()?)?).map_err(decrypted)
            }
            "RSA PRIVATE KEY" => match block.header("DEK-Info") {
                None => from_pkcs1(&block.der),
                Some(info) => {
                    from_pkcs1(&encrypted::traditional(info, &block.der, needed()?)?).map_err(decrypted)
                }
            },
            _ => Err(KeyError::Kind),
        }
    }

    /// A new key, which exists nowhere else. Takes up to a second of computing.
    ///
    /// # Errors
    /// There is no randomness.
    pub(crate) fn generate() -> Result<Self, KeyError> {
        let key = rsa::RsaPrivateKey::new(&mut rsa::rand_core::OsRng, BITS).map_err(|_| KeyError::Damaged)?;
        let der = key.to_pkcs1_der().map_err(|_| KeyError::Damaged)?;
        from_pkcs1(der.as_bytes())
    }

    /// The signature of `text`: RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017, 8.2).
    ///
    /// # Errors
    /// There is no randomness to blind the computation with.
    pub(crate) fn sign(&self, text: &[u8]) -> Result<Vec<u8>, ProviderError> {
        let mut signature = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), text, &mut signature)
            .map_err(|_| {
                ProviderError::unavailable("the request cannot be signed: there is no randomness")
            })?;
        Ok(signature)
    }

    /// The public half as `RSAPublicKey` (RFC 8017, A.1.1).
    pub(crate) fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    /// The public half as `SubjectPublicKeyInfo` (RFC 5280, 4.1).
    pub(crate) fn public_key_info(&self) -> Vec<u8> {
        /// `rsaEncryption` with its NULL parameters.
        const ALGORITHM: &[u8] = &[
            0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
        ];
        let bits = [&[0], self.public_key()].concat();
        der::wrapped(0x30, &[ALGORITHM, &der::wrapped(0x03, &bits)].concat())
    }
}

impl KeyError {
    /// What to do about it, as a sentence.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::NotPem | Self::Damaged => {
                "Use the whole file that holds the private key, from `-----BEGIN` to the end of the last line."
            }
            Self::Public => "Use the file with the private key that belongs to it.",
            Self::NoPassPhrase | Self::WrongPassPhrase => {
                "Give the pass phrase that the key was made with, or write a key without one: `openssl pkey -in KEY -out NEW`."
            }
            Self::Cipher => "Encrypt it with AES: `openssl pkcs8 -topk8 -v2 aes-256-cbc -in KEY -out NEW`.",
            Self::Kind | Self::Size => "Make an RSA key of 2048 bits and register its public half.",
        }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

fn from_pkcs1(der: &[u8]) -> Result<SigningKey, KeyError> {
    loaded(RsaKeyPair::from_der(der))
}

fn from_pkcs8(der: &[u8]) -> Result<SigningKey, KeyError> {
    loaded(RsaKeyPair::from_pkcs8(der))
}

fn loaded(key: Result<RsaKeyPair, ring::error::KeyRejected>) -> Result<SigningKey, KeyError> {
    match key {
        Ok(key) => Ok(SigningKey(Arc::new(key))),
        // The reasons are words; ring gives them no other form.
        Err(reason) => Err(match reason.to_string().as_str() {
            "TooSmall" | "TooLarge" | "PrivateModulusLenNotMultipleOf512Bits" => KeyError::Size,
            "WrongAlgorithm" => KeyError::Kind,
            _ => KeyError::Damaged,
        }),
    }
}
