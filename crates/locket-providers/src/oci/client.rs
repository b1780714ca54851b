//! Requests to the service that gives secrets, and what its refusals mean.

use locket_core::{FetchCx, ProviderError};
use reqwest::StatusCode;
use zeroize::Zeroizing;

use super::identity::{Identity, clock_skew};
use super::locator::{Item, Secret, Version};
use super::ocid::Ocid;
use super::region::{Region, Regions};
use super::signature::{Host, sign_get, sign_post};
use super::wire;
use crate::http::{self, Endpoint, Request, Response, TokenCache};

/// The service, in whichever region a secret is.
#[derive(Debug)]
pub(super) struct Client {
    http: http::Client,
    endpoint: Option<Endpoint>,
    regions: Regions,
    /// The region that the settings name: it comes before what an OCID says, since replicas are read in another region.
    region: Option<Region>,
    identity: TokenCache<Box<dyn Identity>>,
}

impl Client {
    pub(super) fn new(
        http: http::Client,
        endpoint: Option<Endpoint>,
        regions: Regions,
        region: Option<Region>,
        identity: Box<dyn Identity>,
    ) -> Self {
        Self {
            http,
            endpoint,
            regions,
            region,
            identity: TokenCache::new(identity),
        }
    }

    /// Closes the connections that nobody uses now; the token is kept.
    pub(super) fn rest(&self) {
        self.http.rest();
    }

    /// The secret bundle that `item` names; `vault` is where a name without a vault is.
    ///
    /// # Errors
    /// There is no answer, or none that brings a bundle.
    pub(super) async fn bundle(
        &self,
        item: &Item,
        vault: Option<&Ocid>,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let place = match &item.secret {
            Secret::Id(ocid) => ocid,
            Secret::Named {
                vault: Some(vault), ..
            } => vault,
            Secret::Named { vault: None, name } => vault.ok_or_else(|| {
                ProviderError::invalid(format!("`{name}` names no vault, and `oci.vault` is not set"))
                    .hint("Set `oci.vault` to the vault's OCID, or write `oci://VAULT-OCID/NAME`.")
            })?,
        };
        self.identity
            .with(cx, async |token| {
                let endpoint = self.endpoint(place, cx).await?;
                let key = self.identity.authority().key().get()?;
                let now = cx.clock.wall();
                let request = match &item.secret {
                    Secret::Id(ocid) => {
                        let url = endpoint.join(["20190301", "secretbundles", ocid.as_str()]);
                        sign_get(chosen(Request::get(url), item), token.value(), &key, now)?
                    }
                    Secret::Named { name, .. } => {
                        let url = endpoint.join(["20190301", "secretbundles", "actions", "getByName"]);
                        let request = Request::post(url)
                            .query("secretName", name)
                            .query("vaultId", place.as_str());
                        sign_post(
                            chosen(request, item),
                            Zeroizing::default(),
                            token.value(),
                            &key,
                            Host::Signed,
                            now,
                        )?
                    }
                };
                let response = self.http.send(request, cx).await?;
                match response.status.is_success() {
                    true => Ok(response),
                    false => Err(self.refused(&response, item, place, cx)),
                }
            })
            .await
    }

    async fn endpoint(&self, place: &Ocid, cx: &FetchCx) -> Result<Endpoint, ProviderError> {
        if let Some(endpoint) = &self.endpoint {
            return Ok(endpoint.clone());
        }
        let named = place.region();
        let of_ocid = || self.regions.find(named?, Some(place.realm()));
        let region = match self.region.clone().or_else(of_ocid) {
            Some(region) => Some(region),
            None => self.identity.authority().region(cx).await?,
        };
        let unknown = || {
            ProviderError::invalid(match named {
                Some(key) => format!("`{key}`, the region of `{place}`, is not known here"),
                None => format!("nothing says which region `{place}` is in"),
            })
            .hint("Set `oci.region` to the region's full name, such as `eu-frankfurt-1`.")
        };
        region.and_then(|region| region.secrets()).ok_or_else(unknown)
    }

    fn refused(&self, response: &Response, item: &Item, place: &Ocid, cx: &FetchCx) -> ProviderError {
        if let Some(skew) = clock_skew(response, cx) {
            return skew;
        }
        let error = response.error();
        let secret = &item.secret;
        let code = wire::error_code(response);
        let identity = self.identity.authority();
        match response.status {
            StatusCode::UNAUTHORIZED => error.hint(identity.advice()),
            StatusCode::NOT_FOUND if code.is_none() => wire::not_the_protocol(response),
            StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => match self.foreign_region(place) {
                Some((asked, named)) => ProviderError::denied(format!(
                    "{secret} is not to be had in {}, which `oci.region` names; its OCID is of {}",
                    asked.name(),
                    named.name()
                ))
                .hint("Remove `oci.region`, so that each secret is read where its OCID says, or name the region of its replica."),
                None => ProviderError::denied(format!(
                    "{secret} does not exist, or may not be read: Oracle does not tell which"
                ))
                .hint(format!(
                    "Check the OCID or name and the region, then the policy: `Allow {} to read secret-bundles in compartment COMPARTMENT`. A change of policies or groups takes minutes to count.",
                    identity.subject()
                )),
            },
            StatusCode::CONFLICT => ProviderError::denied(format!(
                "{secret} is not given out in the state that it is in (409)"
            ))
            .hint("Its deletion may be scheduled, or its rules may block it since it expired: cancel the deletion, or make a new version."),
            StatusCode::BAD_REQUEST => error.hint(match item.version {
                Some(Version::Name(_)) => "Check the name of the version, and the OCID.",
                _ => "Check the OCID, the name and the version.",
            }),
            _ => error,
        }
    }

    /// The region that is asked because the settings say so, and the other one that the OCID names.
    fn foreign_region(&self, place: &Ocid) -> Option<(&Region, Region)> {
        let asked = self.region.as_ref()?;
        let named = self.regions.find(place.region()?, Some(place.realm()))?;
        (named != *asked).then_some((asked, named))
    }
}

/// Adds which version is wanted.
fn chosen(request: Request, item: &Item) -> Request {
    let request = match item.stage {
        Some(stage) => request.query("stage", stage),
        None => request,
    };
    match &item.version {
        None => request,
        Some(Version::Number(number)) => request.query("versionNumber", &number.to_string()),
        Some(Version::Name(name)) => request.query("secretVersionName", name),
    }
}
