//! `mount/path/field[?version=N]` and `mount/path/field[?name=value&…]`, as both schemes write it.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU64;

use locket_core::{Diagnostic, Locator, Reference};

/// What one request reads: a path, mount included, and which version of it or what is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Decoded and never empty; at least two, since a mount alone holds no secret.
    pub(super) path: Vec<String>,
    /// The latest unless given.
    pub(super) version: Option<NonZeroU64>,
    /// The body of the request, in the order of the names, for engines that are asked by one. Whether the path is of
    /// such an engine is the server's to say.
    pub(super) body: BTreeMap<String, String>,
}

/// Turns a reference into the item to read and the field to take from it.
///
/// # Errors
/// Something in the reference can never name a field.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let span = reference.span();
    let form = format!("Write `{}://mount/path/field`.", reference.scheme());
    let wrong = |message: String| Diagnostic::error(span, message).help(form.clone());
    let mut found = Vec::new();

    let version = match reference.option("version").map(str::parse::<NonZeroU64>) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => {
            found.push(
                Diagnostic::error(span, "`version` is not a version number")
                    .help("Versions are counted from 1; leave the option out for the latest."),
            );
            None
        }
    };
    let mut path: Vec<String> = reference.segments().into_iter().map(Into::into).collect();
    if let Some(odd) = path
        .iter()
        .find(|segment| matches!(segment.as_str(), "" | "." | ".."))
    {
        found.push(wrong(match odd.as_str() {
            "" => "this reference has an empty component".to_owned(),
            dots => format!("`{dots}` cannot be a component of a path"),
        }));
    } else if path.len() < 3 {
        found.push(wrong("this reference names no field".to_owned()));
    }
    if version.is_some() && reference.options().len() > 1 {
        found.push(
            Diagnostic::error(span, "`version` and other options exclude each other")
                .help("Key/value stores have versions; other engines take options, which become the request's body."),
        );
    }
    if !found.is_empty() {
        return Err(found);
    }
    let field = path.pop().unwrap_or_default();
    let body: BTreeMap<_, _> = reference
        .options()
        .iter()
        .filter(|(name, _)| name != "version")
        .cloned()
        .collect();
    let item = Item { path, version, body };
    Ok(Locator::new(item.to_string(), field, item))
}

/// Turns `mount/path/` of a `REF/*` into the item whose fields are all wanted.
///
/// # Errors
/// Something in the reference can never name a secret.
pub(super) fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let wrong = || {
        let form = format!(
            "Write `{}://mount/path/*` for all fields of one secret.",
            reference.scheme()
        );
        vec![Diagnostic::error(reference.span(), "`*` stands for all fields of a secret").help(form)]
    };
    if !reference.locator().ends_with('/') {
        return Err(wrong());
    }
    let field = parse(&reference.with_key("field"))?;
    let item: &Item = field.typed().ok_or_else(wrong)?;
    Ok(Locator::every(field.item(), "", item.clone()))
}

impl fmt::Display for Item {
    /// The path, its slashes unambiguous, and version or body: equal texts are the same read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.path.iter().enumerate() {
            let separator = if index == 0 { "" } else { "/" };
            write!(f, "{separator}{}", Encoded(segment))?;
        }
        if let Some(version) = self.version {
            write!(f, "?version={version}")?;
        }
        for (index, (name, value)) in self.body.iter().enumerate() {
            let separator = if index == 0 { '?' } else { '&' };
            write!(f, "{separator}{}={}", Encoded(name), Encoded(value))?;
        }
        Ok(())
    }
}

/// Text in which the marks between its neighbours stand for themselves.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['%', '/', '?', '&', '=']) {
            let (plain, marked) = rest.split_at(at);
            write!(f, "{plain}%{:02X}", marked.as_bytes()[0])?;
            rest = &marked[1..];
        }
        f.write_str(rest)
    }
}
