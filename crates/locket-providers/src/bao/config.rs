//! What can be set, and what an instance is made of.

use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{Provider, Reach};

use crate::bao::auth::{self, METHODS};
use crate::bao::client::Api;
use crate::bao::locator;
use crate::bao::provider::Bao;
use crate::http::Endpoint;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec, Setting, SettingKind};

/// OpenBao.
pub(crate) static BAO: ProviderKind = ProviderKind {
    name: "bao",
    title: "OpenBao",
    summary: "Secrets of an OpenBao server",
    facts: Facts {
        verified: "the real server",
        ..FACTS
    },
    schemes: &[SchemeSpec {
        name: "bao",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "bao",
    settings: settings!("BAO", "VAULT"),
    network: true,
    named_only: false,
    runs_programs: false,
    touches: |cx| touches(cx, [".bao-token", ".vault-token"]),
    parse: locator::parse,
    parse_every: Some(locator::parse_every),
    build: |cx| build(cx, [".bao-token", ".vault-token"]),
};

/// HashiCorp Vault.
pub(crate) static VAULT: ProviderKind = ProviderKind {
    name: "vault",
    title: "HashiCorp Vault",
    summary: "Secrets of a HashiCorp Vault server",
    facts: Facts {
        verified: "the real server of OpenBao",
        ..FACTS
    },
    schemes: &[SchemeSpec {
        name: "vault",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "vault",
    settings: settings!("VAULT", "BAO"),
    network: true,
    named_only: false,
    runs_programs: false,
    touches: |cx| touches(cx, [".vault-token", ".bao-token"]),
    parse: locator::parse,
    parse_every: Some(locator::parse_every),
    build: |cx| build(cx, [".vault-token", ".bao-token"]),
};

const FACTS: Facts = Facts {
    logins: METHODS,
    batching: "one path",
    versions: "`?version=N` (KV v2)",
    leases: "renewed, and revoked at the end",
    verified: "",
    daily_budget: None,
};

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
                name: "secret-id-wrapped",
                env: &[],
                kind: SettingKind::Choice(&["true", "false"]),
                summary: "Whether the secret id's file holds a response-wrapping token, which opens once",
            },
            Setting {
                name: "role",
                env: &[],
                kind: SettingKind::Text,
                summary: "Role of a Kubernetes, JWT or certificate login; of an AppRole login the name that a wrapped secret id must be of",
            },
            Setting {
                name: "username",
                env: &[],
                kind: SettingKind::Text,
                summary: "User of a userpass login",
            },
            Setting {
                name: "password-file",
                env: &[],
                kind: SettingKind::Credential,
                summary: "Password of a userpass login",
            },
            Setting {
                name: "jwt-file",
                env: &[],
                kind: SettingKind::Credential,
                summary: "Signed token of a Kubernetes or JWT login; for Kubernetes, unless given, the pod's service account",
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
                kind: SettingKind::CredentialPath,
                summary: "PEM private key of the client certificate",
            },
        ]
    };
}
use settings;

/// Credentials that nobody named. The token in the user's home stands alone: a home holds more than its owner wants to
/// share.
fn touches(cx: &BuildCx<'_>, home_files: [&str; 2]) -> Reach {
    if cx.settings.text("url").is_none() {
        return Reach::default();
    }
    Reach {
        fixed: auth::home_paths(cx.environment, home_files),
        files: vec![auth::SERVICE_ACCOUNT.into()],
        ..Reach::default()
    }
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
    let authority = auth::authority(cx, api.clone(), home_files)?;
    Ok(Arc::new(Bao::new(api, authority)))
}
