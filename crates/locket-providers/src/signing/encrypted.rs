//! Private keys under a pass phrase: PKCS#8 with PBES2 (RFC 8018), and OpenSSL's own older form.

use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, KeyIvInit};
use aes::{Aes128, Aes192, Aes256};
use data_encoding::HEXUPPER_PERMISSIVE;
use locket_core::SecretBytes;
use md5::{Digest, Md5};
use pkcs1::der::asn1::{AnyRef, ObjectIdentifier};
use pkcs1::der::{Tag, Tagged};
use ring::pbkdf2;
use zeroize::Zeroizing;

use super::der::{content, elements, inside, number};
use super::key::KeyError;

const PBES2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.13");
const PBKDF2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.5.12");
const HMAC_SHA1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.7");
const HMAC_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.9");
const HMAC_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.10");
const HMAC_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.2.11");
const AES128_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.2");
const AES192_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.22");
const AES256_CBC: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.1.42");

/// More rounds than any tool asks for would only hold the agent up.
const MOST_ROUNDS: u64 = 10_000_000;

#[derive(Clone, Copy)]
enum Cipher {
    Aes128,
    Aes192,
    Aes256,
}

/// The content of an `EncryptedPrivateKeyInfo` (RFC 5958).
///
/// # Errors
/// Another pass phrase or another scheme protects it.
pub(super) fn pkcs8(der: &[u8], pass_phrase: &SecretBytes) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let damaged = |_| KeyError::Damaged;
    let [scheme, encrypted] = elements(der).map_err(damaged)?[..] else {
        return Err(KeyError::Damaged);
    };
    let parameters = parameters(scheme, PBES2)?;
    let [derivation, encryption] = inside(parameters).map_err(damaged)?[..] else {
        return Err(KeyError::Damaged);
    };
    let [cipher, iv] = inside(encryption).map_err(damaged)?[..] else {
        return Err(KeyError::Damaged);
    };
    let cipher = match identifier(cipher)? {
        AES128_CBC => Cipher::Aes128,
        AES192_CBC => Cipher::Aes192,
        AES256_CBC => Cipher::Aes256,
        _ => return Err(KeyError::Cipher),
    };
    let octets = |any| content(any, Tag::OctetString).ok_or(KeyError::Damaged);
    let key = derived(&parameters_of_kdf(derivation)?, cipher, pass_phrase)?;
    cipher.decrypt(&key, octets(iv)?, octets(encrypted)?)
}

/// The content of a block with `DEK-Info: NAME,IV`. Its key is made as OpenSSL's `EVP_BytesToKey` does, by one round
/// of MD5 over pass phrase and the first eight bytes of the IV.
///
/// # Errors
/// Another pass phrase or another scheme protects it.
#[expect(clippy::disallowed_methods, reason = "a pass phrase opens the key it is for")]
pub(super) fn traditional(
    info: &str,
    encrypted: &[u8],
    pass_phrase: &SecretBytes,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let (name, iv) = info.split_once(',').ok_or(KeyError::Damaged)?;
    let cipher = match name.trim() {
        "AES-128-CBC" => Cipher::Aes128,
        "AES-192-CBC" => Cipher::Aes192,
        "AES-256-CBC" => Cipher::Aes256,
        _ => return Err(KeyError::Cipher),
    };
    let iv = HEXUPPER_PERMISSIVE
        .decode(iv.trim().as_bytes())
        .map_err(|_| KeyError::Damaged)?;
    let salt = iv.get(..8).ok_or(KeyError::Damaged)?;
    let mut key = Zeroizing::new(Vec::with_capacity(48));
    let mut digest = Zeroizing::new(Vec::new());
    while key.len() < cipher.key_length() {
        let next = Md5::new()
            .chain_update(&*digest)
            .chain_update(pass_phrase.expose())
            .chain_update(salt)
            .finalize();
        digest = Zeroizing::new(next.to_vec());
        key.extend_from_slice(&digest);
    }
    cipher.decrypt(&key[..cipher.key_length()], &iv, encrypted)
}

