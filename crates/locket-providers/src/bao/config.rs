//! What can be set, and what an instance is made of.

use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{Environment, Provider};

use crate::bao::auth::{AppRole, GivenToken};
use crate::bao::client::Api;
use crate::bao::locator;
use crate::bao::provider::Bao;
use crate::http::{Authority, Endpoint};
use crate::{BuildCx, ConfigError, ProviderKind, SchemeSpec, Setting, SettingKind};

/// OpenBao.
pub(crate) static BAO: ProviderKind = ProviderKind {
    name: "bao",
    title: "OpenBao",
    summary: "Secrets of an OpenBao server",
    schemes: &[SchemeSpec {
        name: "bao",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "bao",
    settings: settings!("BAO", "VAULT"),
    network: true,
    parse: locator::parse,
    build: |cx| build(cx, [".bao-token", ".vault-token"]),
};

/// HashiCorp Vault.
pub(crate) static VAULT: ProviderKind = ProviderKind {
    name: "vault",
    title: "HashiCorp Vault",
    summary: "Secrets of a HashiCorp Vault server",
    schemes: &[SchemeSpec {
        name: "vault",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "vault",
    settings: settings!("VAULT", "BAO"),
    network: true,
    parse: locator::parse,
    build: |cx| build(cx, [".vault-token", ".bao-token"]),
};

/// Every login method of the product; those that this version lacks are refused by name.
const METHODS: &[&str] = &["token", "approle", "userpass", "kubernetes", "jwt", "cert"];

/// The settings of both kinds, which differ in whose variables come first.
macro_rules! settings {
    ($first:literal, $second:literal) => {
        &[
            Setting {
                name: "url",
                env: &[concat!($first, "_ADDR"), concat!($second, "_ADDR")],
                kind: SettingKind::Text,
                summary: "Address of the server, like `https://secrets.example.com:8200`",
            },
            Setting {
                name: "namespace",
                env: &[concat!($first, "_NAMESPACE"), concat!($second, "_NAMESPACE")],
                kind: SettingKind::Text,
                summary: "Namespace that mounts and logins are in",
            },
            Setting {
                name: "auth",
                env: &[],
                kind: SettingKind::Choice(METHODS),
                summary: "How to log in; without it, with whatever is given",
            },
            Setting {
                name: "auth-mount",
                env: &[],
                kind: SettingKind::Text,
                summary: "Where the login method is mounted, if not under its own name",
            },
            Setting {
                name: "token-file",
                env: &[concat!($first, "_TOKEN"), concat!($second, "_TOKEN")],
                kind: SettingKind::Credential,
                summary: "Token to read with",
            },
            Setting {
                name: "role-id",
                env: &[concat!($first, "_ROLE_ID"), concat!($second, "_ROLE_ID")],
                kind: SettingKind::Text,
                summary: "Role of an AppRole login",
            },
            Setting {
                name: "secret-id-file",
                env: &[concat!($first, "_SECRET_ID"), concat!($second, "_SECRET_ID")],
                kind: SettingKind::Credential,
                summary: "Secret id of an AppRole login",
            },
            Setting {
                name: "ca-file",
                env: &[concat!($first, "_CACERT"), concat!($second, "_CACERT")],
                kind: SettingKind::Path,
                summary: "PEM file of certificate authorities to trust beside the bundled ones",
            },
            Setting {
                name: "client-cert-file",
                env: &[concat!($first, "_CLIENT_CERT"), concat!($second, "_CLIENT_CERT")],
                kind: SettingKind::Path,
                summary: "PEM certificate chain that the client shows",
            },
            Setting {
                name: "client-key-file",
                env: &[concat!($first, "_CLIENT_KEY"), concat!($second, "_CLIENT_KEY")],
                kind: SettingKind::Path,
                summary: "PEM private key of the client certificate",
            },
        ]
    };
}
use settings;

/// A login method of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Method {
    Token,
    AppRole,
}

fn build(cx: &BuildCx<'_>, home_files: [&str; 2]) -> Result<Arc<dyn Provider>, ConfigError> {
    let Some(url) = cx.settings.text("url") else {
        return Err(ConfigError::new(
            format!("`{}` has no server: its `url` is not set", cx.instance),
            "Set `url`, BAO_ADDR or VAULT_ADDR to an address like `https://secrets.example.com:8200`.",
        ));
    };
    let api = Arc::new(Api::new(
        crate::http::Client::new(cx)?,
        Endpoint::parse("url", url)?,
        cx.settings.text("namespace"),
    ));
    let authority: Box<dyn Authority> = match method(cx)? {
        Method::Token => Box::new(given_token(cx, home_files)),
        Method::AppRole => Box::new(AppRole::new(cx, api.clone())?),
    };
    Ok(Arc::new(Bao::new(api, authority)))
}

/// The login method that is set, or else the one whose credential is given.
fn method(cx: &BuildCx<'_>) -> Result<Method, ConfigError> {
    let has_token = cx.settings.credential("token-file").is_some();
    let has_role = cx.settings.text("role-id").is_some();
    match cx.settings.text("auth") {
        Some("token") => Ok(Method::Token),
        Some("approle") => Ok(Method::AppRole),
        Some(other) if METHODS.contains(&other) => Err(ConfigError::new(
            format!("this version of locket cannot log in by `{other}`"),
            "Set `auth` to `token` or `approle`.",
        )),
        Some(other) => Err(ConfigError::new(
            format!("`{other}` in `auth` is no login method"),
            "Set `auth` to `token` or `approle`.",
        )),
        None if has_token && has_role => Err(ConfigError::new(
            format!("`{}` has a token as well as an AppRole", cx.instance),
            "Set `auth` to `token` or `approle` to say which one counts.",
        )),
        None if has_role => Ok(Method::AppRole),
        None => Ok(Method::Token),
    }
}

fn given_token(cx: &BuildCx<'_>, home_files: [&str; 2]) -> GivenToken {
    match cx.settings.credential("token-file") {
        Some(credential) => GivenToken::Set(credential.clone()),
        None => GivenToken::Home(home_paths(cx.environment, home_files)),
    }
}

fn home_paths(environment: &Environment, names: [&str; 2]) -> Vec<std::path::PathBuf> {
    let Some(home) = environment.get_os("HOME").filter(|home| !home.is_empty()) else {
        return Vec::new();
    };
    names
        .iter()
        .map(|name| std::path::Path::new(home).join(name))
        .collect()
}
