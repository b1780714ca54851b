//! A key that somebody put on this machine: a user's API key, or the key of a session with its token.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBuilder, SecretBytes};

use super::{Identity, KeyRing, shown};
use crate::Credential;
use crate::http::{Authority, Grant, OnNewSource, Stamp};
use crate::oci::profile::{Profile, ProfileFile};
use crate::oci::region::{Region, Regions};
use crate::signing::{Claims, SigningKey};

/// What the settings say, and what a profile says where they do not.
#[derive(Debug)]
pub(super) struct Given {
    pub(super) kind: Kind,
    pub(super) file: Option<ProfileFile>,
    pub(super) tenancy: Option<String>,
    pub(super) user: Option<String>,
    pub(super) fingerprint: Option<String>,
    pub(super) key: Option<Credential>,
    pub(super) pass_phrase: Option<Credential>,
    pub(super) token: Option<Credential>,
    pub(super) base_dir: PathBuf,
    pub(super) regions: Regions,
    pub(super) signing: KeyRing,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ApiKey,
    Session,
    /// A session where a token is given, else an API key.
    Either,
}

impl Given {
    async fn profile(&self, cx: &FetchCx) -> Result<Option<Arc<Profile>>, ProviderError> {
        match &self.file {
            Some(file) => file.profile(cx).await.map(Some),
            None => Ok(None),
        }
    }

    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let profile = self.profile(cx).await?;
        let profile = profile.as_deref();
        let key = self.key(profile).ok_or_else(|| self.lacks("key_file"))?;
        self.signing.put(self.load(&key, profile, cx).await?);
        let token = self.token(profile);
        match (self.kind, token) {
            (Kind::Session | Kind::Either, Some(token)) => self.session(&token, cx).await,
            (Kind::Session, None) => Err(self.lacks("security_token_file")),
            (Kind::ApiKey | Kind::Either, _) => self.api_key(profile),
        }
    }

    fn api_key(&self, profile: Option<&Profile>) -> Result<Grant, ProviderError> {
        let of = |own: &Option<String>, inherited: fn(&Profile) -> &Option<String>, name: &str| {
            let found = own.clone().or_else(|| inherited(profile?).clone());
            found.ok_or_else(|| self.lacks(name))
        };
        let tenancy = of(&self.tenancy, |profile| &profile.tenancy, "tenancy")?;
        let user = of(&self.user, |profile| &profile.user, "user")?;
        let fingerprint = of(&self.fingerprint, |profile| &profile.fingerprint, "fingerprint")?;
        let id = format!("{}/{}/{}", tenancy.trim(), user.trim(), fingerprint.trim());
        Ok(Grant::new(SecretBytes::new(id.into_bytes())))
    }

    async fn session(&self, token: &Credential, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let token = token.read(cx).await?;
        let Some(claims) = Claims::of(&token) else {
            return Ok(Grant::new(key_id(&token)));
        };
        let left = claims.left(cx.clock.wall());
        if left.is_zero() {
            return Err(ProviderError::auth(format!(
                "the session token expired at {}",
                shown(claims.ends())
            ))
            .hint(self.advice()));
        }
        Ok(Grant::new(key_id(&token)).lasting(left))
    }

    async fn load(
        &self,
        key: &Credential,
        profile: Option<&Profile>,
        cx: &FetchCx,
    ) -> Result<SigningKey, ProviderError> {
        let text = key.read(cx).await?;
        let given = Credential::read_if_given(self.pass_phrase.as_ref(), cx).await?;
        let pass_phrase = given.as_ref().or_else(|| profile?.pass_phrase.as_ref());
        #[expect(clippy::disallowed_methods, reason = "the key is read to sign with it")]
        let loaded = SigningKey::from_pem(text.expose(), pass_phrase);
        loaded.map_err(|error| {
            let place = match key {
                Credential::File(path) => format!("the API key {}", path.display()),
                Credential::Value(_) => "the API key".to_owned(),
            };
            ProviderError::auth(format!("{place} {error}")).hint(error.hint())
        })
    }

    fn key(&self, profile: Option<&Profile>) -> Option<Credential> {
        let named = |profile: &Profile| self.file_at(profile.key_file.as_deref()?);
        self.key.clone().or_else(|| profile.and_then(named))
    }

    fn token(&self, profile: Option<&Profile>) -> Option<Credential> {
        let named = |profile: &Profile| self.file_at(profile.security_token_file.as_deref()?);
        self.token.clone().or_else(|| profile.and_then(named))
    }

    fn file_at(&self, path: &Path) -> Option<Credential> {
        Some(Credential::File(self.base_dir.join(path)))
    }

    fn lacks(&self, name: &str) -> ProviderError {
        let setting = match name {
            "security_token_file" => "security-token-file".to_owned(),
            name => name.replace('_', "-"),
        };
        match &self.file {
            Some(file) => ProviderError::auth(format!(
                "the profile `{}` in {} has no `{name}`",
                file.name(),
                file.path.display()
            ))
            .hint(format!("Add it there, or set `oci.{setting}`.")),
            None => ProviderError::auth(format!("there is no `{name}` to sign requests with")).hint(format!(
                "Set `oci.{setting}`, or make a configuration with `oci setup config`."
            )),
        }
    }

    fn is_session(&self) -> bool {
        let profile = self.file.as_ref().and_then(ProfileFile::known);
        self.kind != Kind::ApiKey && self.token(profile.as_deref()).is_some()
    }
}

/// How a token is named as a key.
#[expect(
    clippy::disallowed_methods,
    reason = "the token names the key that requests are signed with"
)]
pub(super) fn key_id(token: &SecretBytes) -> SecretBytes {
    let mut id = SecretBuilder::with_capacity(3 + token.len());
    id.extend(b"ST$");
    id.extend(token.expose());
    id.finish()
}

impl Authority for Given {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        Box::pin(async {
            // A profile that cannot be read is for the login to tell.
            let profile = self.profile(cx).await.ok().flatten();
            let profile = profile.as_deref();
            let files = [self.key(profile), self.token(profile), self.pass_phrase.clone()];
            let config = self.file.iter().map(|file| file.path.clone());
            let files = files.iter().flatten().filter_map(Credential::file);
            Stamp::of_each(config.chain(files).collect(), cx).await
        })
    }

    fn on_new_source(&self) -> OnNewSource {
        OnNewSource::Replace
    }
}

impl Identity for Given {
    fn key(&self) -> &KeyRing {
        &self.signing
    }

    fn region<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Option<Region>, ProviderError>> {
        Box::pin(async {
            let profile = self.profile(cx).await?;
            let text = profile.as_ref().and_then(|profile| profile.region.as_deref());
            Ok(text.and_then(|text| self.regions.find(text, None)))
        })
    }

    fn advice(&self) -> String {
        if self.is_session() {
            let profile = self.file.as_ref().map_or("DEFAULT", ProfileFile::name);
            return format!(
                "Make a new one with `oci session authenticate`, or keep it alive with `oci session refresh --profile {profile}`."
            );
        }
        "Check that the public half of the key is registered with the user, that `fingerprint`, `user` and `tenancy` are those that the console shows beside it, and that the user is not blocked."
            .to_owned()
    }

    fn subject(&self) -> &'static str {
        "group GROUP"
    }
}
