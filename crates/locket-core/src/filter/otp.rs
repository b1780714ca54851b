//! One-time codes (RFC 6238).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use percent_encoding::percent_decode_str;
use totp_rs::{Algorithm, Builder, Secret};
use zeroize::Zeroizing;

use super::apply::FilterError;
use super::bytes::unpack;
use super::text::utf8;
use crate::SecretBytes;

/// A code and how long it is good for.
#[derive(Debug)]
pub struct OtpCode {
    /// The digits.
    pub code: SecretBytes,
    /// The end of its period.
    pub valid_until: SystemTime,
}

/// The code of `seed` (an `otpauth://totp/` URI or base32 key) at `now`.
///
/// The URI is the one that authenticator apps read: `secret`, and where they differ from SHA1, 6 digits and 30
/// seconds, `algorithm`, `digits` and `period`. Keys are of any length: many services give out 80 bits.
///
/// # Errors
/// `seed` is neither, or names an algorithm, digits or period that RFC 6238 does not have.
pub fn current_code(seed: &[u8], now: SystemTime) -> Result<OtpCode, FilterError> {
    let text = utf8(seed)?.trim();
    let parameters = match strip_prefix_ignore_case(text, "otpauth://") {
        Some(rest) => Parameters::from_uri(rest)?,
        None => Parameters::of_key(base32(text)?),
    };
    let seconds = now
        .duration_since(UNIX_EPOCH)
        .map_err(|_| wrong("the clock stands before 1970"))?
        .as_secs();
    let totp = Builder::new()
        .with_algorithm(parameters.algorithm)
        .with_digits(parameters.digits)
        .with_step_duration(parameters.period)
        .with_secret(Secret::new(parameters.key.as_slice().into()))
        // The compliant constructor refuses the keys of 80 bits that many services give out.
        .build_noncompliant();
    let code = Zeroizing::new(totp.generate(seconds).to_string());
    Ok(OtpCode {
        code: SecretBytes::copy_from(code.as_bytes()),
        valid_until: UNIX_EPOCH
            .checked_add(Duration::from_secs(totp.next_step(seconds)))
            .ok_or_else(|| wrong("the clock stands at the end of time"))?,
    })
}

struct Parameters {
    key: Zeroizing<Vec<u8>>,
    algorithm: Algorithm,
    digits: u8,
    /// In seconds, never zero.
    period: u64,
}

impl Parameters {
    fn of_key(key: Zeroizing<Vec<u8>>) -> Self {
        Self {
            key,
            algorithm: Algorithm::SHA1,
            digits: 6,
            period: 30,
        }
    }

    /// Reads `totp/LABEL?secret=…`, what follows `otpauth://`.
    fn from_uri(rest: &str) -> Result<Self, FilterError> {
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let kind = path.split('/').next().unwrap_or_default();
        if !kind.eq_ignore_ascii_case("totp") {
            return Err(wrong("the otpauth:// URI is not of the kind `totp`"));
        }
        let query = query.split('#').next().unwrap_or_default();
        let mut key = None;
        let mut parameters = Self::of_key(Zeroizing::default());
        for (name, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
            match name.to_ascii_lowercase().as_str() {
                "secret" => {
                    // As long as the whole from the start: growing would leave a copy behind.
                    let mut decoded = Zeroizing::new(Vec::with_capacity(value.len()));
                    decoded
                        .extend(percent_decode_str(value).map(|byte| if byte == b'+' { b' ' } else { byte }));
                    key = Some(base32(utf8(&decoded)?)?);
                }
                "algorithm" => parameters.algorithm = algorithm(value)?,
                "digits" => {
                    parameters.digits = number(value)
                        .filter(|digits| (6..=8).contains(digits))
                        .ok_or_else(|| wrong("the otpauth:// URI asks for other than 6, 7 or 8 digits"))?;
                }
                "period" => {
                    parameters.period = number(value)
                        .filter(|period| (1..=86_400).contains(period))
                        .ok_or_else(|| {
                            wrong("the otpauth:// URI has a period outside of 1 to 86400 seconds")
                        })?;
                }
                "encoder" if value.eq_ignore_ascii_case("steam") => {
                    return Err(wrong(
                        "the otpauth:// URI is of Steam, whose codes are not of RFC 6238",
                    ));
                }
                _ => {}
            }
        }
        parameters.key = key.ok_or_else(|| wrong("the otpauth:// URI has no `secret`"))?;
        Ok(parameters)
    }
}

fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

/// `SHA1`, `SHA256` or `SHA512`, also written `SHA-256` or `HmacSHA256`.
fn algorithm(name: &str) -> Result<Algorithm, FilterError> {
    let name = name.to_ascii_uppercase().replace('-', "");
    match name.strip_prefix("HMAC").unwrap_or(&name) {
        "SHA1" => Ok(Algorithm::SHA1),
        "SHA256" => Ok(Algorithm::SHA256),
        "SHA512" => Ok(Algorithm::SHA512),
        _ => Err(wrong(
            "the otpauth:// URI names an algorithm other than SHA1, SHA256 and SHA512",
        )),
    }
}

/// The bytes of a base32 key (RFC 4648) as people copy it: in either case, in groups, with or without padding.
fn base32(text: &str) -> Result<Zeroizing<Vec<u8>>, FilterError> {
    let mut digits = Zeroizing::new(Vec::with_capacity(text.len()));
    for (at, char) in text.trim_end_matches('=').char_indices() {
        digits.push(match char {
            'A'..='Z' => char as u8 - b'A',
            'a'..='z' => char as u8 - b'a',
            '2'..='7' => char as u8 - b'2' + 26,
            '-' => continue,
            _ if char.is_whitespace() => continue,
            _ => {
                return Err(wrong(&format!(
                    "the one-time seed is neither an otpauth:// URI nor base32 (byte {})",
                    at + 1
                )));
            }
        });
    }
    // These many digits left over hold no further byte: one was lost.
    if matches!(digits.len() % 8, 1 | 3 | 6) {
        return Err(wrong("the one-time seed is cut off"));
    }
    if digits.is_empty() {
        return Err(wrong("the one-time seed is empty"));
    }
    Ok(unpack(&digits, 5))
}

fn strip_prefix_ignore_case<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

fn wrong(text: &str) -> FilterError {
    FilterError::Value(text.to_owned())
}
