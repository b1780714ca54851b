//! Microsoft Entra: an application proves itself by a secret, by a signature, or by a token of another issuer (RFC 6749,
//! 4.4; RFC 7523).

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use locket_core::{BoxFuture, FetchCx, ProviderError, SecretBytes};
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use reqwest::StatusCode;
use reqwest::header::HeaderValue;
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;
use zeroize::Zeroizing;

use super::granted;
use crate::Credential;
use crate::azkv::wire;
use crate::http::{Authority, Client, Endpoint, Grant, Request, Response, Skew, Stamp};
use crate::signing::{Certificate, SigningKey};

/// An application, and how it proves itself.
#[derive(Debug)]
pub(in crate::azkv) struct Entra {
    pub(super) http: Client,
    pub(super) authority: Endpoint,
    /// The tenant of the vault unless given.
    pub(super) tenant: Option<String>,
    pub(super) client_id: String,
    pub(super) proof: Proof,
}

#[derive(Debug)]
pub(super) enum Proof {
    Secret(Credential),
    Certificate {
        file: PathBuf,
        pass_phrase: Option<Credential>,
    },
    /// A token that the platform puts into a file and replaces there.
    Federated(PathBuf),
}

/// Logins for one resource in one tenant.
#[derive(Debug)]
pub(super) struct Login {
    entra: Arc<Entra>,
    resource: String,
    tenant: String,
}

/// How long a signed assertion is good for.
const ASSERTION_LASTS: Duration = Duration::from_secs(600);

impl Entra {
    /// Logins for tokens of `resource`; `tenant` is the vault's.
    ///
    /// # Errors
    /// The vault is in another tenant than the one that is set, or nobody says in which.
    pub(super) fn login(
        self: &Arc<Self>,
        resource: String,
        tenant: Option<String>,
    ) -> Result<Login, ProviderError> {
        let is_id = |text: &str| text.len() == 36 && text.bytes().filter(|byte| *byte == b'-').count() == 4;
        if let (Some(set), Some(vaults)) = (&self.tenant, &tenant)
            && is_id(set)
            && is_id(vaults)
            && !set.eq_ignore_ascii_case(vaults)
        {
            return Err(ProviderError::auth(format!(
                "the vault is in the tenant {vaults}, and `azkv.tenant-id` is {set}"
            ))
            .hint("Set `azkv.tenant-id` to the vault's tenant and use an application of it, or check the vault's name."));
        }
        let tenant = self.tenant.clone().or(tenant).ok_or_else(|| {
            ProviderError::auth("nothing says in which tenant to log in").hint("Set `azkv.tenant-id`.")
        })?;
        Ok(Login {
            entra: self.clone(),
            resource,
            tenant,
        })
    }
}

