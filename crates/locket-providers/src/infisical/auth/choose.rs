//! Which login the settings mean, and what in them contradicts it.

use std::sync::Arc;

use super::aws::Aws;
use super::login::{Login, Proof};
use super::signed::{Issuer, Signed};
use super::token::GivenToken;
use super::universal::Universal;
use crate::http::Authority;
use crate::infisical::client::Api;
use crate::{BuildCx, ConfigError};

/// Every login, as `auth` names it.
pub(in crate::infisical) const METHODS: &[&str] = &[
    "universal",
    "token",
    "kubernetes",
    "aws",
    "azure",
    "gcp",
    "oidc",
    "jwt",
];

/// The login that the settings describe.
///
/// # Errors
/// They describe none, or more than one, or lack something that the login needs.
pub(in crate::infisical) fn authority(
    cx: &BuildCx<'_>,
    api: Arc<Api>,
) -> Result<Box<dyn Authority>, ConfigError> {
    let proof: Box<dyn Proof> = match chosen(cx)? {
        "universal" => Box::new(Universal::new(cx)?),
        "kubernetes" => Box::new(Signed::new(cx, Issuer::Kubernetes)?),
        "oidc" => Box::new(Signed::new(cx, Issuer::Oidc)?),
        "jwt" => Box::new(Signed::new(cx, Issuer::Jwt)?),
        "azure" => Box::new(Signed::new(cx, Issuer::Azure)?),
        "gcp" => Box::new(Signed::new(cx, Issuer::Gcp)?),
        "aws" => Box::new(Aws::new(cx)?),
        _ => {
            let token = cx.settings.credential("token-file").ok_or_else(|| no_token(cx))?;
            return Ok(Box::new(GivenToken(token.clone())));
        }
    };
    Ok(Box::new(Login::new(api, proof)))
}

/// The identity that a login is for.
///
/// # Errors
/// None is set.
pub(super) fn identity(cx: &BuildCx<'_>, login: &str) -> Result<String, ConfigError> {
    let identity = cx
        .settings
        .text("identity-id")
        .map(str::trim)
        .filter(|id| !id.is_empty());
    identity.map(str::to_owned).ok_or_else(|| {
        ConfigError::new(
            format!("`{}` logs in by {login} and has no `identity-id`", cx.instance),
            "Set `infisical.identity-id` (or INFISICAL_IDENTITY_ID) to the id of the machine identity.",
        )
    })
}

/// The method that is set, or else the one whose credential is given.
fn chosen(cx: &BuildCx<'_>) -> Result<&'static str, ConfigError> {
    if let Some(given) = cx.settings.text("auth") {
        return METHODS
            .iter()
            .copied()
            .find(|name| *name == given)
            .ok_or_else(|| {
                let methods: Vec<_> = METHODS.iter().map(|name| format!("`{name}`")).collect();
                ConfigError::new(
                    format!("`{given}` in `auth` is no login method"),
                    format!("Set `infisical.auth` to one of {}.", methods.join(", ")),
                )
            });
    }
    let has = |name| cx.settings.text(name).is_some() || cx.settings.credential(name).is_some();
    match (has("client-id") || has("client-secret-file"), has("token-file")) {
        (true, false) => Ok("universal"),
        (false, true) => Ok("token"),
        (true, true) => Err(ConfigError::new(
            format!("`{}` has a client as well as a token", cx.instance),
            "Set `infisical.auth` to `universal` or `token` to say which one counts.",
        )),
        (false, false) if has("jwt-file") || has("identity-id") => Err(ConfigError::new(
            format!("`{}` has an identity, by which several logins go", cx.instance),
            "Set `infisical.auth` to `kubernetes`, `aws`, `azure`, `gcp`, `oidc` or `jwt`.",
        )),
        (false, false) => Err(no_token(cx)),
    }
}

fn no_token(cx: &BuildCx<'_>) -> ConfigError {
    ConfigError::new(
        format!("`{}` has no credential for Infisical", cx.instance),
        "Set `infisical.client-id` and `infisical.client-secret-file` of a machine identity, or INFISICAL_TOKEN to a token.",
    )
}
