//! The few steps through DER (ITU-T X.690) that keys and certificates need.

use pkcs1::der::asn1::AnyRef;
use pkcs1::der::{Decode, Error, Reader, SliceReader, Tag, Tagged};

/// The elements of a SEQUENCE or SET in `der`.
pub(super) fn elements(der: &[u8]) -> Result<Vec<AnyRef<'_>>, Error> {
    inside(AnyRef::from_der(der)?)
}

/// The elements of `any`, a SEQUENCE, SET, or explicitly tagged value.
pub(super) fn inside(any: AnyRef<'_>) -> Result<Vec<AnyRef<'_>>, Error> {
    let mut reader = SliceReader::new(any.value())?;
    let mut found = Vec::new();
    while !reader.is_finished() {
        found.push(AnyRef::decode(&mut reader)?);
    }
    Ok(found)
}

/// The content of `any`, which must be of this tag.
pub(super) fn content(any: AnyRef<'_>, tag: Tag) -> Option<&[u8]> {
    (any.tag() == tag).then_some(any.value())
}

/// A non-negative INTEGER.
pub(super) fn number(any: AnyRef<'_>) -> Option<u64> {
    let bytes = content(any, Tag::Integer)?;
    if bytes.first().is_none_or(|first| *first > 0x7f) || bytes.len() > 8 {
        return None;
    }
    Some(bytes.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

/// `content` with tag and length before it.
pub(super) fn wrapped(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut der = vec![tag];
    match content.len() {
        short @ 0..0x80 => der.push(short as u8),
        _ => {
            der.push(0x80 | length.len() as u8);
            der.extend(length);
        }
    }
    der.extend(content);
    der
}
