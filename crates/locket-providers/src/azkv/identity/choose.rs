//! Which way the settings mean, and what it is made of.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::Reach;

use super::Identity;
use super::cli::Cli;
use super::entra::{Entra, Proof};
use super::managed::{Host, Managed};
use crate::azkv::cloud::Cloud;
use crate::http::{Client, Endpoint};
use crate::{BuildCx, ConfigError};

/// Every way, as `auth` names it.
pub(in crate::azkv) const METHODS: &[&str] = &[
    "client-secret",
    "client-certificate",
    "workload-identity",
    "managed-identity",
    "cli",
];

/// Where the metadata service of a machine is.
const IMDS: &str = "http://169.254.169.254";
/// Where Azure Arc's agent keeps the files that prove who may have a token.
const ARC_KEYS: &str = "/var/opt/azcmagent/tokens";

/// As whom the settings say to read.
///
/// # Errors
/// They lack something, or contradict themselves.
pub(in crate::azkv) fn identity(cx: &BuildCx<'_>, cloud: Cloud) -> Result<Identity, ConfigError> {
    let path = |name| cx.settings.path(name, cx.base_dir);
    let lacks = |what: &str, way: &str| {
        ConfigError::new(
            format!("`{}` logs in by {way} and has no `{what}`", cx.instance),
            format!("Set `azkv.{what}`, or another `azkv.auth`."),
        )
    };
    let way = way(cx)?;
    let proof = match way {
        "client-secret" => {
            let secret = cx.settings.credential("client-secret-file").cloned();
            Proof::Secret(secret.ok_or_else(|| lacks("client-secret-file", way))?)
        }
        "client-certificate" => Proof::Certificate {
            file: path("certificate-file").ok_or_else(|| lacks("certificate-file", way))?,
            pass_phrase: cx.settings.credential("certificate-password-file").cloned(),
        },
        "workload-identity" => {
            Proof::Federated(path("federated-token-file").ok_or_else(|| lacks("federated-token-file", way))?)
        }
        "managed-identity" => return managed(cx).map(|managed| Identity::Managed(Arc::new(managed))),
        _ => {
            return Ok(Identity::Cli(Arc::new(Cli {
                program: program(cx).unwrap_or_else(|| "az".into()).into(),
                environment: cx
                    .environment
                    .iter()
                    .map(|(name, value)| (name.to_owned(), value.to_owned()))
                    .collect(),
                tenant: cx.settings.text("tenant-id").map(str::to_owned),
            })));
        }
    };
    let client_id = cx
        .settings
        .text("client-id")
        .ok_or_else(|| lacks("client-id", way))?;
    let authority = cx.settings.text("authority-host");
    let authority = match authority {
        // Microsoft's own clients take a host alone, too.
        Some(host) if !host.contains("://") => format!("https://{host}"),
        Some(url) => url.to_owned(),
        None => cloud.authority.to_owned(),
    };
    Ok(Identity::Entra(Arc::new(Entra {
        http: Client::new(cx)?,
        authority: Endpoint::parse("azkv.authority-host", &authority)?,
        tenant: cx.settings.text("tenant-id").map(str::to_owned),
        client_id: client_id.trim().to_owned(),
        proof,
    })))
}

/// What the ways touch of this machine, beside the files that settings name.
pub(in crate::azkv) fn touched(cx: &BuildCx<'_>) -> Reach {
    match way(cx) {
        Ok("cli") => Reach {
            runs_programs: true,
            ..Reach::default()
        },
        Ok("managed-identity") if is_arc(cx) => Reach {
            fixed: vec![ARC_KEYS.into()],
            ..Reach::default()
        },
        _ => Reach::default(),
    }
}

/// The way that is set, or else the one that something is given for.
fn way(cx: &BuildCx<'_>) -> Result<&'static str, ConfigError> {
    if let Some(given) = cx.settings.text("auth") {
        let found = METHODS
            .iter()
            .copied()
            .find(|way| *way == given.trim().replace('_', "-"));
        return found.ok_or_else(|| {
            ConfigError::new(
                format!("`{given}` in `auth` is no way to log in"),
                format!("Set `azkv.auth` to {}.", METHODS.join(", ")),
            )
        });
    }
    let has = |name| cx.settings.text(name).is_some() || cx.settings.credential(name).is_some();
    Ok(match () {
        () if has("client-secret-file") => "client-secret",
        () if has("certificate-file") => "client-certificate",
        () if has("federated-token-file") => "workload-identity",
        () if has("identity-endpoint") => "managed-identity",
        () if is_logged_in(cx) && program(cx).is_some() => "cli",
        () => "managed-identity",
    })
}

fn managed(cx: &BuildCx<'_>) -> Result<Managed, ConfigError> {
    let direct = cx.settings.clone().with("proxy", "none");
    let endpoint = cx.settings.text("identity-endpoint");
    let header = cx.settings.credential("identity-header-file").cloned();
    let imds = cx.settings.text("imds-endpoint").unwrap_or(IMDS);
    let host = match (endpoint, header) {
        (Some(endpoint), Some(header)) => Host::AppService {
            endpoint: Endpoint::parse("azkv.identity-endpoint", endpoint)?,
            header,
        },
        (Some(endpoint), None) if is_arc(cx) => Host::Arc {
            endpoint: Endpoint::parse("azkv.identity-endpoint", endpoint)?,
            keys: ARC_KEYS.into(),
        },
        (Some(_), None) => {
            return Err(ConfigError::new(
                format!(
                    "`{}` has an `identity-endpoint` and nothing to show there",
                    cx.instance
                ),
                "App Service sets IDENTITY_HEADER beside IDENTITY_ENDPOINT, Azure Arc IMDS_ENDPOINT: pass both on.",
            ));
        }
        (None, _) => Host::Imds(Endpoint::parse("azkv.imds-endpoint", imds)?),
    };
    Ok(Managed {
        local: Client::new(&BuildCx {
            settings: &direct,
            ..*cx
        })?,
        client_id: cx.settings.text("client-id").map(str::to_owned),
        host,
    })
}

/// Azure Arc's agent announces itself by both variables and no word.
fn is_arc(cx: &BuildCx<'_>) -> bool {
    cx.environment.get("IMDS_ENDPOINT").is_some() && cx.settings.credential("identity-header-file").is_none()
}

/// Whether the Azure CLI keeps a login in the user's home.
fn is_logged_in(cx: &BuildCx<'_>) -> bool {
    let set = cx.environment.get_os("AZURE_CONFIG_DIR").map(PathBuf::from);
    let home = || Some(Path::new(cx.environment.get_os("HOME")?).join(".azure"));
    set.or_else(home)
        .is_some_and(|directory| directory.join("azureProfile.json").exists())
}

/// The Azure CLI on the search path.
fn program(cx: &BuildCx<'_>) -> Option<PathBuf> {
    let path = cx.environment.get_os("PATH")?;
    let found = |directory: PathBuf| Some(directory.join("az")).filter(|program| program.is_file());
    std::env::split_paths(path)
        .filter(|directory| directory.is_absolute())
        .find_map(found)
}
