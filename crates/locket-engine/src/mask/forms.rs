//! The forms in which a program may put a secret out.

use data_encoding::{BASE64, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use zeroize::Zeroizing;

/// Characters besides letters and digits that an encoder of URLs leaves as they are.
type Safe = &'static [u8];

/// What RFC 3986 has them leave, and strict ones do.
const UNRESERVED: Safe = b"-._~";

/// What others leave.
const URLS: &[Safe] = &[
    // Python's `quote`.
    b"-._~/",
    // `encodeURIComponent`.
    b"-._~!*'()",
    // `encodeURI`.
    b"-._~!*'();/?:@&=+$,#",
    // The user and the password of a `URL` of browsers and Node.js.
    b"-._~!$%&'()*+,",
    // Go's `PathEscape`.
    b"-._~$&+:=@",
];

/// What is left in forms, where a space is a plus sign.
const FORMS: &[Safe] = &[
    UNRESERVED, // `URLSearchParams`, Java.
    b"-._*",    // PHP.
    b"-._",     // .NET.
    b"-._!*()",
];

/// Every form of `value`, itself first, each once.
pub(super) fn of(value: &[u8]) -> Vec<Zeroizing<Vec<u8>>> {
    let mut forms: Vec<Zeroizing<Vec<u8>>> = vec![Zeroizing::new(value.to_vec())];
    if value.contains(&b'\n') {
        forms.push(at_terminal(value));
    }
    let mut add = |form: String| {
        let form = Zeroizing::new(form.into_bytes());
        if !form.is_empty() && !forms.contains(&form) {
            forms.push(form);
        }
    };
    add(BASE64.encode(value));
    for shift in 0..3 {
        add(inside(value, shift, |bytes| BASE64_NOPAD.encode(bytes)));
        add(inside(value, shift, |bytes| BASE64URL_NOPAD.encode(bytes)));
    }
    add(HEXLOWER.encode(value));
    add(HEXUPPER.encode(value));
    add(url(value, UNRESERVED, lower));
    for safe in [UNRESERVED].iter().chain(URLS) {
        add(url(value, safe, upper));
    }
    for safe in FORMS {
        add(url(value, safe, |byte| match byte {
            b' ' => "+".to_owned(),
            byte => upper(byte),
        }));
    }
    if let Ok(text) = std::str::from_utf8(value) {
        add(json(text, String::from));
        add(json(text, ascii));
        // As PHP writes it, and as Go does.
        add(json(text, |c| if c == '/' { "\\/".to_owned() } else { c.into() }));
        add(json(text, |c| if c == '/' { "\\/".to_owned() } else { ascii(c) }));
        add(json(text, |c| match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => escaped(c),
            c => c.into(),
        }));
    }
    forms
}

/// A terminal begins a line on the left by a carriage return before each line break.
fn at_terminal(value: &[u8]) -> Zeroizing<Vec<u8>> {
    let breaks = value.iter().filter(|byte| **byte == b'\n').count();
    let mut form = Zeroizing::new(Vec::with_capacity(value.len() + breaks));
    for byte in value {
        if *byte == b'\n' {
            form.push(b'\r');
        }
        form.push(*byte);
    }
    form
}

/// What is the same in every base64 text of something that holds `value` behind `shift` other bytes (modulo three).
fn inside(value: &[u8], shift: usize, encode: impl Fn(&[u8]) -> String) -> String {
    let mut bytes = Zeroizing::new(vec![0; shift]);
    bytes.extend_from_slice(value);
    let encoded = Zeroizing::new(encode(&bytes));
    // A character has six bits: those that other bytes have a part in are left out.
    let (start, end) = ((shift * 8).div_ceil(6), bytes.len() * 8 / 6);
    encoded.get(start..end).unwrap_or_default().to_owned()
}

/// `value` in a URL; `rest` writes what is neither a letter, a digit nor `safe`.
fn url(value: &[u8], safe: Safe, rest: impl Fn(u8) -> String) -> String {
    let is_safe = |byte: &u8| byte.is_ascii_alphanumeric() || safe.contains(byte);
    let one = |byte: &u8| match is_safe(byte) {
        true => char::from(*byte).into(),
        false => rest(*byte),
    };
    value.iter().map(one).collect()
}

fn upper(byte: u8) -> String {
    format!("%{byte:02X}")
}

fn lower(byte: u8) -> String {
    format!("%{byte:02x}")
}

/// The inside of a JSON string; `rest` writes what needs no escape.
fn json(text: &str, rest: impl Fn(char) -> String) -> String {
    let one = |c: char| match c {
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        c if c < ' ' => escaped(c),
        c => rest(c),
    };
    text.chars().map(one).collect()
}

/// A character that ASCII has, or its escape.
fn ascii(c: char) -> String {
    if c.is_ascii() { c.into() } else { escaped(c) }
}

/// A character as `\uXXXX`, in two parts where it needs them.
fn escaped(c: char) -> String {
    let mut units = [0; 2];
    let units = c.encode_utf16(&mut units).iter();
    units.map(|unit| format!("\\u{unit:04x}")).collect()
}
