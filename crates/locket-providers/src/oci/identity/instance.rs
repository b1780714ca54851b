//! An instance principal: the machine's certificate, which the metadata service hands out and renews, is exchanged for
//! a token that lasts for minutes; before it ends it is exchanged anew, with whatever certificate there is then.

use std::sync::{Mutex, PoisonError};

use locket_core::{BoxFuture, ErrorKind, FetchCx, ProviderError, SecretBytes};
use reqwest::StatusCode;
use reqwest::header::AUTHORIZATION;
use zeroize::Zeroizing;

use super::given::key_id;
use super::session_key::session_key;
use super::{Identity, KeyRing, clock_skew};
use crate::http::{Authority, Client, Endpoint, Grant, Request, Response};
use crate::oci::region::{Region, Regions};
use crate::oci::signature::{Host, sign_post};
use crate::oci::wire::{self, Federation};
use crate::signing::{Certificate, Claims, SigningKey};

/// This machine, by what its metadata service says.
#[derive(Debug)]
pub(super) struct Instance {
    /// Never through a proxy: the service is of this machine.
    pub(super) local: Client,
    pub(super) http: Client,
    pub(super) metadata: Endpoint,
    /// The service that makes tokens, unless the region tells.
    pub(super) auth: Option<Endpoint>,
    pub(super) regions: Regions,
    pub(super) found: Mutex<Option<Region>>,
    pub(super) signing: KeyRing,
}

/// The machine's certificate with its key.
struct Leaf {
    certificate: Certificate,
    key: SigningKey,
    intermediates: Vec<Certificate>,
}

impl Instance {
    async fn federate(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let auth = match &self.auth {
            Some(auth) => auth.clone(),
            None => self.region_of_machine(cx).await?.auth().ok_or_else(garbled)?,
        };
        let leaf = self.leaf(cx).await?;
        let tenancy = tenancy(&leaf.certificate).ok_or_else(garbled)?;
        let session = session_key().await?;
        let body = Federation {
            certificate: leaf.certificate.base64(),
            public_key: data_encoding::BASE64.encode(&session.public_key_info()),
            intermediate_certificates: leaf.intermediates.iter().map(Certificate::base64).collect(),
        };
        let body = serde_json::to_vec(&body).map_err(|_| garbled())?;
        let id = format!("{tenancy}/fed-x509/{}", fingerprint(&leaf.certificate));
        let request = sign_post(
            Request::post(auth.join(["v1", "x509"])),
            Zeroizing::new(body),
            &SecretBytes::new(id.into_bytes()),
            &leaf.key,
            Host::Unsigned,
            cx.clock.wall(),
        )?;
        let response = self.http.send(request, cx).await?;
        if !response.status.is_success() {
            return Err(self.refused(&response, cx));
        }
        let token = wire::security_token(&response)?;
        self.signing.put(session);
        let grant = Grant::new(key_id(&token)).renewable();
        Ok(match Claims::of(&token).and_then(|claims| claims.lifetime()) {
            Some(lifetime) => grant.lasting(lifetime),
            None => grant,
        })
    }

    fn refused(&self, response: &Response, cx: &FetchCx) -> ProviderError {
        if let Some(skew) = clock_skew(response, cx) {
            return skew;
        }
        let error = response.error();
        match response.status {
            StatusCode::BAD_REQUEST
            | StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND => ProviderError::auth(format!(
                "{} does not accept the certificate of this instance ({})",
                response.place,
                response.status.as_u16()
            ))
            .hint(self.advice()),
            _ => error,
        }
    }

    /// Certificate and key are asked for together each time: a pair that was rotated in between is noticed.
    async fn leaf(&self, cx: &FetchCx) -> Result<Leaf, ProviderError> {
        let certificate = self.ask(&["identity", "cert.pem"], cx).await?;
        let key = self.ask(&["identity", "key.pem"], cx).await?;
        let intermediates = self.ask(&["identity", "intermediate.pem"], cx).await?;
        let certificates = |response: &Response| {
            Certificate::all_in(response.body.bytes()).map_err(|_| not_metadata(response))
        };
        let first = certificates(&certificate)?.into_iter().next();
        let intermediates_of = certificates(&intermediates)?;
        let leaf = Leaf {
            certificate: first.ok_or_else(|| not_metadata(&certificate))?,
            key: SigningKey::from_pem(key.body.bytes(), None).map_err(|_| not_metadata(&key))?,
            intermediates: match intermediates_of.is_empty() {
                true => return Err(not_metadata(&intermediates)),
                false => intermediates_of,
            },
        };
        match leaf.certificate.is_of(&leaf.key) {
            true => Ok(leaf),
            false => Err(ProviderError::unavailable(
                "the instance's certificate was renewed while it was read",
            )),
        }
    }

