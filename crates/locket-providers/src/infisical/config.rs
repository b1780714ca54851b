//! What can be set, and what an instance is made of.

use std::sync::Arc;

use locket_core::schemes::Fragment;
use locket_core::{Provider, Reach};

use super::auth::{self, METHODS};
use super::client::Api;
use super::provider::{Defaults, Infisical};
use super::reference::{self, SHARINGS, Sharing, folder_path};
use super::session::Session;
use crate::http::{Client, Endpoint};
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec, Setting, SettingKind};

/// Infisical.
pub(crate) static KIND: ProviderKind = ProviderKind {
    name: "infisical",
    title: "Infisical",
    summary: "Reads secrets of Infisical, its cloud or a server of your own",
    facts: Facts {
        logins: METHODS,
        batching: "one folder",
        versions: "",
        leases: "",
        verified: "the official clients, with an emulator",
        daily_budget: None,
    },
    schemes: &[SchemeSpec {
        name: "infisical",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "infisical",
    settings: &[
        Setting {
            name: "url",
            env: &["INFISICAL_URL", "INFISICAL_API_URL"],
            kind: SettingKind::Text,
            summary: "Address of the server; without it, `https://app.infisical.com`",
        },
        Setting {
            name: "auth",
            env: &["INFISICAL_AUTH"],
            kind: SettingKind::Choice(METHODS),
            summary: "How to log in; without it, with whatever is given",
        },
        Setting {
            name: "client-id",
            env: &["INFISICAL_CLIENT_ID", "INFISICAL_UNIVERSAL_AUTH_CLIENT_ID"],
            kind: SettingKind::Text,
            summary: "Client id of a machine identity, for universal auth",
        },
        Setting {
            name: "client-secret-file",
            env: &[
                "INFISICAL_CLIENT_SECRET",
                "INFISICAL_UNIVERSAL_AUTH_CLIENT_SECRET",
            ],
            kind: SettingKind::Credential,
            summary: "Client secret of a machine identity, for universal auth",
        },
        Setting {
            name: "token-file",
            env: &["INFISICAL_TOKEN"],
            kind: SettingKind::Credential,
            summary: "Access token to read with",
        },
        Setting {
            name: "identity-id",
            env: &["INFISICAL_IDENTITY_ID", "INFISICAL_MACHINE_IDENTITY_ID"],
            kind: SettingKind::Text,
            summary: "Id of the machine identity, for every login but universal auth",
        },
        Setting {
            name: "jwt-file",
            env: &["INFISICAL_JWT"],
            kind: SettingKind::Credential,
            summary: "Signed token of a Kubernetes, OIDC, JWT, Azure or Google Cloud login; for Kubernetes, unless given, the pod's service account, for the clouds their metadata server",
        },
        Setting {
            name: "default-project-id",
            env: &["INFISICAL_DEFAULT_PROJECT_ID", "INFISICAL_PROJECT_ID"],
            kind: SettingKind::Text,
            summary: "Project of references without `project_id`",
        },
        Setting {
            name: "default-environment",
            env: &["INFISICAL_DEFAULT_ENVIRONMENT"],
            kind: SettingKind::Text,
            summary: "Slug of the environment of references without `env`",
        },
        Setting {
            name: "default-path",
            env: &["INFISICAL_DEFAULT_PATH"],
            kind: SettingKind::Text,
            summary: "Folder of references without `path`; without it, `/`",
        },
        Setting {
            name: "default-secret-type",
            env: &["INFISICAL_DEFAULT_SECRET_TYPE"],
            kind: SettingKind::Choice(SHARINGS),
            summary: "Type of references without `type`; without it, `shared`",
        },
    ],
    network: true,
    named_only: false,
    runs_programs: false,
    touches,
    parse: reference::parse,
    parse_every: Some(reference::parse_every),
    build,
};

/// Tokens of logins that nobody named.
fn touches(cx: &BuildCx<'_>) -> Reach {
    let file = match cx.settings.text("auth") {
        Some("kubernetes") => Some(auth::SERVICE_ACCOUNT),
        Some("aws") => cx.environment.get(auth::AWS_TOKEN_FILE),
        _ => None,
    };
    Reach::of_files(file.map(Into::into))
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let api = Arc::new(Api::new(Client::new(cx)?, endpoint(cx)?));
    let authority = auth::authority(cx, api.clone())?;
    let session = Session::new(api, authority, cx.settings.count("max-concurrent")?);
    Ok(Arc::new(Infisical::new(session, defaults(cx)?)))
}

fn endpoint(cx: &BuildCx<'_>) -> Result<Endpoint, ConfigError> {
    let url = cx
        .settings
        .text("url")
        .map_or("https://app.infisical.com", str::trim);
    // What the vendor's own program is given ends like that.
    let url = url.trim_end_matches('/');
    Endpoint::parse("infisical.url", url.strip_suffix("/api").unwrap_or(url))
}

fn defaults(cx: &BuildCx<'_>) -> Result<Defaults, ConfigError> {
    let text = |name| {
        cx.settings
            .text(name)
            .map(str::trim)
            .filter(|text| !text.is_empty())
    };
    let path = text("default-path").unwrap_or("/");
    let sharing = text("default-secret-type").unwrap_or("shared");
    Ok(Defaults {
        project: text("default-project-id").map(str::to_owned),
        environment: text("default-environment").map(str::to_owned),
        path: folder_path(path).ok_or_else(|| {
            ConfigError::new(
                format!("`{path}` in `default-path` is not a path of folders"),
                "Write it like `/app/db`.",
            )
        })?,
        sharing: Sharing::parse(sharing).ok_or_else(|| {
            ConfigError::new(
                format!("`{sharing}` in `default-secret-type` is no type of secret"),
                "Write `shared` or `personal`.",
            )
        })?,
    })
}
