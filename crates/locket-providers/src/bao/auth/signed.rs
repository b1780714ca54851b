//! Two logins by a signed token that somebody else puts into a file: Kubernetes, where the server asks the cluster
//! whether the token of a service account counts, and JWT, where it verifies the signature itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::{BoxFuture, FetchCx, ProviderError};
use zeroize::Zeroizing;

use super::login::Method;
use crate::bao::client::Api;
use crate::bao::wire::{self, Member};
use crate::{BuildCx, ConfigError, Credential};

/// Where a pod finds the token of its service account.
pub(in crate::bao) const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A signed token and the role that it is for.
#[derive(Debug)]
pub(super) struct Signed {
    issuer: Issuer,
    /// Absent for the default role of a JWT mount.
    role: Option<String>,
    jwt: Credential,
}

/// Whose tokens they are.
#[derive(Clone, Copy, Debug)]
enum Issuer {
    Kubernetes,
    Other,
}

impl Signed {
    /// A service account of Kubernetes.
    ///
    /// # Errors
    /// There is no role.
    pub(super) fn kubernetes(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let Some(role) = cx.settings.text("role") else {
            return Err(ConfigError::new(
                format!("`{}` logs in by Kubernetes and has no `role`", cx.instance),
                "Set `role`; `bao list auth/kubernetes/role` prints the names.",
            ));
        };
        let account = || Credential::File(Path::new(SERVICE_ACCOUNT).to_owned());
        Ok(Self {
            issuer: Issuer::Kubernetes,
            role: Some(role.to_owned()),
            jwt: cx
                .settings
                .credential("jwt-file")
                .cloned()
                .unwrap_or_else(account),
        })
    }

    /// A token of any other issuer.
    ///
    /// # Errors
    /// There is no token.
    pub(super) fn jwt(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let Some(jwt) = cx.settings.credential("jwt-file") else {
            return Err(ConfigError::new(
                format!("`{}` logs in by JWT and has no `jwt-file`", cx.instance),
                "Set `jwt-file` to the file that the issuer keeps the token in.",
            ));
        };
        Ok(Self {
            issuer: Issuer::Other,
            role: cx.settings.text("role").map(str::to_owned),
            jwt: jwt.clone(),
        })
    }
}

impl Method for Signed {
    fn name(&self) -> &'static str {
        match self.issuer {
            Issuer::Kubernetes => "Kubernetes",
            Issuer::Other => "JWT",
        }
    }

    fn body<'a>(
        &'a self,
        _: &'a Arc<Api>,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>> {
        Box::pin(async {
            let jwt = self.jwt.read(cx).await?;
            let role = self.role.as_deref().map(|role| ("role", Member::Plain(role)));
            wire::object([("jwt", Member::Secret(&jwt))].into_iter().chain(role))
        })
    }

    fn advice(&self) -> String {
        match self.issuer {
            Issuer::Kubernetes => "Check `role`, `auth-mount` and `namespace`, which service accounts and namespaces of the cluster the role is bound to, and whether the server may review tokens of the cluster.",
            Issuer::Other => "Check `role`, `auth-mount` and `namespace`, whether the token in `jwt-file` has expired, and the audience, subject and claims that the role is bound to.",
        }
        .to_owned()
    }

    fn source(&self) -> Vec<PathBuf> {
        self.jwt.file().into_iter().collect()
    }
}
