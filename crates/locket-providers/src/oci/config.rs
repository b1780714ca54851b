//! What can be set, and what an instance is made of.

use std::sync::Arc;

use locket_core::Provider;
use locket_core::schemes::Fragment;

use super::client::Client;
use super::identity::{self, METHODS};
use super::locator;
use super::ocid::Ocid;
use super::provider::OciVault;
use super::region::Regions;
use crate::http::Endpoint;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec, Setting, SettingKind, http};

/// OCI Vault in the registry.
pub(crate) static KIND: ProviderKind = ProviderKind {
    name: "oci",
    title: "OCI Vault",
    summary: "Secrets of Oracle Cloud's vaults",
    facts: Facts {
        logins: METHODS.split_at(METHODS.len() - 1).0,
        batching: "one secret",
        versions: "`?stage=`, `?version=N`",
        leases: "",
        verified: "the official client, with an emulator",
        daily_budget: None,
    },
    schemes: &[SchemeSpec {
        name: "oci",
        bare: false,
        fragment: Fragment::Json,
    }],
    prefix: "oci",
    settings: SETTINGS,
    network: true,
    named_only: false,
    runs_programs: false,
    touches: identity::touched,
    parse: locator::parse,
    parse_every: None,
    build,
};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "auth",
        env: &["OCI_CLI_AUTH"],
        kind: SettingKind::Choice(METHODS),
        summary: "As whom to sign requests; without it, as `~/.oci/config` says if there is one, else as this instance",
    },
    Setting {
        name: "config-file",
        env: &["OCI_CLI_CONFIG_FILE", "OCI_CONFIG_FILE"],
        kind: SettingKind::Path,
        summary: "Configuration of Oracle's own programs, if not `~/.oci/config`",
    },
    Setting {
        name: "profile",
        env: &["OCI_CLI_PROFILE"],
        kind: SettingKind::Text,
        summary: "Profile in that configuration, if not `DEFAULT`",
    },
    Setting {
        name: "region",
        env: &["OCI_CLI_REGION", "OCI_REGION"],
        kind: SettingKind::Text,
        summary: "Region to ask, by name or key; without it the one in an OCID, else the identity's own",
    },
    Setting {
        name: "vault",
        env: &[],
        kind: SettingKind::Text,
        summary: "OCID of the vault that names without a vault are in",
    },
    Setting {
        name: "tenancy",
        env: &["OCI_CLI_TENANCY"],
        kind: SettingKind::Text,
        summary: "OCID of the tenancy of an API key, if no profile says it",
    },
    Setting {
        name: "user",
        env: &["OCI_CLI_USER"],
        kind: SettingKind::Text,
        summary: "OCID of the user of an API key, if no profile says it",
    },
    Setting {
        name: "fingerprint",
        env: &["OCI_CLI_FINGERPRINT"],
        kind: SettingKind::Text,
        summary: "Fingerprint of an API key, if no profile says it",
    },
    Setting {
        name: "key-file",
        env: &["OCI_CLI_KEY", "OCI_CLI_KEY_CONTENT"],
        kind: SettingKind::Credential,
        summary: "Private key of an API key or session, if no profile names it",
    },
    Setting {
        name: "pass-phrase-file",
        env: &["OCI_CLI_PASSPHRASE"],
        kind: SettingKind::Credential,
        summary: "Pass phrase of that key, if no profile has it",
    },
    Setting {
        name: "security-token-file",
        env: &["OCI_CLI_SECURITY_TOKEN"],
        kind: SettingKind::Credential,
        summary: "Token of a session, if no profile names it",
    },
    Setting {
        name: "resource-token-file",
        env: &["OCI_RESOURCE_PRINCIPAL_RPST"],
        kind: SettingKind::Credential,
        summary: "Token of a resource principal; the platform sets the variable",
    },
    Setting {
        name: "resource-key-file",
        env: &["OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM"],
        kind: SettingKind::Credential,
        summary: "Key of a resource principal; the platform sets the variable",
    },
    Setting {
        name: "resource-pass-phrase-file",
        env: &["OCI_RESOURCE_PRINCIPAL_PRIVATE_PEM_PASSPHRASE"],
        kind: SettingKind::Credential,
        summary: "Pass phrase of that key; the platform sets the variable",
    },
    Setting {
        name: "endpoint",
        env: &[],
        kind: SettingKind::Text,
        summary: "Address of the service that gives secrets, if not the region's",
    },
    Setting {
        name: "auth-endpoint",
        env: &[],
        kind: SettingKind::Text,
        summary: "Address of the service that makes tokens of certificates, if not the region's",
    },
    Setting {
        name: "metadata-url",
        env: &["OCI_METADATA_BASE_URL"],
        kind: SettingKind::Text,
        summary: "Address of the instance's metadata service, if not `http://169.254.169.254/opc/v2`",
    },
];

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let regions = Regions::new(cx.environment);
    let region = match cx.settings.text("region") {
        None => None,
        Some(text) => Some(regions.find(text, None).ok_or_else(|| {
            ConfigError::new(
                format!("`{text}` in `region` is no region that is known here"),
                "Write its full name, such as `eu-frankfurt-1`.",
            )
        })?),
    };
    let vault = match cx.settings.text("vault") {
        None => None,
        Some(text) => match Ocid::parse(text.trim()).filter(|ocid| ocid.kind() == "vault") {
            Some(ocid) => Some(ocid),
            None => {
                return Err(ConfigError::new(
                    format!("`vault` of `{}` is not the OCID of a vault", cx.instance),
                    "The console shows it on the vault's page; it starts with `ocid1.vault.`.",
                ));
            }
        },
    };
    let endpoint = cx.settings.text("endpoint");
    let client = Client::new(
        http::Client::new(cx)?.http1_only(),
        endpoint
            .map(|text| Endpoint::parse("oci.endpoint", text))
            .transpose()?,
        regions,
        region,
        identity::identity(cx)?,
    );
    let max_concurrent = cx.settings.count("max-concurrent")?;
    Ok(Arc::new(OciVault::new(client, vault, max_concurrent)))
}
