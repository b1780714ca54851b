//! The one cipher of Secrets Manager: `EncString` of type 2, AES-256-CBC with PKCS#7 padding, then HMAC-SHA256 over
//! initialisation vector and ciphertext. Nothing is deciphered before its code was verified.

use aes::Aes256;
use aes::cipher::block_padding::Pkcs7;
use aes::cipher::{BlockDecryptMut, KeyIvInit};
use data_encoding::BASE64;
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

/// A key of 64 bytes: half for the cipher, half for the code.
pub(super) struct Key {
    cipher: Zeroizing<[u8; HALF]>,
    mac: Zeroizing<[u8; HALF]>,
}

/// Why something does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    /// It is no `EncString` of type 2.
    Malformed,
    /// The code is another key's, or somebody changed the text.
    NotAuthentic,
}

const HALF: usize = 32;
const VECTOR: usize = 16;

impl Key {
    /// The key of these 64 bytes; `None` for another number of them.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let (cipher, mac) = bytes.split_at_checked(HALF)?;
        Some(Self {
            cipher: Zeroizing::new(cipher.try_into().ok()?),
            mac: Zeroizing::new(mac.try_into().ok()?),
        })
    }

    /// The key that the second half of an access token stands for.
    pub(super) fn of_seed(seed: &[u8; 16]) -> Option<Self> {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"bitwarden-accesstoken");
        let mut bytes = Zeroizing::new([0; 2 * HALF]);
        salt.extract(seed)
            .expand(&[b"sm-access-token"], Length)
            .and_then(|stream| stream.fill(bytes.as_mut_slice()))
            .ok()?;
        Self::new(bytes.as_slice())
    }

    /// What `sealed` holds.
    ///
    /// # Errors
    /// It is of another form, or not authentic.
    pub(super) fn open(&self, sealed: &str) -> Result<Zeroizing<Vec<u8>>, Unopened> {
        let parts = sealed.strip_prefix("2.").and_then(|rest| {
            let mut parts = rest.split('|').map(|part| BASE64.decode(part.as_bytes()).ok());
            let (vector, text, code) = (parts.next()??, parts.next()??, parts.next()??);
            parts.next().is_none().then_some((vector, text, code))
        });
        let (vector, text, code) = parts.ok_or(Unopened::Malformed)?;
        if vector.len() != VECTOR {
            return Err(Unopened::Malformed);
        }
        let signed = [vector.as_slice(), &text].concat();
        // Compares in constant time.
        hmac::verify(
            &hmac::Key::new(hmac::HMAC_SHA256, self.mac.as_slice()),
            &signed,
            &code,
        )
        .map_err(|_| Unopened::NotAuthentic)?;
        let cipher = cbc::Decryptor::<Aes256>::new_from_slices(self.cipher.as_slice(), &vector)
            .map_err(|_| Unopened::Malformed)?;
        let mut plain = Zeroizing::new(text);
        let length = cipher
            .decrypt_padded_mut::<Pkcs7>(&mut plain)
            .map_err(|_| Unopened::Malformed)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// How much [`hkdf`] is to give.
struct Length;

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        2 * HALF
    }
}

#[cfg(test)]
mod tests {
    use aes::cipher::BlockEncryptMut;

    use super::*;

    fn key(byte: u8) -> Key {
        Key::new(&[byte; 64]).unwrap()
    }

    fn seal(key: &Key, plain: &[u8]) -> String {
        let vector = [7; VECTOR];
        let cipher = cbc::Encryptor::<Aes256>::new_from_slices(key.cipher.as_slice(), &vector).unwrap();
        let text = cipher.encrypt_padded_vec_mut::<Pkcs7>(plain);
        sealed(key, &vector, &text)
    }

    fn sealed(key: &Key, vector: &[u8], text: &[u8]) -> String {
        let code = hmac::sign(
            &hmac::Key::new(hmac::HMAC_SHA256, key.mac.as_slice()),
            &[vector, text].concat(),
        );
        let [vector, text, code] = [vector, text, code.as_ref()].map(|part| BASE64.encode(part));
        format!("2.{vector}|{text}|{code}")
    }

    #[test]
    fn what_was_sealed_opens_byte_for_byte() {
        for plain in [&b""[..], b"a", &[0; 16], "sch\u{f6}n\n".as_bytes(), &[0xff; 1000]] {
            assert_eq!(key(1).open(&seal(&key(1), plain)).unwrap().as_slice(), plain);
        }
    }

    #[test]
    fn nothing_opens_after_any_of_its_bits_was_changed() {
        let good = seal(&key(1), b"the value of a secret");
        assert!(key(1).open(&good).is_ok());
        for (at, byte) in good.bytes().enumerate().skip(2) {
            for bit in 0..6 {
                let mut bad = good.clone().into_bytes();
                bad[at] = byte ^ (1 << bit);
                if let Ok(bad) = String::from_utf8(bad) {
                    assert!(key(1).open(&bad).is_err(), "byte {at}, bit {bit}");
                }
            }
        }
        assert_eq!(key(2).open(&good).unwrap_err(), Unopened::NotAuthentic);
    }

    #[test]
    fn a_text_without_a_code_or_of_another_type_is_refused() {
        let good = seal(&key(1), b"value");
        let (unsigned, _) = good.rsplit_once('|').unwrap();
        let short = sealed(&key(1), &[7; 15], &[0; 16]);
        let ragged = sealed(&key(1), &[7; 16], &[0; 15]);
        let bare = good.trim_start_matches("2.");
        for bad in [
            unsigned.to_owned(),
            format!("0.{}", bare.rsplit_once('|').unwrap().0),
            format!("1.{bare}"),
            format!("4.{bare}"),
            bare.to_owned(),
            format!("{good}|"),
            short,
            ragged,
            String::new(),
            "2.".to_owned(),
            "2.||".to_owned(),
        ] {
            assert!(key(1).open(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_padding_that_is_none_is_refused_although_its_code_is_right() {
        let vector = [7; VECTOR];
        let cipher = cbc::Encryptor::<Aes256>::new_from_slices(&[1; 32], &vector).unwrap();
        let unpadded = cipher.encrypt_padded_vec_mut::<aes::cipher::block_padding::NoPadding>(&[0; 16]);
        assert_eq!(
            key(1).open(&sealed(&key(1), &vector, &unpadded)).unwrap_err(),
            Unopened::Malformed
        );
    }

    #[test]
    fn a_key_does_not_print_itself() {
        assert_eq!(format!("{:?}", key(0x41)), "Key(…)");
        assert!(Key::new(&[0; 63]).is_none() && Key::new(&[0; 65]).is_none());
    }
}
