//! Values that cannot occur by chance, and the search for them wherever they must not be.
//!
//! A canary is looked for in every form that programs give to bytes by accident: as it is, in capitals, in base64
//! at any alignment, in hex, as a list of numbers; and each of these also behind percent signs, backslashes and
//! line breaks.

use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use memchr::memmem;

/// One value to be looked for.
#[derive(Clone)]
pub struct Canary {
    label: String,
    value: Vec<u8>,
    needles: Vec<Needle>,
}

/// Where and how a canary was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The canary's label.
    pub label: String,
    /// What the value had become.
    pub form: Form,
    /// How the bytes had to be read to see it.
    pub view: View,
    /// Where, in bytes of that view.
    pub offset: usize,
}

/// What a value had become when it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Nothing: its own bytes.
    Plain,
    /// Its letters in capitals.
    Capitals,
    /// Base64 of it, or of something around it.
    Base64,
    /// The same in the alphabet for URLs.
    Base64Url,
    /// Two hex digits for each byte.
    Hex,
    /// Decimal numbers with commas between, as Rust and JSON print bytes.
    Numbers,
}

/// How bytes are read in a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As they are.
    Raw,
    /// With `%41` read as `A`.
    PercentDecoded,
    /// With `\n`, `\"`, `\u0041`, `\u{41}` and `\x41` read as what they stand for.
    Unescaped,
    /// Without white space.
    Unspaced,
}

#[derive(Clone)]
struct Needle {
    form: Form,
    bytes: Vec<u8>,
}

/// Shorter values occur by chance.
const SHORTEST: usize = 8;

impl Canary {
    /// Letters, digits and hyphens, which nothing needs to escape.
    pub fn text(label: &str) -> Self {
        let (one, two) = (random(), random());
        Self::generated(label, format!("{one}-canary-{two}").into_bytes(), &[one, two])
    }

    /// UTF-8 text with what quoting, escaping and trimming get wrong: quotes of every kind, backslashes, line
    /// ends, template tags, `$`, `%`, letters beyond ASCII, and white space at both ends.
    pub fn awkward(label: &str) -> Self {
        let (one, two) = (random(), random());
        let value = format!(
            " canary-{one}\"'`\\\\n\t{{{{ x | y }}}} $HOME ${{a}} %41 <&> é€𝄞 #;=,\r\n\u{7f}{two}-canary\n\n"
        );
        Self::generated(label, value.into_bytes(), &[one, two])
    }

    /// Bytes that are no text: NUL, bytes that UTF-8 never has, a newline at the end.
    pub fn binary(label: &str) -> Self {
        let (one, two) = (random(), random());
        let mut value = b"\0\xff\xfecanary-".to_vec();
        value.extend_from_slice(one.as_bytes());
        value.extend((0..=u8::MAX).rev());
        value.extend_from_slice(two.as_bytes());
        value.extend_from_slice(b"\xc3\x28\0\n");
        Self::generated(label, value, &[one, two])
    }

    /// A value that was made elsewhere: a token of a real server.
    ///
    /// # Panics
    /// It is so short that it could occur by chance.
    pub fn of(label: &str, value: impl Into<Vec<u8>>) -> Self {
        let value = value.into();
        assert!(
            value.len() >= SHORTEST,
            "a canary of {} bytes proves nothing",
            value.len()
        );
        let needles = needles(&value);
        Self {
            label: label.to_owned(),
            value,
            needles,
        }
    }

    /// Only the random cores are looked for: that finds halves of the value too, and no escaping hides them.
    fn generated(label: &str, value: Vec<u8>, cores: &[String]) -> Self {
        Self {
            label: label.to_owned(),
            value,
            needles: cores.iter().flat_map(|core| needles(core.as_bytes())).collect(),
        }
    }

    /// What the canary is called in failures.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The value.
    pub fn bytes(&self) -> &[u8] {
        &self.value
    }

    /// The value as text.
    ///
    /// # Panics
    /// It is none.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.value).expect("this canary is text")
    }

    /// The first sign of it in `haystack`.
    pub fn find(&self, haystack: impl AsRef<[u8]>) -> Option<Finding> {
        find_any([self], haystack)
    }

    /// The first sign of it in a file, or in the names and contents below a directory.
    ///
    /// # Errors
    /// Something there cannot be read, so that nothing can be said about it.
    pub fn find_below(&self, path: &Path) -> io::Result<Option<(PathBuf, Finding)>> {
        find_any_below(&[self], path)
    }
}

/// The first sign of any of `canaries` in `haystack`.
pub fn find_any<'a>(
    canaries: impl IntoIterator<Item = &'a Canary>,
    haystack: impl AsRef<[u8]>,
) -> Option<Finding> {
    let views = views(haystack.as_ref());
    canaries.into_iter().find_map(|canary| {
        views.iter().find_map(|(view, bytes)| {
            canary.needles.iter().find_map(|needle| {
                memmem::find(bytes, &needle.bytes).map(|offset| Finding {
                    label: canary.label.clone(),
                    form: needle.form,
                    view: *view,
                    offset,
                })
            })
        })
    })
}

