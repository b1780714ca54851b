//! Logins by a token that somebody else has signed: Kubernetes, OIDC, JWT, Azure, Google Cloud.

use std::path::{Path, PathBuf};

use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBytes};
use zeroize::Zeroizing;

use super::choose::identity;
use super::login::Proof;
use super::metadata::Metadata;
use crate::http::{Member, object};
use crate::{BuildCx, ConfigError, Credential};

/// Where a pod finds the token of its service account.
pub(in crate::infisical) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A signed token and the identity that it is for.
#[derive(Debug)]
pub(super) struct Signed {
    issuer: Issuer,
    identity: String,
    jwt: Jwt,
}

/// Whose tokens they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Issuer {
    Kubernetes,
    Oidc,
    Jwt,
    Azure,
    Gcp,
}

/// Where the token comes from.
#[derive(Debug)]
enum Jwt {
    Given(Credential),
    Asked(Box<Metadata>),
}

impl Signed {
    /// A login with tokens of `issuer`, as the settings describe it.
    ///
    /// # Errors
    /// The identity or the token is missing.
    pub(super) fn new(cx: &BuildCx<'_>, issuer: Issuer) -> Result<Self, ConfigError> {
        let given = cx.settings.credential("jwt-file").cloned();
        let jwt = match (given, issuer) {
            (Some(given), _) => Jwt::Given(given),
            (None, Issuer::Kubernetes) => Jwt::Given(Credential::File(Path::new(SERVICE_ACCOUNT).to_owned())),
            (None, Issuer::Azure) => Jwt::Asked(Box::new(Metadata::azure(cx)?)),
            (None, Issuer::Gcp) => Jwt::Asked(Box::new(Metadata::gcp(cx)?)),
            (None, Issuer::Oidc | Issuer::Jwt) => {
                return Err(ConfigError::new(
                    format!(
                        "`{}` logs in by {} and has no `jwt-file`",
                        cx.instance,
                        issuer.name()
                    ),
                    "Set `infisical.jwt-file` to the file that your identity provider puts its token into, or INFISICAL_JWT to the token.",
                ));
            }
        };
        Ok(Self {
            issuer,
            identity: identity(cx, issuer.name())?,
            jwt,
        })
    }

    async fn jwt(&self, cx: &FetchCx) -> Result<SecretBytes, ProviderError> {
        match &self.jwt {
            Jwt::Given(credential) => credential.read(cx).await,
            Jwt::Asked(metadata) => metadata.token(&self.identity, cx).await,
        }
    }
}

impl Issuer {
    fn name(self) -> &'static str {
        match self {
            Self::Kubernetes => "Kubernetes",
            Self::Oidc => "OIDC",
            Self::Jwt => "JWT",
            Self::Azure => "Azure",
            Self::Gcp => "Google Cloud",
        }
    }
}

impl Proof for Signed {
    fn name(&self) -> &'static str {
        self.issuer.name()
    }

    fn path(&self) -> &'static str {
        match self.issuer {
            Issuer::Kubernetes => "kubernetes-auth",
            Issuer::Oidc => "oidc-auth",
            Issuer::Jwt => "jwt-auth",
            Issuer::Azure => "azure-auth",
            Issuer::Gcp => "gcp-auth",
        }
    }

    fn body<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>> {
        Box::pin(async move {
            let jwt = self.jwt(cx).await?;
            object([
                ("identityId", Member::Plain(&self.identity)),
                ("jwt", Member::Secret(&jwt)),
            ])
        })
    }

    fn advice(&self) -> &'static str {
        match self.issuer {
            Issuer::Kubernetes => {
                "Check `infisical.identity-id`, and in the identity's Kubernetes auth the allowed namespaces, service \
                 accounts and audience; a token in `infisical.jwt-file` may have expired."
            }
            Issuer::Oidc | Issuer::Jwt => {
                "Check `infisical.identity-id`, and that issuer, subject, audience and end of the token in \
                 `infisical.jwt-file` are what the identity's login expects; a wrong clock makes a token end early."
            }
            Issuer::Azure => {
                "Check `infisical.identity-id`, and in the identity's Azure auth the tenant, the resource and the \
                 allowed service principals."
            }
            Issuer::Gcp => {
                "Check `infisical.identity-id`, and in the identity's Google Cloud auth the type (`GCP ID Token Auth`), \
                 the allowed service accounts, projects and zones."
            }
        }
    }

    fn source(&self) -> Vec<PathBuf> {
        match &self.jwt {
            Jwt::Given(credential) => credential.file().into_iter().collect(),
            Jwt::Asked(_) => Vec::new(),
        }
    }
}
