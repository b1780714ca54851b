//! What can be set, and what an instance is made of.

use std::sync::Arc;

use locket_core::Provider;
use locket_core::schemes::Fragment;

use super::client::Client;
use super::cloud::Cloud;
use super::identity::{self, METHODS};
use super::locator;
use super::provider::KeyVault;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec, Setting, SettingKind, http};

/// Azure Key Vault in the registry.
pub(crate) static KIND: ProviderKind = ProviderKind {
    name: "azkv",
    title: "Azure Key Vault",
    summary: "Secrets of Azure's key vaults",
    facts: Facts {
        logins: METHODS,
        batching: "one secret",
        versions: "`/VERSION`",
        leases: "",
        verified: "the official clients, with an emulator",
        daily_budget: None,
    },
    schemes: &[SchemeSpec {
        name: "azkv",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "azkv",
    settings: SETTINGS,
    network: true,
    named_only: false,
    runs_programs: false,
    touches: identity::touched,
    parse: locator::parse,
    parse_every: Some(locator::parse_every),
    build,
};

const SETTINGS: &[Setting] = &[
    Setting {
        name: "auth",
        env: &[],
        kind: SettingKind::Choice(METHODS),
        summary: "How to log in; without it, with whatever is given, else by the Azure CLI's login, else as this machine",
    },
    Setting {
        name: "vault",
        env: &["AZURE_KEYVAULT_NAME"],
        kind: SettingKind::Text,
        summary: "Vault that names without one are in",
    },
    Setting {
        name: "tenant-id",
        env: &["AZURE_TENANT_ID"],
        kind: SettingKind::Text,
        summary: "Tenant to log in to; the vault's own unless given",
    },
    Setting {
        name: "client-id",
        env: &["AZURE_CLIENT_ID"],
        kind: SettingKind::Text,
        summary: "Application, or which of a machine's identities",
    },
    Setting {
        name: "client-secret-file",
        env: &["AZURE_CLIENT_SECRET"],
        kind: SettingKind::Credential,
        summary: "Secret of the application",
    },
    Setting {
        name: "certificate-file",
        env: &["AZURE_CLIENT_CERTIFICATE_PATH"],
        kind: SettingKind::CredentialPath,
        summary: "PEM file of the application's certificate and its key",
    },
    Setting {
        name: "certificate-password-file",
        env: &["AZURE_CLIENT_CERTIFICATE_PASSWORD"],
        kind: SettingKind::Credential,
        summary: "Pass phrase of that key",
    },
    Setting {
        name: "federated-token-file",
        env: &["AZURE_FEDERATED_TOKEN_FILE"],
        kind: SettingKind::CredentialPath,
        summary: "Token of another issuer that the application trusts, as workload identity puts it there",
    },
    Setting {
        name: "cloud",
        env: &[],
        kind: SettingKind::Text,
        summary: "`public`, `china` or `usgov`",
    },
    Setting {
        name: "authority-host",
        env: &["AZURE_AUTHORITY_HOST"],
        kind: SettingKind::Text,
        summary: "Host that logs in, if not the cloud's",
    },
    Setting {
        name: "identity-endpoint",
        env: &["IDENTITY_ENDPOINT"],
        kind: SettingKind::Text,
        summary: "Where App Service or Azure Arc hands out tokens; the platform sets the variable",
    },
    Setting {
        name: "identity-header-file",
        env: &["IDENTITY_HEADER"],
        kind: SettingKind::Credential,
        summary: "What App Service wants to be shown there; the platform sets the variable",
    },
    Setting {
        name: "imds-endpoint",
        env: &["AZURE_POD_IDENTITY_AUTHORITY_HOST"],
        kind: SettingKind::Text,
        summary: "Where a machine's metadata service is, if not `http://169.254.169.254`",
    },
];

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let cloud = Cloud::named(cx.settings.text("cloud"))?;
    let identity = identity::identity(cx, cloud)?;
    let client = Client::new(http::Client::new(cx)?, cloud.suffix, Arc::new(identity));
    let vault = cx.settings.text("vault").map(|text| vault_name(text).to_owned());
    let max_concurrent = cx.settings.count("max-concurrent")?;
    Ok(Arc::new(KeyVault::new(client, vault, max_concurrent)))
}

/// The portal shows a vault by its address.
fn vault_name(text: &str) -> &str {
    text.trim().trim_start_matches("https://").trim_end_matches('/')
}
