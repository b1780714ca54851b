//! Private keys from the PEM forms that 1Password keeps (PKCS#8, PKCS#1) into OpenSSH's own.
//!
//! Ed25519 and RSA, the two kinds that 1Password makes and imports. The result depends on the key alone, so that an
//! unchanged key renders to equal bytes.

use data_encoding::BASE64;
use locket_core::{SecretBuilder, SecretBytes};
use pkcs1::der::asn1::{AnyRef, ObjectIdentifier, OctetStringRef};
use pkcs1::der::{Decode, Reader, SliceReader};
use ring::signature::{Ed25519KeyPair, KeyPair};
use ssh_key::private::{
    Ed25519Keypair, Ed25519PrivateKey, KeypairData, PrivateKey, RsaKeypair, RsaPrivateKey,
};
use ssh_key::public::{Ed25519PublicKey, RsaPublicKey};
use ssh_key::{LineEnding, Mpint};
use zeroize::Zeroizing;

use crate::signing::pem;

/// Why a text is no private key that can be converted. Never holds a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeyError {
    /// No PEM block, or a broken one.
    #[error("it holds no private key in PEM form")]
    NotPem,
    /// The block is none of the private-key forms.
    #[error("it holds PEM, but no private key in PKCS#8, PKCS#1 or OpenSSH form")]
    NotPrivateKey,
    /// The key is protected by a passphrase.
    #[error("its private key is encrypted with a passphrase")]
    Encrypted,
    /// A kind other than Ed25519 and RSA.
    #[error("its private key is neither Ed25519 nor RSA")]
    Kind,
    /// The key's structure is broken.
    #[error("its private key is damaged")]
    Damaged,
}

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// The private key in `text` as OpenSSH writes it, with Unix line ends and no comment.
///
/// # Errors
/// `text` is no unencrypted Ed25519 or RSA private key.
pub(crate) fn to_openssh(text: &[u8]) -> Result<SecretBytes, KeyError> {
    let block = pem::first(text).map_err(|_| KeyError::NotPem)?;
    // RFC 1421 headers, which only passphrase-protected keys of the old form have.
    if block.header("Proc-Type").is_some() {
        return Err(KeyError::Encrypted);
    }
    let keypair = match block.label {
        "PRIVATE KEY" => from_pkcs8(&block.der)?,
        "RSA PRIVATE KEY" => KeypairData::Rsa(from_pkcs1(&block.der)?),
        "OPENSSH PRIVATE KEY" => return rewrapped(&block.der),
        "ENCRYPTED PRIVATE KEY" => return Err(KeyError::Encrypted),
        "EC PRIVATE KEY" | "DSA PRIVATE KEY" => return Err(KeyError::Kind),
        _ => return Err(KeyError::NotPrivateKey),
    };
    let key = PrivateKey::new(keypair, "").map_err(|_| KeyError::Damaged)?;
    let text = key.to_openssh(LineEnding::LF).map_err(|_| KeyError::Damaged)?;
    Ok(SecretBytes::copy_from(text.as_bytes()))
}

/// A key that is in OpenSSH's form already, of whatever kind, with the usual line ends and widths.
fn rewrapped(content: &[u8]) -> Result<SecretBytes, KeyError> {
    const COLUMNS: usize = 70;
    if !content.starts_with(b"openssh-key-v1\0") {
        return Err(KeyError::Damaged);
    }
    let packed = Zeroizing::new(BASE64.encode(content));
    let mut text = SecretBuilder::with_capacity(packed.len() * (COLUMNS + 1) / COLUMNS + 80);
    text.extend(b"-----BEGIN OPENSSH PRIVATE KEY-----\n");
    for line in packed.as_bytes().chunks(COLUMNS) {
        text.extend(line);
        text.extend(b"\n");
    }
    text.extend(b"-----END OPENSSH PRIVATE KEY-----\n");
    Ok(text.finish())
}

/// RFC 5958's `OneAsymmetricKey`. What follows the private key is passed over: 1Password's Ed25519 keys carry their
/// public key under a tag that strict readers refuse.
fn from_pkcs8(der: &[u8]) -> Result<KeypairData, KeyError> {
    let mut reader = SliceReader::new(der).map_err(|_| KeyError::Damaged)?;
    let (kind, key) = reader
        .sequence(|reader| {
            u8::decode(reader)?;
            let kind = reader.sequence(|reader| {
                let kind = ObjectIdentifier::decode(reader)?;
                Option::<AnyRef<'_>>::decode(reader)?;
                Ok(kind)
            })?;
            let key = OctetStringRef::decode(reader)?;
            while !reader.is_finished() {
                AnyRef::decode(reader)?;
            }
            Ok((kind, key.as_bytes()))
        })
        .map_err(|_| KeyError::Damaged)?;
    match kind {
        RSA => Ok(KeypairData::Rsa(from_pkcs1(key)?)),
        ED25519 => {
            let seed = OctetStringRef::from_der(key).map_err(|_| KeyError::Damaged)?;
            from_seed(seed.as_bytes())
        }
        _ => Err(KeyError::Kind),
    }
}

fn from_seed(seed: &[u8]) -> Result<KeypairData, KeyError> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Damaged)?;
    let public = pair
        .public_key()
        .as_ref()
        .try_into()
        .map_err(|_| KeyError::Damaged)?;
    let private = seed.try_into().map_err(|_| KeyError::Damaged)?;
    Ok(KeypairData::Ed25519(Ed25519Keypair {
        public: Ed25519PublicKey(public),
        private: Ed25519PrivateKey::from_bytes(private),
    }))
}

/// RFC 8017's `RSAPrivateKey`, whose coefficient is just what OpenSSH stores.
fn from_pkcs1(der: &[u8]) -> Result<RsaKeypair, KeyError> {
    let key = pkcs1::RsaPrivateKey::from_der(der).map_err(|_| KeyError::Damaged)?;
    if key.other_prime_infos.is_some() {
        return Err(KeyError::Kind);
    }
    let number = |bytes: &[u8]| Mpint::from_positive_bytes(bytes).map_err(|_| KeyError::Damaged);
    Ok(RsaKeypair {
        public: RsaPublicKey {
            e: number(key.public_exponent.as_bytes())?,
            n: number(key.modulus.as_bytes())?,
        },
        private: RsaPrivateKey {
            d: number(key.private_exponent.as_bytes())?,
            iqmp: number(key.coefficient.as_bytes())?,
            p: number(key.prime1.as_bytes())?,
            q: number(key.prime2.as_bytes())?,
        },
    })
}

#[cfg(test)]
#[path = "openssh_tests.rs"]
mod tests;
