//! Which way the settings mean, and what it is made of.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use locket_core::{Environment, Reach};

use super::given::{Given, Kind};
use super::instance::Instance;
use super::resource::ResourcePrincipal;
use super::{Identity, KeyRing};
use crate::http::{Client, Endpoint};
use crate::oci::profile::ProfileFile;
use crate::oci::region::Regions;
use crate::{BuildCx, ConfigError, Credential};

/// Every way, as `auth` names it; the last is what Oracle's own programs call a session.
pub(in crate::oci) const METHODS: &[&str] = &[
    "instance-principal",
    "resource-principal",
    "api-key",
    "session",
    "security-token",
];

/// Where the metadata service of an instance is.
const METADATA: &str = "http://169.254.169.254/opc/v2";

/// The variables of a resource principal, each with its setting. They hold a path, or what would be in the file.
const TOKEN: (&str, &str) = ("resource-token-file", "OCI_RESOURCE_PRINCIPAL_RPST");
const KEY: (&str, &str) = ("resource-key-file", "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM");
const PASS_PHRASE: (&str, &str) = (
    "resource-pass-phrase-file",
    "OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE",
);
const VERSION: &str = "OCI_RESOURCE_PRINCIPAL_VERSION";

/// As whom the settings say to sign.
///
/// # Errors
/// They lack something, or contradict themselves.
pub(in crate::oci) fn identity(cx: &BuildCx<'_>) -> Result<Box<dyn Identity>, ConfigError> {
    // Oracle's programs write the words of OCI_CLI_AUTH with low lines.
    let chosen = cx.settings.text("auth").map(|text| text.replace('_', "-"));
    let kind = match chosen.as_deref() {
        Some("instance-principal") => return instance(cx),
        Some("resource-principal") => return resource(cx),
        Some("api-key") => Kind::ApiKey,
        Some("session" | "security-token") => Kind::Session,
        Some(other) => {
            return Err(ConfigError::new(
                format!("`{other}` in `auth` is no way to sign requests"),
                format!("Set `oci.auth` to {}.", METHODS[..4].join(", ")),
            ));
        }
        None if has_profile(cx) || is_given(cx) => Kind::Either,
        None if cx.environment.get(VERSION).is_some() => return resource(cx),
        None => return instance(cx),
    };
    Ok(Box::new(given(cx, kind)))
}

/// What the ways touch of this machine, beside the files that settings name. The profile is read here as the
/// configuration of which it is a part: at the start, and when that is read again.
pub(in crate::oci) fn touched(cx: &BuildCx<'_>) -> Reach {
    let variables = [TOKEN.1, KEY.1, PASS_PHRASE.1];
    let mut files: Vec<PathBuf> = variables
        .iter()
        .filter_map(|name| path_in(cx.environment, name))
        .collect();
    if has_profile(cx) {
        let given = given(cx, Kind::Either);
        if let Some(file) = &given.file {
            files.push(file.path.clone());
            let profile = file.profile_at_once().ok();
            let named = profile
                .iter()
                .flat_map(|profile| [&profile.key_file, &profile.security_token_file]);
            files.extend(named.flatten().map(|path| cx.base_dir.join(path)));
        }
    }
    Reach::of_files(files)
}

fn given(cx: &BuildCx<'_>, kind: Kind) -> Given {
    let text = |name| cx.settings.text(name).map(str::to_owned);
    let credential = |name| cx.settings.credential(name).cloned();
    let file = profile_path(cx).map(|path| {
        let name = cx.settings.text("profile");
        ProfileFile::new(path, name, home(cx.environment))
    });
    Given {
        kind,
        file: file.filter(|file| cx.settings.text("config-file").is_some() || file.path.exists()),
        tenancy: text("tenancy"),
        user: text("user"),
        fingerprint: text("fingerprint"),
        key: credential("key-file"),
        pass_phrase: credential("pass-phrase-file"),
        token: credential("security-token-file"),
        base_dir: cx.base_dir.to_owned(),
        regions: Regions::new(cx.environment),
        signing: KeyRing::default(),
    }
}

fn instance(cx: &BuildCx<'_>) -> Result<Box<dyn Identity>, ConfigError> {
    let direct = cx.settings.clone().with("proxy", "none");
    let local = Client::new(&BuildCx {
        settings: &direct,
        ..*cx
    })?;
    let metadata = cx.settings.text("metadata-url").unwrap_or(METADATA);
    let auth = cx.settings.text("auth-endpoint");
    Ok(Box::new(Instance {
        local,
        http: Client::new(cx)?.http1_only(),
        metadata: Endpoint::parse("oci.metadata-url", metadata)?,
        auth: auth
            .map(|text| Endpoint::parse("oci.auth-endpoint", text))
            .transpose()?,
        regions: Regions::new(cx.environment),
        found: Mutex::default(),
        signing: KeyRing::default(),
    }))
}

fn resource(cx: &BuildCx<'_>) -> Result<Box<dyn Identity>, ConfigError> {
    match cx.environment.get(VERSION) {
        None | Some("2.2") => {}
        Some(other) => {
            return Err(ConfigError::new(
                format!("{VERSION} is `{other}`, and only version 2.2 is spoken here"),
                "Use a platform that gives version 2.2, such as Functions or Container Instances, or another `oci.auth`.",
            ));
        }
    }
    let needed = |of: (&'static str, &str)| {
        credential(cx, of).ok_or_else(|| {
            ConfigError::new(
                format!(
                    "`{}` signs as a resource principal, and {} is not set",
                    cx.instance, of.1
                ),
                "The platform sets it where resource principals work; elsewhere use another `oci.auth`.",
            )
        })
    };
    let regions = Regions::new(cx.environment);
    let region = cx.environment.get("OCI_RESOURCE_PRINCIPAL_REGION");
    Ok(Box::new(ResourcePrincipal {
        token: needed(TOKEN)?,
        key: needed(KEY)?,
        pass_phrase: credential(cx, PASS_PHRASE),
        region: region.and_then(|text| regions.find(text, None)),
        signing: KeyRing::default(),
    }))
}

/// What a variable holds or names; flags and configuration name files as usual.
fn credential(cx: &BuildCx<'_>, (setting, variable): (&'static str, &str)) -> Option<Credential> {
    match cx.settings.credential(setting)? {
        Credential::Value(value) => Some(match path_in(cx.environment, variable) {
            Some(path) => Credential::File(path),
            None => Credential::Value(value.clone()),
        }),
        file => Some(file.clone()),
    }
}

fn path_in(environment: &Environment, variable: &str) -> Option<PathBuf> {
    let text = environment.get(variable)?;
    text.starts_with('/').then(|| PathBuf::from(text))
}

fn is_given(cx: &BuildCx<'_>) -> bool {
    ["key-file", "security-token-file"]
        .iter()
        .any(|name| cx.settings.credential(name).is_some())
}

fn has_profile(cx: &BuildCx<'_>) -> bool {
    cx.settings.text("config-file").is_some() || profile_path(cx).is_some_and(|path| path.exists())
}

/// The file that the settings name, else the one in the user's home.
fn profile_path(cx: &BuildCx<'_>) -> Option<PathBuf> {
    let set =
        cx.settings
            .text("config-file")
            .map(|text| match (text.strip_prefix("~/"), home(cx.environment)) {
                (Some(below), Some(home)) => home.join(below),
                _ => cx.base_dir.join(text),
            });
    set.or_else(|| Some(home(cx.environment)?.join(".oci/config")))
}

fn home(environment: &Environment) -> Option<&Path> {
    environment
        .get_os("HOME")
        .filter(|home| !home.is_empty())
        .map(Path::new)
}
