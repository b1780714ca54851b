//! A resource principal, version 2.2: the platform puts a token and its key into files, or into variables, and replaces
//! the files before the token ends.

use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBytes};

use super::given::key_id;
use super::{Identity, KeyRing, shown};
use crate::Credential;
use crate::http::{Authority, Grant, OnNewSource, Stamp};
use crate::oci::region::Region;
use crate::signing::{Claims, SigningKey};

/// What the platform gave.
#[derive(Debug)]
pub(super) struct ResourcePrincipal {
    pub(super) token: Credential,
    pub(super) key: Credential,
    pub(super) pass_phrase: Option<Credential>,
    pub(super) region: Option<Region>,
    pub(super) signing: KeyRing,
}

impl ResourcePrincipal {
    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let pass_phrase = Credential::read_if_given(self.pass_phrase.as_ref(), cx).await?;
        let text = self.key.read(cx).await?;
        #[expect(clippy::disallowed_methods, reason = "the key is read to sign with it")]
        let key = SigningKey::from_pem(text.expose(), pass_phrase.as_ref()).map_err(|error| {
            ProviderError::auth(format!("the key of the resource principal {error}")).hint(self.advice())
        })?;
        let token: SecretBytes = self.token.read(cx).await?;
        self.signing.put(key);
        let Some(claims) = Claims::of(&token) else {
            return Err(
                ProviderError::auth("the token of the resource principal is not a token").hint(self.advice()),
            );
        };
        let left = claims.left(cx.clock.wall());
        if left.is_zero() {
            return Err(ProviderError::auth(format!(
                "the token of the resource principal expired at {}",
                shown(claims.ends())
            ))
            .hint(self.advice()));
        }
        Ok(Grant::new(key_id(&token)).lasting(left))
    }
}

impl Authority for ResourcePrincipal {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        let files = [Some(&self.token), Some(&self.key), self.pass_phrase.as_ref()];
        let files = files.into_iter().flatten().filter_map(Credential::file);
        Box::pin(Stamp::of_each(files.collect(), cx))
    }

    fn on_new_source(&self) -> OnNewSource {
        OnNewSource::Replace
    }
}

impl Identity for ResourcePrincipal {
    fn key(&self) -> &KeyRing {
        &self.signing
    }

    fn region<'a>(&'a self, _: &'a FetchCx) -> BoxFuture<'a, Result<Option<Region>, ProviderError>> {
        Box::pin(async { Ok(self.region.clone()) })
    }

    fn advice(&self) -> String {
        "The platform writes key and token and replaces them in time: check that OCI_RESOURCE_PRINCIPAL_RPST and OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM name its files. A token in a variable itself cannot be replaced: restart the function or container."
            .to_owned()
    }

    fn subject(&self) -> &'static str {
        "dynamic-group GROUP"
    }
}
