//! The registry's entry and what an instance is made of.

use std::sync::Arc;

use locket_core::Provider;
use locket_core::schemes::Fragment;

use super::client::Client;
use super::provider::ConnectProvider;
use crate::http::Endpoint;
use crate::registry::touches_nothing;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec, Setting, SettingKind, http, onepassword};

/// 1Password Connect in the registry.
pub static KIND: ProviderKind = ProviderKind {
    name: "op-connect",
    title: "1Password Connect",
    summary: "Reads 1Password items through a Connect server",
    facts: Facts {
        logins: &["token"],
        batching: "one item, once its vault and title are known",
        versions: "",
        leases: "",
        verified: "the official client, with an emulator",
        daily_budget: None,
    },
    schemes: &[SchemeSpec {
        name: "op",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "connect",
    settings: &[
        Setting {
            name: "host",
            env: &["OP_CONNECT_HOST"],
            kind: SettingKind::Text,
            summary: "Address of the Connect server, such as `http://connect:8080`",
        },
        Setting {
            name: "token-file",
            env: &["OP_CONNECT_TOKEN"],
            kind: SettingKind::Credential,
            summary: "Access token of the Connect server",
        },
    ],
    network: true,
    named_only: false,
    runs_programs: false,
    touches: touches_nothing,
    parse: onepassword::parse,
    parse_every: Some(onepassword::parse_every),
    build,
};

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let instance = cx.instance;
    let host = cx.settings.text("host").filter(|text| !text.trim().is_empty());
    let host = host.ok_or_else(|| {
        ConfigError::new(
            format!("`{instance}` has no address of a 1Password Connect server"),
            "Set `connect.host` (or OP_CONNECT_HOST) to it, such as `http://connect:8080`.",
        )
    })?;
    let token = cx.settings.credential("token-file").ok_or_else(|| {
        ConfigError::new(
            format!("`{instance}` has no access token for 1Password Connect"),
            "Set `connect.token-file` to a file that holds it, or OP_CONNECT_TOKEN to the token.",
        )
    })?;
    let client = Client::new(
        http::Client::new(cx)?,
        Endpoint::parse("connect.host", host)?,
        token.clone(),
    );
    let max_concurrent = cx.settings.count("max-concurrent")?;
    Ok(Arc::new(ConnectProvider::new(client, max_concurrent)))
}
