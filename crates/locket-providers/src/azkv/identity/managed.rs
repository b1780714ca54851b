//! A managed identity: the platform hands out tokens for the machine, the app or, with Azure Arc, a server elsewhere.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::{BoxFuture, ErrorKind, FetchCx, ProviderError, SecretBuilder, SecretBytes};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, HeaderName, WWW_AUTHENTICATE};

use super::granted;
use crate::Credential;
use crate::azkv::wire;
use crate::http::{Authority, Client, Endpoint, Grant, Request, Response};

/// The service that hands out tokens here.
#[derive(Debug)]
pub(in crate::azkv) struct Managed {
    /// Never through a proxy: the service is of this machine.
    pub(super) local: Client,
    /// Which of several identities; the machine's own unless given.
    pub(super) client_id: Option<String>,
    pub(super) host: Host,
}

#[derive(Debug)]
pub(super) enum Host {
    /// A virtual machine, scale set or cluster node: its metadata service.
    Imds(Endpoint),
    /// App Service, Functions, Container Apps: an address and a word that proves to be inside.
    AppService { endpoint: Endpoint, header: Credential },
    /// A server with Azure Arc's agent, which proves by a file that the caller may read it.
    Arc { endpoint: Endpoint, keys: PathBuf },
}

/// Logins for one resource.
#[derive(Debug)]
pub(super) struct Login {
    managed: Arc<Managed>,
    resource: String,
}

const METADATA: HeaderName = HeaderName::from_static("metadata");
const IDENTITY: HeaderName = HeaderName::from_static("x-identity-header");
const ELSEWHERE: &str = "Managed identities work on Azure's machines and services alone; elsewhere set `azkv.client-id` with `azkv.client-secret-file` or `azkv.certificate-file`, or log in with `az login`.";

/// The largest key file of Azure Arc that its agent makes.
const ARC_KEY: usize = 4096;

impl Managed {
    pub(super) fn login(self: &Arc<Self>, resource: String) -> Login {
        Login {
            managed: self.clone(),
            resource,
        }
    }
}

impl Login {
    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let response = match &self.managed.host {
            Host::Imds(endpoint) => {
                let url = endpoint.join(["metadata", "identity", "oauth2", "token"]);
                self.send(self.request(url, "2018-02-01").header(METADATA, "true")?, cx)
                    .await?
            }
            Host::AppService { endpoint, header } => {
                let request = self.request(endpoint.join([""; 0]), "2019-08-01");
                self.send(request.secret_header(IDENTITY, &header.read(cx).await?)?, cx)
                    .await?
            }
            Host::Arc { endpoint, keys } => {
                let request = || {
                    self.request(endpoint.join([""; 0]), "2020-06-01")
                        .header(METADATA, "true")
                };
                let challenge = self.send(request()?, cx).await?;
                match challenge.status {
                    StatusCode::UNAUTHORIZED => {
                        let answer = arc_answer(&challenge, keys, cx).await?;
                        self.send(request()?.secret_header(AUTHORIZATION, &answer)?, cx)
                            .await?
                    }
                    _ => challenge,
                }
            }
        };
        match response.status.is_success() {
            true => Ok(granted(wire::token(response.body.bytes(), &response.place)?, cx)),
            false => Err(refused(&response)),
        }
    }

    fn request(&self, url: reqwest::Url, version: &str) -> Request {
        let request = Request::get(url)
            .query("api-version", version)
            .query("resource", &self.resource);
        match &self.managed.client_id {
            Some(id) => request.query("client_id", id),
            None => request,
        }
    }

    async fn send(&self, request: Request, cx: &FetchCx) -> Result<Response, ProviderError> {
        self.managed
            .local
            .send(request, cx)
            .await
            .map_err(|error| ProviderError {
                context: format!(
                    "the service of managed identities does not answer: {}",
                    error.context
                ),
                hint: Some(ELSEWHERE.to_owned()),
                ..error
            })
    }
}

/// What the agent's challenge asks for: the content of a file that it names, which must lie where it keeps such files.
#[expect(
    clippy::disallowed_methods,
    reason = "the key goes back to the agent that made it"
)]
async fn arc_answer(challenge: &Response, keys: &Path, cx: &FetchCx) -> Result<SecretBytes, ProviderError> {
    let header = challenge.header(&WWW_AUTHENTICATE).unwrap_or_default();
    let file = header.strip_prefix("Basic realm=").map(PathBuf::from);
    let file = file.filter(|file| {
        file.parent() == Some(keys) && file.extension().is_some_and(|extension| extension == "key")
    });
    let Some(file) = file else {
        return Err(
            ProviderError::auth("Azure Arc's agent names no key file in its own directory")
                .hint("Check the agent with `azcmagent show`."),
        );
    };
    let key = Credential::File(file).read(cx).await.map_err(|error| {
        error.hint("Add this user to the group `himds`, which may read the keys of Azure Arc's agent.")
    })?;
    if key.len() > ARC_KEY {
        return Err(ProviderError::auth(
            "the key file of Azure Arc's agent is larger than it makes them",
        ));
    }
    let mut answer = SecretBuilder::with_capacity(6 + key.len());
    answer.extend(b"Basic ");
    answer.extend(key.expose());
    Ok(answer.finish())
}

/// The service is not always ready: what Microsoft's clients try again, the engine does.
fn refused(response: &Response) -> ProviderError {
    let error = response.error();
    let place = &response.place;
    match response.status {
        StatusCode::BAD_REQUEST => {
            ProviderError::auth(format!("{place} has no such identity (400)")).hint(
                "Give the machine or app an identity (`az vm identity assign`), or check `azkv.client-id` if it has several.",
            )
        }
        StatusCode::NOT_FOUND | StatusCode::GONE => ProviderError::unavailable(format!(
            "{place} is not ready ({})",
            response.status.as_u16()
        ))
        .hint(ELSEWHERE),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            ProviderError::auth(format!("{place} gives no token ({})", response.status.as_u16())).hint(ELSEWHERE)
        }
        _ => match error.kind {
            ErrorKind::Invalid => wire::not_the_protocol(place),
            _ => error,
        },
    }
}

impl Authority for Login {
    fn login<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }

    fn renew<'a>(
        &'a self,
        _: &'a SecretBytes,
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Result<Grant, ProviderError>> {
        Box::pin(self.log_in(cx))
    }
}