impl Login {
    async fn log_in(&self, cx: &FetchCx) -> Result<Grant, ProviderError> {
        let url = self
            .entra
            .authority
            .join([&*self.tenant, "oauth2", "v2.0", "token"]);
        let mut form = Form::default();
        form.add("client_id", self.entra.client_id.as_bytes());
        form.add("scope", format!("{}/.default", self.resource).as_bytes());
        form.add("grant_type", b"client_credentials");
        self.prove(&mut form, url.as_str(), cx).await?;
        let content_type = HeaderValue::from_static("application/x-www-form-urlencoded");
        let request = Request::post(url).body(content_type, form.0);
        let response = self.entra.http.send(request, cx).await?;
        match response.status.is_success() {
            true => Ok(granted(wire::token(response.body.bytes(), &response.place)?, cx)),
            false => Err(self.refused(&response, cx)),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the proof goes to whoever issued it")]
    async fn prove(&self, form: &mut Form, audience: &str, cx: &FetchCx) -> Result<(), ProviderError> {
        const BEARER: &[u8] = b"urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        match &self.entra.proof {
            Proof::Secret(secret) => form.add("client_secret", secret.read(cx).await?.expose()),
            Proof::Certificate { file, pass_phrase } => {
                form.add("client_assertion_type", BEARER);
                let signed = self.assertion(file, pass_phrase.as_ref(), audience, cx).await?;
                form.add("client_assertion", signed.as_bytes());
            }
            Proof::Federated(file) => {
                form.add("client_assertion_type", BEARER);
                let token = Credential::File(file.clone()).read(cx).await?;
                form.add("client_assertion", token.expose());
            }
        }
        Ok(())
    }

    /// A signed statement of who we are, with the certificate's thumbprints to find it by.
    async fn assertion(
        &self,
        file: &Path,
        pass_phrase: Option<&Credential>,
        audience: &str,
        cx: &FetchCx,
    ) -> Result<String, ProviderError> {
        let (certificate, key) = load(file, pass_phrase, cx).await?;
        let now = cx.clock.wall();
        let seconds = |time: SystemTime| {
            let since = time.duration_since(SystemTime::UNIX_EPOCH);
            since.unwrap_or_default().as_secs()
        };
        let mut id = [0; 16];
        SystemRandom::new()
            .fill(&mut id)
            .map_err(|_| ProviderError::unavailable("there is no randomness to make an assertion of"))?;
        let header = json!({
            "alg": "RS256",
            "typ": "JWT",
            "x5t": BASE64URL_NOPAD.encode(&certificate.sha1()),
            "x5t#S256": BASE64URL_NOPAD.encode(&certificate.sha256()),
        });
        let claims = json!({
            "aud": audience,
            "iss": self.entra.client_id,
            "sub": self.entra.client_id,
            "jti": HEXLOWER.encode(&id),
            "nbf": seconds(now),
            "iat": seconds(now),
            "exp": seconds(now + ASSERTION_LASTS),
        });
        let part = |json: serde_json::Value| BASE64URL_NOPAD.encode(json.to_string().as_bytes());
        let text = format!("{}.{}", part(header), part(claims));
        let signature = BASE64URL_NOPAD.encode(&key.sign(text.as_bytes())?);
        Ok(format!("{text}.{signature}"))
    }

    fn refused(&self, response: &Response, cx: &FetchCx) -> ProviderError {
        let told = wire::login_error(response);
        if !matches!(
            response.status,
            StatusCode::BAD_REQUEST
                | StatusCode::UNAUTHORIZED
                | StatusCode::FORBIDDEN
                | StatusCode::NOT_FOUND
        ) {
            return response.error();
        }
        if told.error.is_empty() {
            return wire::not_the_protocol(&response.place);
        }
        let number = told.error_codes.first().copied().unwrap_or_default();
        let (client, tenant) = (&self.entra.client_id, &self.tenant);
        let skew = Skew::of(response, cx.clock.wall()).filter(|skew| skew.by > Duration::from_secs(60));
        if number == 700_024
            && let Some(skew) = skew
        {
            return ProviderError::unavailable(format!(
                "{} refuses the assertion: this machine's clock is {skew} Microsoft's",
                response.place
            ))
            .hint("Set the clock, and let `chronyd` or `systemd-timesyncd` keep it; locket goes on asking.");
        }
        let (what, hint) = match number {
            7_000_215 => (
                "the client secret is wrong".to_owned(),
                "Use the secret's value, and not its id; a new one comes from `az ad app credential reset --id CLIENT-ID`.",
            ),
            7_000_222 => (
                "the client secret has expired".to_owned(),
                "Make a new one with `az ad app credential reset --id CLIENT-ID`, and write it to the file.",
            ),
            700_016 => (
                format!("the tenant {tenant} has no application {client}"),
                "Check `azkv.client-id` and `azkv.tenant-id`.",
            ),
            90_002 | 900_023 => (
                format!("there is no tenant {tenant}"),
                "Check `azkv.tenant-id`, and `azkv.cloud` or `azkv.authority-host`.",
            ),
            700_027 | 1_000_502 => (
                "the certificate is not registered with the application, or has expired".to_owned(),
                "Register its public half: `az ad app credential reset --id CLIENT-ID --cert @FILE --append`.",
            ),
            700_211 | 700_212 | 700_213 | 70_021 => (
                "the application trusts no token of this issuer, subject or audience".to_owned(),
                "Add a federated credential to the application that fits the token: `az identity federated-credential create`.",
            ),
            700_024 | 700_021 => (
                "the token in the federated token file has expired, or is not valid yet".to_owned(),
                "The platform replaces the file in time: check that `azkv.federated-token-file` is that file.",
            ),
            500_011 => (
                format!("the tenant {tenant} knows no key vaults of `{}`", self.resource),
                "Check `azkv.cloud` and the tenant.",
            ),
            53_003 => (
                "a conditional access policy refuses the login".to_owned(),
                "Ask whoever keeps the tenant to let this application in from here.",
            ),
            _ => (
                "the login is refused".to_owned(),
                "Look the number up on https://login.microsoftonline.com/error, and check `azkv.client-id`, `azkv.tenant-id` and the credential.",
            ),
        };
        let number = match number {
            0 => told.error,
            number => format!("AADSTS{number}"),
        };
        ProviderError::auth(format!("{}: {what} ({number})", response.place)).hint(hint)
    }
}

/// The certificate in a PEM file, and the key beside it.
async fn load(
    file: &Path,
    pass_phrase: Option<&Credential>,
    cx: &FetchCx,
) -> Result<(Certificate, SigningKey), ProviderError> {
    let shown = file.display();
    let text = Credential::File(file.to_owned()).read(cx).await?;
    #[expect(clippy::disallowed_methods, reason = "the key is read to sign with it")]
    let text = text.expose();
    if text.first() == Some(&0x30) {
        return Err(
            ProviderError::auth(format!("the certificate {shown} is in PFX form")).hint(format!(
                "Convert it: `openssl pkcs12 -in {shown} -out {shown}.pem -nodes`, and name the new file."
            )),
        );
    }
    let pass_phrase = Credential::read_if_given(pass_phrase, cx).await?;
    let wrong =
        |what: String, hint: &str| ProviderError::auth(format!("the certificate {shown} {what}")).hint(hint);
    let key = SigningKey::from_pem(text, pass_phrase.as_ref())
        .map_err(|error| wrong(error.to_string(), error.hint()))?;
    let certificates = Certificate::all_in(text).unwrap_or_default();
    // With a chain in the file, the key's own need not come first.
    let own = certificates
        .into_iter()
        .find(|certificate| certificate.is_of(&key));
    match own {
        Some(certificate) => Ok((certificate, key)),
        None => Err(wrong(
            "has no certificate that belongs to its key".to_owned(),
            "Put the certificate and its private key into one PEM file.",
        )),
    }
}

/// A body of `name=value` pairs, wiped when it is sent. Room is made in advance: what grows leaves copies.
struct Form(Zeroizing<Vec<u8>>);

impl Default for Form {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(32 << 10)))
    }
}

impl Form {
    fn add(&mut self, name: &str, value: &[u8]) {
        if !self.0.is_empty() {
            self.0.push(b'&');
        }
        self.0.extend_from_slice(name.as_bytes());
        self.0.push(b'=');
        for part in percent_encode(value, NON_ALPHANUMERIC) {
            self.0.extend_from_slice(part.as_bytes());
        }
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

    fn source<'a>(&'a self, cx: &'a FetchCx) -> BoxFuture<'a, Result<Vec<Stamp>, ProviderError>> {
        let file = match &self.entra.proof {
            Proof::Secret(secret) => secret.file(),
            Proof::Certificate { file, .. } | Proof::Federated(file) => Some(file.clone()),
        };
        Box::pin(Stamp::of_each(file.into_iter().collect(), cx))
    }
}
