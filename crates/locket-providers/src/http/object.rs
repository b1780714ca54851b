//! The body of a request: a JSON object of texts, some of which are credentials.

use locket_core::{ProviderError, SecretBytes};
use serde::ser::{SerializeMap, Serializer};
use zeroize::Zeroizing;

/// One member of a request's body.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    /// A text that may be shown.
    Plain(&'a str),
    /// A credential.
    Secret(&'a SecretBytes),
}

/// A request's body: an object with these members, all of them texts.
///
/// # Errors
/// A credential is not text.
pub(crate) fn object<'a>(
    members: impl IntoIterator<Item = (&'a str, Member<'a>)>,
) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let members: Vec<_> = members
        .into_iter()
        .map(|(name, member)| Ok((name, member.text(name)?)))
        .collect::<Result<_, ProviderError>>()?;
    // Room for every byte escaped, so that growing leaves no copy behind.
    let room = members
        .iter()
        .map(|(name, text)| 6 * (name.len() + text.len()) + 8)
        .sum::<usize>();
    let mut body = Zeroizing::new(Vec::with_capacity(room + 2));
    let mut serializer = serde_json::Serializer::new(&mut *body);
    let written = serializer.serialize_map(Some(members.len())).and_then(|mut map| {
        for (name, text) in &members {
            map.serialize_entry(name, text)?;
        }
        map.end()
    });
    written.map_err(|_| ProviderError::invalid("the request cannot be written as JSON"))?;
    Ok(body)
}

impl<'a> Member<'a> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a credential goes to the server that issued it"
    )]
    fn text(self, name: &str) -> Result<&'a str, ProviderError> {
        match self {
            Self::Plain(text) => Ok(text),
            Self::Secret(secret) => std::str::from_utf8(secret.expose())
                .map_err(|_| ProviderError::auth(format!("the credential for `{name}` is not text"))),
        }
    }
}