/// The first sign of any of `canaries` in a file, or in the names and contents below a directory. Symbolic links
/// are read, not followed; sockets, pipes and devices are known by their names alone.
///
/// # Errors
/// Something there cannot be read, so that nothing can be said about it.
pub fn find_any_below(canaries: &[&Canary], path: &Path) -> io::Result<Option<(PathBuf, Finding)>> {
    let found = |bytes: &[u8]| find_any(canaries.iter().copied(), bytes);
    let name = path.file_name().unwrap_or_default();
    if let Some(finding) = found(name.as_encoded_bytes()) {
        return Ok(Some((path.to_owned(), finding)));
    }
    let kind = std::fs::symlink_metadata(path)?.file_type();
    let finding = if kind.is_symlink() {
        found(std::fs::read_link(path)?.as_os_str().as_encoded_bytes())
    } else if kind.is_file() {
        found(&std::fs::read(path)?)
    } else if kind.is_dir() {
        for entry in std::fs::read_dir(path)? {
            if let Some(place) = find_any_below(canaries, &entry?.path())? {
                return Ok(Some(place));
            }
        }
        None
    } else {
        None
    };
    Ok(finding.map(|finding| (path.to_owned(), finding)))
}

/// Fails the test if any of `canaries` stands in `haystack`, which is called `what`.
///
/// # Panics
/// One does. The message does not repeat it.
#[track_caller]
pub fn assert_absent<'a>(
    canaries: impl IntoIterator<Item = &'a Canary>,
    what: &str,
    haystack: impl AsRef<[u8]>,
) {
    if let Some(finding) = find_any(canaries, haystack) {
        panic!("{what} holds {finding}");
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            label,
            form,
            view,
            offset,
        } = self;
        write!(
            f,
            "the canary `{label}` as {form:?} ({view:?} bytes, from {offset})"
        )
    }
}

impl fmt::Debug for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A test that searches its own debug output must not find the canary there.
        f.debug_tuple("Canary").field(&self.label).finish()
    }
}

/// Sixteen letters. No digits, so that a number can never be part of it.
fn random() -> String {
    RandomState::new()
        .hash_one(())
        .to_be_bytes()
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|nibble| char::from(b'a' + nibble))
        .collect()
}

fn needles(value: &[u8]) -> Vec<Needle> {
    let numbers: Vec<_> = value.iter().map(u8::to_string).collect();
    let mut needles = vec![
        (Form::Plain, value.to_vec()),
        (Form::Capitals, value.to_ascii_uppercase()),
        (Form::Hex, HEXLOWER.encode(value).into_bytes()),
        (Form::Hex, HEXUPPER.encode(value).into_bytes()),
        (Form::Numbers, numbers.join(",").into_bytes()),
    ];
    for alignment in 0..3 {
        needles.push((Form::Base64, base64_inside(value, alignment, &BASE64_NOPAD)));
        needles.push((Form::Base64Url, base64_inside(value, alignment, &BASE64URL_NOPAD)));
    }
    needles
        .into_iter()
        .map(|(form, bytes)| Needle { form, bytes })
        .collect()
}

/// The characters of base64 that `value` alone decides when `before` bytes, modulo three, stand before it.
fn base64_inside(value: &[u8], before: usize, encoding: &data_encoding::Encoding) -> Vec<u8> {
    let mut shifted = vec![0; before];
    shifted.extend_from_slice(value);
    let encoded = encoding.encode(&shifted).into_bytes();
    let first = (before * 8).div_ceil(6);
    let past_last = shifted.len() * 8 / 6;
    encoded[first..past_last].to_vec()
}

fn views(raw: &[u8]) -> Vec<(View, Vec<u8>)> {
    let unspaced = |bytes: &[u8]| -> Vec<u8> {
        bytes
            .iter()
            .copied()
            .filter(|byte| !byte.is_ascii_whitespace())
            .collect()
    };
    let mut views = vec![(View::Raw, raw.to_vec()), (View::Unspaced, unspaced(raw))];
    if raw.contains(&b'%') {
        views.push((
            View::PercentDecoded,
            percent_encoding::percent_decode(raw).collect(),
        ));
    }
    if raw.contains(&b'\\') {
        let unescaped = unescape(raw);
        views.push((View::Unspaced, unspaced(&unescaped)));
        views.push((View::Unescaped, unescaped));
    }
    views
}

/// Reads the escapes of JSON and Rust literals; a backslash before anything else is dropped.
fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        let Some((&escape, after)) = rest.split_first() else {
            break;
        };
        rest = after;
        match escape {
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'0' => out.push(0),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'x' => match hex_digits(rest, 2) {
                Some(code) => {
                    out.push(u8::try_from(code).unwrap_or_default());
                    rest = &rest[2..];
                }
                None => out.push(b'x'),
            },
            b'u' => rest = unescape_unicode(rest, &mut out),
            other => out.push(other),
        }
    }
    out
}

fn unescape_unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let braced = rest
        .strip_prefix(b"{")
        .and_then(|inner| Some((inner, memchr::memchr(b'}', inner)?)))
        .and_then(|(inner, end)| Some((hex_digits(inner, end)?, end + 2)));
    let plain = || hex_digits(rest, 4).map(|code| (code, 4));
    let Some((code, mut used)) = braced.or_else(plain) else {
        out.push(b'u');
        return rest;
    };
    let mut code = code;
    let low = rest
        .get(used..)
        .and_then(|next| next.strip_prefix(b"\\u"))
        .and_then(|next| hex_digits(next, 4));
    if let (0xd800..0xdc00, Some(low @ 0xdc00..0xe000)) = (code, low) {
        code = 0x1_0000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        used += 6;
    }
    let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    &rest[used..]
}

fn hex_digits(bytes: &[u8], count: usize) -> Option<u32> {
    let digits = std::str::from_utf8(bytes.get(..count)?).ok()?;
    u32::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests;
