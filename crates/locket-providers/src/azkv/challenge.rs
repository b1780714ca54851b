//! What a vault answers to who shows no token: where to log in, and for what.

use locket_core::ProviderError;
use reqwest::Url;
use reqwest::header::WWW_AUTHENTICATE;

use crate::http::Response;

/// A challenge that fits the vault that gave it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Challenge {
    /// What tokens are for, such as `https://vault.azure.net`.
    pub(super) resource: String,
    /// The tenant that the vault is in.
    pub(super) tenant: Option<String>,
}

impl Challenge {
    /// The challenge in an answer of the vault at `host`.
    ///
    /// # Errors
    /// There is none, or it is for something else than vaults of this kind: whoever asks for a token for another service
    /// would get one to use there.
    pub(super) fn of(response: &Response, host: &str) -> Result<Self, ProviderError> {
        let none = || {
            ProviderError::unavailable(format!("{host} does not say how to log in: it is no key vault")).hint(
                "Check the name of the vault, `azkv.cloud`, and whether a proxy or a sign-in page stands between.",
            )
        };
        let header = response.header(&WWW_AUTHENTICATE).ok_or_else(none)?;
        let fields = header
            .trim()
            .strip_prefix("Bearer ")
            .or_else(|| header.trim().strip_prefix("bearer "))
            .ok_or_else(none)?;
        let field = |name: &str| {
            fields.split(',').find_map(|field| {
                let (key, value) = field.split_once('=')?;
                (key.trim() == name).then(|| value.trim().trim_matches('"'))
            })
        };
        let resource = field("resource").or_else(|| field("scope")?.strip_suffix("/.default"));
        let resource = resource.ok_or_else(none)?.trim_end_matches('/');
        let authority = field("authorization").or_else(|| field("authorization_uri"));
        let tenant = authority.and_then(|url| Url::parse(url).ok());
        let tenant = tenant.and_then(|url| Some(url.path_segments()?.next()?.to_owned()));
        let challenge = Self {
            resource: resource.to_owned(),
            tenant: tenant.filter(|tenant| !tenant.is_empty()),
        };
        match challenge.is_for(host) {
            true => Ok(challenge),
            false => Err(ProviderError::denied(format!(
                "{host} asks for a token for `{resource}`, which is no place that it belongs to"
            ))
            .hint("No token is sent there. Check the name of the vault's host: it may not be Microsoft's.")),
        }
    }

    /// Whether the vault's host lies below the host of the resource.
    fn is_for(&self, host: &str) -> bool {
        let Ok(resource) = Url::parse(&self.resource) else {
            return false;
        };
        let Some(domain) = resource.host_str().filter(|_| resource.scheme() == "https") else {
            return false;
        };
        let domain = match resource.port() {
            Some(port) => format!("{domain}:{port}"),
            None => domain.to_owned(),
        };
        host.to_ascii_lowercase()
            .strip_suffix(&domain)
            .is_some_and(|below| below.len() > 1 && below.ends_with('.'))
    }
}
