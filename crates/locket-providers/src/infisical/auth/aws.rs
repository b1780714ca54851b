//! AWS: a signed question to STS, "who am I?", which the server sends on to AWS in our place.

use std::path::PathBuf;
use std::sync::Arc;

use data_encoding::BASE64;
use locket_core::{BoxFuture, Environment, FetchCx, ProviderError, SecretBytes, json_path};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, HeaderName};
use serde::Deserialize;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use super::choose::identity;
use super::login::Proof;
use super::metadata::on_the_link;
use super::sigv4::{Credentials, signed_headers};
use crate::http::{Client, Endpoint, Member, Request, Response, object};
use crate::{BuildCx, ConfigError, Credential};

/// The variable that names the file of a container's token.
pub(in crate::infisical) const TOKEN_FILE: &str = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";

const QUESTION: &str = "Action=GetCallerIdentity&Version=2011-06-15";

/// An identity that is an IAM principal.
#[derive(Debug)]
pub(super) struct Aws {
    identity: String,
    http: Client,
    region: Option<String>,
    keys: Keys,
}

/// Where the credentials come from, in the order in which AWS's own clients look.
#[derive(Debug)]
enum Keys {
    /// `AWS_ACCESS_KEY_ID` and the like.
    Given(Arc<Credentials>),
    /// The agent of a container: ECS, or EKS Pod Identity.
    Container {
        address: Endpoint,
        token: Option<Credential>,
    },
    /// The metadata server of a machine.
    Machine(Endpoint),
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Issued<'a> {
    access_key_id: String,
    #[serde(borrow)]
    secret_access_key: &'a RawValue,
    #[serde(borrow)]
    token: &'a RawValue,
}

impl Aws {
    /// The principal that settings and environment describe.
    ///
    /// # Errors
    /// The identity is missing, or a variable holds no address.
    pub(super) fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let region = ["AWS_REGION", "AWS_DEFAULT_REGION"];
        Ok(Self {
            identity: identity(cx, "AWS")?,
            http: on_the_link(cx)?,
            region: region.into_iter().find_map(|name| set(cx.environment, name)),
            keys: Keys::new(cx)?,
        })
    }

    async fn signed(&self, cx: &FetchCx) -> Result<Zeroizing<Vec<u8>>, ProviderError> {
        let (credentials, region) = self.credentials(cx).await?;
        let region = self.region.clone().or(region).ok_or_else(|| {
            ProviderError::auth("nothing says which region of AWS this is").hint("Set AWS_REGION.")
        })?;
        let domain = if region.starts_with("cn-") {
            "amazonaws.com.cn"
        } else {
            "amazonaws.com"
        };
        let host = format!("sts.{region}.{domain}");
        let headers = signed_headers(&credentials, &region, &host, QUESTION, cx.clock.wall());
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, Member::Plain(value.as_str())));
        let headers = Zeroizing::new(BASE64.encode(&object(headers)?));
        object([
            ("identityId", Member::Plain(&self.identity)),
            ("iamHttpRequestMethod", Member::Plain("POST")),
            (
                "iamRequestBody",
                Member::Plain(&BASE64.encode(QUESTION.as_bytes())),
            ),
            ("iamRequestHeaders", Member::Plain(&headers)),
        ])
    }

    /// The credentials, and the region where their place knows it.
    async fn credentials(&self, cx: &FetchCx) -> Result<(Arc<Credentials>, Option<String>), ProviderError> {
        match &self.keys {
            Keys::Given(credentials) => Ok((credentials.clone(), None)),
            Keys::Container { address, token } => {
                let mut request = Request::get(address.join::<_, &str>([]));
                if let Some(token) = token {
                    request = request.secret_header(AUTHORIZATION, &token.read(cx).await?)?;
                }
                let response = self.ask(request, "role of this container", cx).await?;
                Ok((issued(&response)?, None))
            }
            Keys::Machine(address) => self.of_machine(address, cx).await,
        }
    }

    /// Version 2 of the protocol: a session first, then the role, then its credentials.
    async fn of_machine(
        &self,
        address: &Endpoint,
        cx: &FetchCx,
    ) -> Result<(Arc<Credentials>, Option<String>), ProviderError> {
        const WHAT: &str = "role of this machine";
        let session = Request::new(Method::PUT, address.join(["latest", "api", "token"])).header(
            HeaderName::from_static("x-aws-ec2-metadata-token-ttl-seconds"),
            "60",
        )?;
        let session = self.ask(session, WHAT, cx).await?;
        let session = SecretBytes::copy_from(session.body.bytes().trim_ascii());
        let get = async |path: &str| {
            let path = ["latest", "meta-data"].into_iter().chain(path.split('/'));
            let request = Request::get(address.join(path))
                .secret_header(HeaderName::from_static("x-aws-ec2-metadata-token"), &session)?;
            self.ask(request, WHAT, cx).await
        };
        // The list of roles has one entry.
        const ROLES: &str = "iam/security-credentials/";
        let roles = get(ROLES).await?;
        let role = first_line(&roles).ok_or_else(|| no_credentials(&roles, WHAT))?;
        let credentials = issued(&get(&format!("{ROLES}{role}")).await?)?;
        let region = match &self.region {
            Some(_) => None,
            None => first_line(&get("placement/region").await?),
        };
        Ok((credentials, region))
    }

    async fn ask(&self, request: Request, what: &str, cx: &FetchCx) -> Result<Response, ProviderError> {
        let response = self.http.send(request, cx).await.map_err(|error| {
            error.hint(format!(
                "AWS is asked for a {what}: run this where there are such, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."
            ))
        })?;
        match response.status.is_success() {
            true => Ok(response),
            false if response.status.is_server_error() || response.status.as_u16() == 429 => {
                Err(response.error())
            }
            false => Err(no_credentials(&response, what)),
        }
    }
}

