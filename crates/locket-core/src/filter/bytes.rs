//! Encodings of any bytes.

use data_encoding::{BASE64, BASE64URL_NOPAD, Encoding, HEXLOWER};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::apply::FilterError;
use crate::SecretBytes;

/// Standard base64 with padding, on one line.
pub(super) fn base64(value: &[u8]) -> SecretBytes {
    encode(&BASE64, value)
}

/// URL-safe base64 without padding.
pub(super) fn base64url(value: &[u8]) -> SecretBytes {
    encode(&BASE64URL_NOPAD, value)
}

/// Lower-case hexadecimal.
pub(super) fn hex(value: &[u8]) -> SecretBytes {
    encode(&HEXLOWER, value)
}

/// The SHA-256 digest in lower-case hexadecimal.
pub(super) fn sha256(value: &[u8]) -> SecretBytes {
    encode(&HEXLOWER, &Sha256::digest(value))
}

/// The bytes of base64 in either alphabet, with or without padding, whatever white space is in it.
///
/// # Errors
/// A character that is not of base64, something behind the padding, or a length that no bytes have.
pub(super) fn base64_decode(value: &[u8]) -> Result<SecretBytes, FilterError> {
    let mut digits = Zeroizing::new(Vec::with_capacity(value.len()));
    let mut padding = 0;
    for (at, byte) in value.iter().enumerate() {
        let digit = match (byte, base64_digit(*byte)) {
            (_, Some(digit)) => digit,
            (b'=', _) => {
                padding += 1;
                continue;
            }
            _ if byte.is_ascii_whitespace() => continue,
            _ => return Err(not_base64(&format!("byte {} is not of its alphabet", at + 1))),
        };
        if padding > 0 {
            return Err(not_base64(&format!("byte {} stands behind the padding", at + 1)));
        }
        digits.push(digit);
    }
    // One digit left over holds six bits, less than a byte.
    let cut_off = digits.len() % 4 == 1;
    let padded = padding == 0 || (padding <= 2 && (digits.len() + padding).is_multiple_of(4));
    if cut_off || !padded {
        return Err(not_base64("it is cut off, or its padding is wrong"));
    }
    Ok(SecretBytes::copy_from(&unpack(&digits, 6)))
}

/// What a character of base64 stands for, in either alphabet.
pub(super) fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    }
}

/// The bytes that digits of `width` bits each make up. Bits left over at the end are dropped: not every encoder
/// leaves them zero.
pub(super) fn unpack(digits: &[u8], width: u32) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(digits.len() * width as usize / 8));
    let mut pending = 0_u32;
    let mut held = 0;
    for digit in digits {
        pending = pending << width | u32::from(*digit);
        held += width;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (pending >> held).to_be_bytes();
            bytes.push(byte);
            pending &= (1 << held) - 1;
        }
    }
    bytes
}

fn encode(encoding: &Encoding, value: &[u8]) -> SecretBytes {
    let mut text = vec![0; encoding.encode_len(value.len())];
    encoding.encode_mut(value, &mut text);
    SecretBytes::new(text)
}

fn not_base64(reason: &str) -> FilterError {
    FilterError::Value(format!("the value is not base64: {reason}"))
}
