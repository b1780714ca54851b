//! PEM blocks (RFC 7468, and RFC 1421 for the headers of old encrypted keys).

use data_encoding::BASE64;
use zeroize::Zeroizing;

/// One block.
pub(crate) struct Block<'a> {
    /// What stands after `BEGIN`.
    pub(crate) label: &'a str,
    /// The header fields, which only keys under a pass phrase of the old form have.
    headers: Vec<(&'a str, &'a str)>,
    /// The content. It may be a private key.
    pub(crate) der: Zeroizing<Vec<u8>>,
}

/// The text is no PEM, or damaged. Says nothing of what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotPem;

impl Block<'_> {
    /// A header field.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| *value)
    }
}

/// The first block of `text`.
///
/// # Errors
/// There is none.
pub(crate) fn first(text: &[u8]) -> Result<Block<'_>, NotPem> {
    match next(str::from_utf8(text).map_err(|_| NotPem)?)? {
        Some((block, _)) => Ok(block),
        None => Err(NotPem),
    }
}

/// All blocks of `text`, whatever stands between them.
///
/// # Errors
/// One of them is damaged.
pub(crate) fn all(text: &[u8]) -> Result<Vec<Block<'_>>, NotPem> {
    let mut rest = str::from_utf8(text).map_err(|_| NotPem)?;
    let mut blocks = Vec::new();
    while let Some((block, after)) = next(rest)? {
        blocks.push(block);
        rest = after;
    }
    Ok(blocks)
}

/// The first block, and what follows it. Any white space may stand between the base64 characters, since keys that were
/// pasted into a one-line field have lost their line ends.
fn next(text: &str) -> Result<Option<(Block<'_>, &str)>, NotPem> {
    const DASHES: &str = "-----";
    let Some((_, rest)) = text.split_once("-----BEGIN ") else {
        return Ok(None);
    };
    let (label, rest) = rest.split_once(DASHES).ok_or(NotPem)?;
    let (body, rest) = rest.split_once("-----END ").ok_or(NotPem)?;
    let (end, rest) = rest.split_once(DASHES).ok_or(NotPem)?;
    if end != label {
        return Err(NotPem);
    }
    let (headers, body) = split_headers(body);
    let mut packed = Zeroizing::new(Vec::with_capacity(body.len()));
    packed.extend(body.bytes().filter(|byte| !byte.is_ascii_whitespace()));
    let room = BASE64.decode_len(packed.len()).map_err(|_| NotPem)?;
    let mut der = Zeroizing::new(vec![0; room]);
    let length = BASE64.decode_mut(&packed, &mut der).map_err(|_| NotPem)?;
    der.truncate(length);
    Ok(Some((Block { label, headers, der }, rest)))
}

/// Headers and base64. An empty line ends the headers; base64 holds no colon.
fn split_headers(body: &str) -> (Vec<(&str, &str)>, &str) {
    let mut headers = Vec::new();
    let mut rest = body;
    while let Some((line, after)) = rest.split_once('\n') {
        match line.split_once(':') {
            Some((name, value)) => headers.push((name.trim(), value.trim())),
            None if line.trim().is_empty() => {}
            None => break,
        }
        rest = after;
    }
    (headers, rest)
}