    async fn region_of_machine(&self, cx: &FetchCx) -> Result<Region, ProviderError> {
        let known = self.found.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(region) = known {
            return Ok(region);
        }
        let response = self.ask(&["instance", "region"], cx).await?;
        let name = str::from_utf8(response.body.bytes()).unwrap_or_default();
        let region = match self.regions.find_known(name) {
            Some(region) => region,
            None => {
                let response = self.ask(&["instance", "regionInfo"], cx).await?;
                Region::told(response.body.bytes()).ok_or_else(|| not_metadata(&response))?
            }
        };
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = Some(region.clone());
        Ok(region)
    }

    async fn ask(&self, path: &[&str], cx: &FetchCx) -> Result<Response, ProviderError> {
        let request = Request::get(self.metadata.join(path)).header(AUTHORIZATION, "Bearer Oracle")?;
        let elsewhere = "Instance principals work on Oracle Cloud's instances alone, from where 169.254.169.254 can be reached; elsewhere make `~/.oci/config` with `oci setup config`, or set `oci.auth`.";
        let response = self
            .local
            .send(request, cx)
            .await
            .map_err(|error| ProviderError {
                context: format!("the metadata service does not answer: {}", error.context),
                hint: Some(elsewhere.to_owned()),
                ..error
            })?;
        match response.status {
            status if status.is_success() => Ok(response),
            // For some seconds while an instance boots, and for moments later on, the service has nothing to give.
            StatusCode::NOT_FOUND => Err(ProviderError::unavailable(format!(
                "{} gives no certificate, or none yet (404)",
                response.place
            ))
            .hint(elsewhere)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ProviderError::auth(format!(
                "{} gives no certificate ({})",
                response.place,
                response.status.as_u16()
            ))
            .hint(elsewhere)),
            _ => {
                let error = response.error();
                Err(match error.kind {
                    ErrorKind::Invalid => ProviderError::unavailable(error.context),
                    _ => error,
                })
            }
        }
    }
}

fn tenancy(certificate: &Certificate) -> Option<&str> {
    let named = |name| {
        ["opc-tenant:", "opc-identity:"]
            .into_iter()
            .find_map(|prefix| str::strip_prefix(name, prefix))
    };
    certificate.subject().find_map(named)
}

/// Pairs of hexadecimal digits between colons.
fn fingerprint(certificate: &Certificate) -> String {
    let pairs: Vec<_> = certificate
        .sha1()
        .iter()
        .map(|byte| format!("{byte:02X}"))
        .collect();
    pairs.join(":")
}

fn garbled() -> ProviderError {
    ProviderError::unavailable("the metadata service tells of no instance of Oracle Cloud").hint(
        "Check `oci.metadata-url` or OCI_METADATA_BASE_URL if one is set; on machines elsewhere set `oci.auth`.",
    )
}

fn not_metadata(response: &Response) -> ProviderError {
    ProviderError {
        context: format!(
            "{} answered with something that Oracle's metadata service does not send",
            response.place
        ),
        ..garbled()
    }
}

impl Authority for Instance {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.federate(cx))
    }

    fn renew<'a>(
        &'a self,
        _: &'a SecretBytes,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.federate(cx))
    }
}

impl Identity for Instance {
    fn key(&self) -> &KeyRing {
        &self.signing
    }

    fn region<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Option<Region>, ProviderError>> {
        Box::pin(async { self.region_of_machine(cx).await.map(Some) })
    }

    fn advice(&self) -> String {
        "Check that the instance still exists in the tenancy and that its clock is right; its certificate is renewed by the platform."
            .to_owned()
    }

    fn subject(&self) -> &'static str {
        "dynamic-group GROUP"
    }
}