impl Keys {
    fn new(cx: &BuildCx<'_>) -> Result<Self, ConfigError> {
        let secret = |name: &str| set(cx.environment, name).map(|text| SecretBytes::new(text.into_bytes()));
        if let (Some(access_key), Some(secret_key)) = (
            set(cx.environment, "AWS_ACCESS_KEY_ID"),
            secret("AWS_SECRET_ACCESS_KEY"),
        ) {
            return Ok(Self::Given(Arc::new(Credentials {
                access_key,
                secret_key,
                session_token: secret("AWS_SESSION_TOKEN"),
            })));
        }
        let relative = set(cx.environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI")
            .map(|path| format!("http://169.254.170.2{path}"));
        let full = || set(cx.environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
        if let Some(address) = relative.or_else(full) {
            let file = set(cx.environment, TOKEN_FILE).map(|path| Credential::File(PathBuf::from(path)));
            let value = || {
                let value = secret("AWS_CONTAINER_AUTHORIZATION_TOKEN")?;
                Some(Credential::Value(Arc::new(value)))
            };
            return Ok(Self::Container {
                address: Endpoint::parse("AWS_CONTAINER_CREDENTIALS_FULL_URI", &address)?,
                token: file.or_else(value),
            });
        }
        const SERVER: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";
        let address = set(cx.environment, SERVER);
        let address = address.as_deref().unwrap_or("http://169.254.169.254");
        Ok(Self::Machine(Endpoint::parse(SERVER, address)?))
    }
}

impl Proof for Aws {
    fn name(&self) -> &'static str {
        "AWS"
    }

    fn path(&self) -> &'static str {
        "aws-auth"
    }

    fn body<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, ProviderError>> {
        Box::pin(self.signed(cx))
    }

    fn advice(&self) -> &'static str {
        "Check `infisical.identity-id`, and in the identity's AWS auth the allowed principals, accounts and the STS \
         endpoint of this region; AWS takes no signature that is more than five minutes off, so check this machine's \
         clock as well."
    }
}

fn set(environment: &Environment, name: &str) -> Option<String> {
    environment
        .get(name)
        .map(str::trim)
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
}

fn issued(response: &Response) -> Result<Arc<Credentials>, ProviderError> {
    let garbage = || no_credentials(response, "credentials");
    let issued: Issued<'_> = serde_json::from_slice(response.body.bytes()).map_err(|_| garbage())?;
    let secret = |raw: &RawValue| json_path::select(raw.get().as_bytes(), "").map_err(|_| garbage());
    Ok(Arc::new(Credentials {
        access_key: issued.access_key_id,
        secret_key: secret(issued.secret_access_key)?,
        session_token: Some(secret(issued.token)?),
    }))
}

fn first_line(response: &Response) -> Option<String> {
    let text = std::str::from_utf8(response.body.bytes()).ok()?;
    text.lines()
        .next()
        .map(|line| line.trim().to_owned())
        .filter(|line| !line.is_empty())
}

fn no_credentials(response: &Response, what: &str) -> ProviderError {
    ProviderError::auth(format!(
        "{} gives no {what} ({})",
        response.place,
        response.status.as_u16()
    ))
    .hint("Give this machine or container an IAM role, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
}
