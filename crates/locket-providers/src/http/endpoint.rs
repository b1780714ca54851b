//! The address of a server, and the paths under it.

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use reqwest::Url;

use crate::ConfigError;

/// What no path segment carries as it is (WHATWG, "path percent-encode set"), and what would end one.
const IN_SEGMENT: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'`')
    .add(b'{')
    .add(b'}')
    .add(b'/')
    .add(b'\\')
    .add(b'%');

/// A server's base address. Paths are built from segments, so that nothing in a name can leave its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Endpoint(Url);

impl Endpoint {
    /// Parses what the user gave in `setting`.
    ///
    /// # Errors
    /// The text is no `http://` or `https://` address, or carries a user, a query or a fragment.
    pub(crate) fn parse(setting: &str, text: &str) -> Result<Self, ConfigError> {
        const HINT: &str = "Write it like `https://secrets.example.com:8200`.";
        let wrong = |why: &str| ConfigError::new(format!("`{setting}` {why}"), HINT);
        let url = Url::parse(text.trim()).map_err(|_| wrong("is not an address"))?;
        if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
            return Err(wrong("is not an http:// or https:// address"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(wrong("carries a user name or password, which is not used"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(wrong("ends in a query or fragment"));
        }
        Ok(Self(url))
    }

    /// A server whose address was put together by a provider.
    pub(crate) fn of(url: Url) -> Self {
        Self(url)
    }

    /// The address of `segments` under this one, each percent-encoded as a single path segment.
    ///
    /// The caller has refused `.` and `..`, which no URL can carry as names.
    pub(crate) fn join<I: IntoIterator<Item = S>, S: AsRef<str>>(&self, segments: I) -> Url {
        let mut url = self.0.clone();
        let base = url.path();
        let mut path = base.strip_suffix('/').unwrap_or(base).to_owned();
        // Encoded here: the URL's own list of segments drops tabs and line breaks.
        for segment in segments {
            if matches!(segment.as_ref(), "." | "..") {
                continue;
            }
            path.push('/');
            path.extend(utf8_percent_encode(segment.as_ref(), IN_SEGMENT));
        }
        url.set_path(&path);
        url
    }
}
