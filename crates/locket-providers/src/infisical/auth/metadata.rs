//! The metadata servers of Azure and Google Cloud, which sign tokens for the machine that asks. They are on the machine's
//! own link: no proxy stands between.

use locket_core::{FetchCx, ProviderError, SecretBytes, json_path};
use reqwest::header::HeaderName;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::http::{Client, Endpoint, Request, Response};
use crate::{BuildCx, ConfigError};

/// One metadata server.
#[derive(Debug)]
pub(super) struct Metadata {
    http: Client,
    endpoint: Endpoint,
    cloud: Cloud,
}

#[derive(Clone, Copy, Debug)]
enum Cloud {
    Azure,
    Gcp,
}

/// The resource that Infisical expects a token to be for, unless an identity says otherwise.
const AZURE_RESOURCE: &str = "https://management.azure.com/";

#[derive(Deserialize)]
struct AzureToken<'a> {
    #[serde(borrow)]
    access_token: &'a RawValue,
}

impl Metadata {
    /// Azure's, at `AZURE_POD_IDENTITY_AUTHORITY_HOST` where Azure's own clients look for it.
    ///
    /// # Errors
    /// That is no address.
    pub(super) fn azure(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        const VARIABLE: &str = "AZURE_POD_IDENTITY_AUTHORITY_HOST";
        let address = cx.environment.get(VARIABLE).unwrap_or("http://169.254.169.254");
        Self::new(cx, VARIABLE, address, Cloud::Azure)
    }

    /// Google Cloud's, at `GCE_METADATA_HOST` where Google's own clients look for it.
    ///
    /// # Errors
    /// That is no address.
    pub(super) fn gcp(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        const VARIABLE: &str = "GCE_METADATA_HOST";
        let host = cx.environment.get(VARIABLE).unwrap_or("169.254.169.254");
        Self::new(cx, VARIABLE, &format!("http://{host}"), Cloud::Gcp)
    }

    fn new(cx: &BuildCx<'_>, variable: &str, address: &str, cloud: Cloud) -> Result<Self, ConfigError> {
        Ok(Self {
            http: on_the_link(cx)?,
            endpoint: Endpoint::parse(variable, address)?,
            cloud,
        })
    }

    /// A token by which `identity` can log in.
    ///
    /// # Errors
    /// This is no machine of that cloud, or it has no identity there.
    pub(super) async fn token(&self, identity: &str, cx: &FetchCx) -> Result<SecretBytes, ProviderError> {
        match self.cloud {
            Cloud::Azure => {
                let request = Request::get(self.endpoint.join(["metadata", "identity", "oauth2", "token"]))
                    .query("api-version", "2018-02-01")
                    .query("resource", AZURE_RESOURCE)
                    .header(HeaderName::from_static("metadata"), "true")?;
                let response = self.ask(request, "a managed identity of Azure", cx).await?;
                let token: AzureToken<'_> = serde_json::from_slice(response.body.bytes())
                    .map_err(|_| no_metadata(&response, "a managed identity of Azure"))?;
                json_path::select(token.access_token.get().as_bytes(), "")
                    .map_err(|_| no_metadata(&response, "a managed identity of Azure"))
            }
            Cloud::Gcp => {
                let path = "computeMetadata/v1/instance/service-accounts/default/identity";
                let request = Request::get(self.endpoint.join(path.split('/')))
                    .query("audience", identity)
                    .query("format", "full")
                    .header(HeaderName::from_static("metadata-flavor"), "Google")?;
                let response = self.ask(request, "a service account of Google Cloud", cx).await?;
                Ok(SecretBytes::copy_from(response.body.bytes().trim_ascii()))
            }
        }
    }

    async fn ask(&self, request: Request, what: &str, cx: &FetchCx) -> Result<Response, ProviderError> {
        let response = self.http.send(request, cx).await.map_err(|error| {
            error.hint(format!(
                "The metadata server is asked for {what}: run this on such a machine, or give a token in `infisical.jwt-file`."
            ))
        })?;
        match response.status.is_success() {
            true => Ok(response),
            false if response.status.is_server_error() || response.status.as_u16() == 429 => {
                Err(response.error())
            }
            false => Err(no_metadata(&response, what)),
        }
    }
}

/// A client for servers of the machine's own link.
///
/// # Errors
/// A setting is not what it should be.
pub(super) fn on_the_link(cx: &BuildCx<'_>) -> Result<Client, ConfigError> {
    let settings = cx.settings.clone().with("proxy", "none");
    Client::new(&BuildCx {
        instance: cx.instance,
        settings: &settings,
        environment: cx.environment,
        base_dir: cx.base_dir,
        clock: cx.clock,
    })
}

fn no_metadata(response: &Response, what: &str) -> ProviderError {
    ProviderError::auth(format!(
        "{} gives no token of {what} ({})",
        response.place,
        response.status.as_u16()
    ))
    .hint(format!(
        "Give this machine {what}, or a token in `infisical.jwt-file`."
    ))
}
