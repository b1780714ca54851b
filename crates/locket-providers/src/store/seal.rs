//! Encrypting and decrypting with age. Pure but for randomness.

use std::io::{Read, Write};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{DecryptError, Decryptor, Encryptor};
use zeroize::Zeroizing;

use super::keys::{Identities, Recipient};

/// Why a file did not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum UnsealError {
    #[error("is not an age file")]
    NotAge,
    #[error("holds the markers of a merge conflict")]
    MergeConflict,
    #[error("is empty")]
    Empty,
    #[error("is damaged or cut off")]
    Damaged,
    #[error("is encrypted with a passphrase")]
    Passphrase,
    #[error("is not encrypted to this identity")]
    WrongIdentity,
}

const BINARY_START: &[u8] = b"age-encryption.org/";
const ARMOR_START: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";

/// Whether `bytes` claim to be an age file, armored or not.
pub(super) fn is_age(bytes: &[u8]) -> bool {
    bytes.starts_with(BINARY_START) || bytes.trim_ascii_start().starts_with(ARMOR_START)
}

/// Encrypts `plain` to all of `recipients`, armored: text survives line-ending conversion, mail and review.
///
/// # Errors
/// There is no recipient.
pub(super) fn seal(plain: &[u8], recipients: &[Recipient]) -> Result<Vec<u8>, age::EncryptError> {
    let encryptor = Encryptor::with_recipients(recipients.iter().map(Recipient::as_age))?;
    let sealed = Vec::with_capacity(plain.len() * 3 / 2 + 1024);
    let armor = ArmoredWriter::wrap_output(sealed, Format::AsciiArmor)?;
    let mut stream = encryptor.wrap_output(armor)?;
    stream.write_all(plain)?;
    Ok(stream.finish()?.finish()?)
}

/// Decrypts an age file, armored or not.
///
/// # Errors
/// See [`UnsealError`]. Nothing of a file that fails half-way is handed out.
pub(super) fn unseal(sealed: &[u8], identities: &Identities) -> Result<Zeroizing<Vec<u8>>, UnsealError> {
    if sealed.trim_ascii().is_empty() {
        return Err(UnsealError::Empty);
    }
    if !is_age(sealed) {
        let conflict = sealed.starts_with(b"<<<<<<<");
        return Err(if conflict {
            UnsealError::MergeConflict
        } else {
            UnsealError::NotAge
        });
    }
    let conflict = sealed
        .split(|byte| *byte == b'\n')
        .any(|line| line.starts_with(b"<<<<<<< "));
    if conflict && !sealed.starts_with(BINARY_START) {
        return Err(UnsealError::MergeConflict);
    }
    let decryptor = Decryptor::new(ArmoredReader::new(sealed)).map_err(|error| explain(&error))?;
    if decryptor.is_scrypt() {
        return Err(UnsealError::Passphrase);
    }
    let mut stream = decryptor
        .decrypt(identities.as_age())
        .map_err(|error| explain(&error))?;
    // The plaintext is shorter than its file, so that the buffer never moves.
    let mut plain = Zeroizing::new(Vec::with_capacity(sealed.len() + 64));
    stream.read_to_end(&mut plain).map_err(|_| UnsealError::Damaged)?;
    Ok(plain)
}

fn explain(error: &DecryptError) -> UnsealError {
    match error {
        DecryptError::NoMatchingKeys => UnsealError::WrongIdentity,
        _ => UnsealError::Damaged,
    }
}
