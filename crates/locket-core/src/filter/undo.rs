//! The present output as it was before the filters behind a password hash, which show it in another form.

use memchr::memmem;
use zeroize::Zeroizing;

use super::bytes::{base64_digit, unpack};
use super::call::{Filter, FilterCall};

/// Shorter runs of digits hide no password hash.
const SHORTEST: usize = 60;

/// `present` as it was before `behind`, the first of which came first: what an encoding hides stands in the open. What
/// no encoding made of it may be anything.
pub(super) fn undone(present: &[u8], behind: &[FilterCall]) -> Zeroizing<Vec<u8>> {
    let shown = Zeroizing::new(present.to_vec());
    behind.iter().rev().fold(shown, |shown, call| match &call.filter {
        Filter::Base64 | Filter::Base64Url => decoded(&shown, base64_digit, 6),
        Filter::Hex => decoded(&shown, hex_digit, 4),
        Filter::Url => without_percents(&shown),
        Filter::Shell => replaced(&shown, br"'\''", b"'"),
        Filter::Dotenv | Filter::JsonString | Filter::YamlString | Filter::TomlString => {
            without_backslashes(&shown)
        }
        Filter::Replace { from, to } if !to.is_empty() => replaced(&shown, to.as_bytes(), from.as_bytes()),
        _ => shown,
    })
}

/// What each run of digits of `width` bits stands for, a line each. Where it begins is not known, since the text before
/// may be of the same characters.
fn decoded(text: &[u8], digit: fn(u8) -> Option<u8>, width: u32) -> Zeroizing<Vec<u8>> {
    let shortest = SHORTEST * 8 / width as usize;
    // So many digits are whole bytes again: two of hexadecimal, four of base64.
    let beginnings = if width == 4 { 2 } else { 4 };
    let mut shown = Zeroizing::new(Vec::with_capacity(text.len() * beginnings));
    for run in text.split(|byte| digit(*byte).is_none()) {
        if run.len() < shortest {
            continue;
        }
        let digits = Zeroizing::new(run.iter().filter_map(|byte| digit(*byte)).collect::<Vec<_>>());
        for start in 0..beginnings {
            shown.extend_from_slice(&unpack(&digits[start..], width));
            shown.push(b'\n');
        }
    }
    shown
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

fn without_percents(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut shown = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        let digit = |at: usize| hex_digit(behind.get(at)?.to_ascii_lowercase());
        match (first, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                shown.push(high << 4 | low);
                rest = &behind[2..];
            }
            _ => {
                shown.push(*first);
                rest = behind;
            }
        }
    }
    shown
}

/// The escapes that quotes of any kind make of what may stand in a user's name, or in a hash.
fn without_backslashes(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut shown = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let [first, behind @ ..] = rest {
        rest = behind;
        match (first, behind) {
            (b'\\', [escaped @ (b'"' | b'\\' | b'$'), behind @ ..]) => {
                shown.push(*escaped);
                rest = behind;
            }
            _ => shown.push(*first),
        }
    }
    shown
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut shown = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut at = 0;
    for start in memmem::find_iter(text, from) {
        shown.extend_from_slice(&text[at..start]);
        shown.extend_from_slice(to);
        at = start + from.len();
    }
    shown.extend_from_slice(&text[at..]);
    shown
}
