//! `mount/path/field[?version=N]`, as both schemes write it.

use std::fmt;
use std::num::NonZeroU64;

use locket_core::{Diagnostic, Locator, Reference};

/// What one request reads: a path, mount included, and which version of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    /// Decoded and never empty; at least two, since a mount alone holds no secret.
    pub(super) path: Vec<String>,
    /// The latest unless given.
    pub(super) version: Option<NonZeroU64>,
}

/// Turns a reference into the item to read and the field to take from it.
///
/// # Errors
/// Something in the reference can never name a field.
pub(super) fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let span = reference.span();
    let form = format!("Write `{}://mount/path/field`.", reference.scheme());
    let wrong = |message: String| Diagnostic::error(span, message).help(form.clone());
    let mut found = reference.check_options(&["version"]).err().unwrap_or_default();

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
    if !found.is_empty() {
        return Err(found);
    }
    let field = path.pop().unwrap_or_default();
    let item = Item { path, version };
    Ok(Locator::new(item.to_string(), field, item))
}

impl fmt::Display for Item {
    /// The path, its slashes unambiguous, and the version: equal texts are the same read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, segment) in self.path.iter().enumerate() {
            let separator = if index == 0 { "" } else { "/" };
            write!(
                f,
                "{separator}{}",
                segment
                    .replace('%', "%25")
                    .replace('/', "%2F")
                    .replace('?', "%3F")
            )?;
        }
        match self.version {
            Some(version) => write!(f, "?version={version}"),
            None => Ok(()),
        }
    }
}