struct Pbkdf2<'a> {
    salt: &'a [u8],
    rounds: u32,
    algorithm: pbkdf2::Algorithm,
}

fn parameters_of_kdf(derivation: AnyRef<'_>) -> Result<Pbkdf2<'_>, KeyError> {
    let fields = inside(parameters(derivation, PBKDF2)?).map_err(|_| KeyError::Damaged)?;
    let [salt, rounds, rest @ ..] = &fields[..] else {
        return Err(KeyError::Damaged);
    };
    let rounds = number(*rounds)
        .filter(|rounds| (1..=MOST_ROUNDS).contains(rounds))
        .and_then(|rounds| u32::try_from(rounds).ok())
        .ok_or(KeyError::Cipher)?;
    // The length of the key may stand before the function, and is the cipher's anyway.
    let function = rest.iter().find(|field| field.tag() == Tag::Sequence);
    let algorithm = match function {
        None => pbkdf2::PBKDF2_HMAC_SHA1,
        Some(function) => {
            let name = inside(*function).map_err(|_| KeyError::Damaged)?;
            match identifier(*name.first().ok_or(KeyError::Damaged)?)? {
                HMAC_SHA1 => pbkdf2::PBKDF2_HMAC_SHA1,
                HMAC_SHA256 => pbkdf2::PBKDF2_HMAC_SHA256,
                HMAC_SHA384 => pbkdf2::PBKDF2_HMAC_SHA384,
                HMAC_SHA512 => pbkdf2::PBKDF2_HMAC_SHA512,
                _ => return Err(KeyError::Cipher),
            }
        }
    };
    Ok(Pbkdf2 {
        salt: content(*salt, Tag::OctetString).ok_or(KeyError::Cipher)?,
        rounds,
        algorithm,
    })
}

#[expect(clippy::disallowed_methods, reason = "a pass phrase opens the key it is for")]
fn derived(
    how: &Pbkdf2<'_>,
    cipher: Cipher,
    pass_phrase: &SecretBytes,
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut key = Zeroizing::new(vec![0; cipher.key_length()]);
    let rounds = std::num::NonZeroU32::new(how.rounds).ok_or(KeyError::Damaged)?;
    pbkdf2::derive(how.algorithm, rounds, how.salt, pass_phrase.expose(), &mut key);
    Ok(key)
}

/// The parameters of an `AlgorithmIdentifier` of this kind.
fn parameters(algorithm: AnyRef<'_>, kind: ObjectIdentifier) -> Result<AnyRef<'_>, KeyError> {
    let [name, parameters] = inside(algorithm).map_err(|_| KeyError::Damaged)?[..] else {
        return Err(KeyError::Cipher);
    };
    if identifier(name)? != kind {
        return Err(KeyError::Cipher);
    }
    Ok(parameters)
}

fn identifier(any: AnyRef<'_>) -> Result<ObjectIdentifier, KeyError> {
    ObjectIdentifier::try_from(any).map_err(|_| KeyError::Damaged)
}

impl Cipher {
    fn key_length(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes192 => 24,
            Self::Aes256 => 32,
        }
    }

    fn decrypt(self, key: &[u8], iv: &[u8], encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self {
            Self::Aes128 => decrypt::<cbc::Decryptor<Aes128>>(key, iv, encrypted),
            Self::Aes192 => decrypt::<cbc::Decryptor<Aes192>>(key, iv, encrypted),
            Self::Aes256 => decrypt::<cbc::Decryptor<Aes256>>(key, iv, encrypted),
        }
    }
}

fn decrypt<C: KeyIvInit + BlockDecryptMut>(
    key: &[u8],
    iv: &[u8],
    encrypted: &[u8],
) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let cipher = C::new_from_slices(key, iv).map_err(|_| KeyError::Damaged)?;
    let mut plain = Zeroizing::new(encrypted.to_vec());
    let length = cipher
        .decrypt_padded_mut::<Pkcs7>(&mut plain)
        .map_err(|_| KeyError::WrongPassPhrase)?
        .len();
    plain.truncate(length);
    Ok(plain)
}
