//! The calls of the core, in the JSON of its official clients.
//!
//! Shapes: the npm package `@1password/sdk`, 0.5.0. Texts that may be secret are borrowed from the core's answer.

use locket_core::{ProviderError, SecretBytes};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use zeroize::Zeroizing;

/// What the client says that it is. The numbers are those of the official client of this core.
const SDK_VERSION: &str = "0050002";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientConfig<'a> {
    service_account_token: &'a str,
    programming_language: &'a str,
    sdk_version: &'a str,
    integration_name: &'a str,
    integration_version: &'a str,
    request_library_name: &'a str,
    request_library_version: &'a str,
    os: &'a str,
    os_version: &'a str,
    architecture: &'a str,
}

#[derive(Serialize)]
struct Invocation<'a> {
    invocation: Body<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    client_id: u64,
    parameters: Call<'a>,
}

/// One call.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(tag = "name", content = "parameters")]
pub(super) enum Call<'a> {
    /// The vaults that the account sees: a list of [`Overview`].
    VaultsList {},
    /// The active items of a vault: a list of [`Overview`].
    ItemsList { vault_id: &'a str, filters: [(); 0] },
    /// Items with all that is in them: an [`Individual`] for each that is there.
    ItemsGetAll {
        vault_id: &'a str,
        item_ids: &'a [&'a str],
    },
    /// The content of a file.
    ItemsFilesRead {
        vault_id: &'a str,
        item_id: &'a str,
        attr: &'a FileAttributes,
    },
    /// The values of references, as the official clients resolve them.
    #[cfg(test)]
    SecretsResolveAll { secret_references: &'a [&'a str] },
}

/// What lists hold of a vault or an item.
#[derive(Debug, Deserialize)]
pub(super) struct Overview {
    pub(super) id: String,
    pub(super) title: String,
}

/// A file of an item, as the core wants it back.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FileAttributes {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) size: u64,
}

/// The answers to a call about several items.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Individuals<'a> {
    #[serde(borrow)]
    pub(super) individual_responses: Vec<Individual<'a>>,
}

/// One of them.
#[derive(Deserialize)]
pub(super) struct Individual<'a> {
    #[serde(borrow)]
    pub(super) content: Option<&'a RawValue>,
    pub(super) error: Option<Failure>,
}

/// Why there is no content.
#[derive(Debug, Deserialize)]
pub(super) struct Failure {
    #[serde(rename = "type")]
    pub(super) kind: String,
}

/// What a promise of the core is rejected with. The message is read, never shown.
#[derive(Deserialize)]
pub(super) struct Rejection {
    pub(super) name: String,
    #[serde(default)]
    pub(super) message: String,
}

/// What makes a client of the core.
pub(super) fn client(token: &SecretBytes) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the token goes to the vendor's own code"
    )]
    let token = std::str::from_utf8(token.expose())
        .map_err(|_| ProviderError::auth("the token of the service account is no text"))?;
    let config = ClientConfig {
        service_account_token: token,
        programming_language: "JS",
        sdk_version: SDK_VERSION,
        integration_name: "locket",
        integration_version: concat!("v", env!("CARGO_PKG_VERSION")),
        request_library_name: "Fetch API",
        request_library_version: "Fetch API",
        os: "linux",
        os_version: "0.0.0",
        architecture: match std::env::consts::ARCH {
            "x86_64" => "x64",
            "aarch64" => "arm64",
            other => other,
        },
    };
    written(&config, token.len() + 1024)
}

/// A call for the client of this number.
pub(super) fn invocation(client_id: u64, call: Call<'_>) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let body = Body {
        client_id,
        parameters: call,
    };
    written(&Invocation { invocation: body }, 1024)
}

fn written(json: &impl Serialize, room: usize) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    serde_json::to_writer(&mut *text, json).map_err(|_| garbled())?;
    Ok(text)
}

/// What is answered where the core gives something that it never does.
pub(super) fn garbled() -> ProviderError {
    ProviderError::unavailable("1Password's core gave an answer of another shape")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_those_of_the_official_client() {
        let call = Call::ItemsGetAll {
            vault_id: "v",
            item_ids: &["a", "b"],
        };
        let json = invocation(7, call).unwrap();
        assert_eq!(
            std::str::from_utf8(&json).unwrap(),
            r#"{"invocation":{"clientId":7,"parameters":{"name":"ItemsGetAll","parameters":{"vault_id":"v","item_ids":["a","b"]}}}}"#
        );
        let json = invocation(0, Call::VaultsList {}).unwrap();
        assert_eq!(
            std::str::from_utf8(&json).unwrap(),
            r#"{"invocation":{"clientId":0,"parameters":{"name":"VaultsList","parameters":{}}}}"#
        );
    }
}
