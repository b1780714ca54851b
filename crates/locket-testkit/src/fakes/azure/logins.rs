//! Who gets tokens: applications by secret, certificate or federated token; the machine by where it asks.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, SystemTime};

use data_encoding::BASE64URL_NOPAD;
use rcgen::{CertificateParams, DnType};
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use serde_json::{Value, json};

use crate::jwt::unsigned;
use crate::rsa_key::verifies;
use crate::{Request, Response, RsaKey};

/// An application and what it proves itself with.
#[derive(Clone, Debug)]
pub struct Application {
    /// The tenant's id.
    pub tenant: String,
    /// The application's id.
    pub client_id: String,
    /// Its secret.
    pub secret: String,
    /// Its certificate and key, as PEM.
    pub certificate_pem: String,
    /// A token of an issuer that it trusts.
    pub federated_token: String,
}

#[derive(Debug)]
pub(super) struct Logins {
    pub(super) tenant: String,
    client_id: String,
    secrets: HashSet<String>,
    expired_secrets: HashSet<String>,
    /// Certificates' thumbprints, of both kinds, with their public keys.
    certificates: HashMap<String, Vec<u8>>,
    federated: HashSet<String>,
    pub(super) machine_has_identity: bool,
    /// What App Service wants to be shown.
    pub(super) identity_header: String,
    tokens: HashMap<String, Token>,
    made: usize,
    pub(super) lifetime: Duration,
    /// By how much the times of an assertion may be off: five minutes, as Entra grants.
    pub(super) grace: Duration,
}

#[derive(Debug)]
struct Token {
    resource: String,
    ends: SystemTime,
}

/// Why there is no token: Entra's number, and the word of the protocol.
type Refusal = (u64, &'static str);

const WRONG_SECRET: Refusal = (7_000_215, "invalid_client");
const EXPIRED_SECRET: Refusal = (7_000_222, "invalid_client");
const UNKNOWN_CERTIFICATE: Refusal = (700_027, "invalid_client");
const ASSERTION_TIME: Refusal = (700_024, "invalid_client");
const NO_FEDERATION: Refusal = (700_213, "invalid_client");
const UNKNOWN_APPLICATION: Refusal = (700_016, "unauthorized_client");
const UNKNOWN_TENANT: Refusal = (90_002, "invalid_request");
const BAD_REQUEST: Refusal = (900_144, "invalid_request");

impl Logins {
    pub(super) fn new() -> Self {
        Self {
            tenant: "11111111-2222-4333-8444-555555555555".to_owned(),
            client_id: "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee".to_owned(),
            secrets: HashSet::new(),
            expired_secrets: HashSet::new(),
            certificates: HashMap::new(),
            federated: HashSet::new(),
            machine_has_identity: true,
            identity_header: "word-of-the-platform".to_owned(),
            tokens: HashMap::new(),
            made: 0,
            lifetime: Duration::from_secs(3599),
            grace: Duration::from_secs(5 * 60),
        }
    }

    /// New proofs of the application.
    pub(super) fn application(&mut self, now: SystemTime) -> Application {
        self.made += 1;
        let secret = format!("Sec~ret.{}+/=&%{}", self.made, "x".repeat(20));
        self.secrets.insert(secret.clone());
        let key = RsaKey::number(self.made);
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "application");
        let certificate = params
            .self_signed(&key.key_pair())
            .expect("a certificate can be signed");
        let sha1 = digest(&SHA1_FOR_LEGACY_USE_ONLY, certificate.der());
        for thumbprint in [sha1, digest(&SHA256, certificate.der())] {
            let thumbprint = BASE64URL_NOPAD.encode(thumbprint.as_ref());
            self.certificates.insert(thumbprint, key.public_info().to_vec());
        }
        let federated_token = unsigned(&json!({
            "iss": "https://cluster.example", "sub": "system:serviceaccount:default:app",
            "aud": "api://AzureADTokenExchange", "jti": self.made, "exp": since(now) + 3600,
        }));
        self.federated.insert(federated_token.clone());
        Application {
            tenant: self.tenant.clone(),
            client_id: self.client_id.clone(),
            secret,
            certificate_pem: format!("{}{}", key.pem(), certificate.pem()),
            federated_token,
        }
    }

    /// Nothing that the application was given counts any more.
    pub(super) fn revoke_application(&mut self) {
        self.secrets.clear();
        self.certificates.clear();
        self.federated.clear();
    }

    pub(super) fn expire_secrets(&mut self) {
        self.expired_secrets.extend(self.secrets.drain());
    }

    pub(super) fn end_tokens(&mut self) {
        self.tokens.clear();
    }

    /// Whether `token` is one for `resource` that counts.
    pub(super) fn accepts(&self, token: &str, resource: &str, now: SystemTime) -> bool {
        self.tokens
            .get(token)
            .is_some_and(|known| known.resource == resource && now < known.ends)
    }

    /// A token for `resource`.
    pub(super) fn token(&mut self, resource: &str, now: SystemTime) -> Value {
        self.made += 1;
        let ends = now + self.lifetime;
        let token = unsigned(&json!({
            "aud": resource, "tid": self.tenant, "iat": since(now), "exp": since(ends), "uti": self.made,
        }));
        let known = Token {
            resource: resource.to_owned(),
            ends,
        };
        self.tokens.insert(token.clone(), known);
        json!({
            "token_type": "Bearer",
            "expires_in": self.lifetime.as_secs(),
            "ext_expires_in": self.lifetime.as_secs(),
            "access_token": token,
        })
    }

    /// `POST /TENANT/oauth2/v2.0/token`.
    pub(super) fn log_in(
        &mut self,
        tenant: &str,
        request: &Request,
        host: &str,
        now: SystemTime,
    ) -> Response {
        match self.proven(tenant, request, host, now) {
            Ok(resource) => Response::json(200, &self.token(&resource, now)),
            Err((number, error)) => Response::json(
                if error == "invalid_client" { 401 } else { 400 },
                &json!({
                    "error": error,
                    "error_description": format!("AADSTS{number}: what Entra says of it."),
                    "error_codes": [number],
                    "trace_id": "0", "correlation_id": "0", "timestamp": "2024-05-02 18:33:00Z",
                }),
            ),
        }
    }

    fn proven(
        &self,
        tenant: &str,
        request: &Request,
        host: &str,
        now: SystemTime,
    ) -> Result<String, Refusal> {
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let form = Request::get(&format!("/?{form}"));
        let field = |name: &str| form.param(name).ok_or(BAD_REQUEST);
        if tenant != self.tenant {
            return Err(UNKNOWN_TENANT);
        }
        if field("client_id")? != self.client_id {
            return Err(UNKNOWN_APPLICATION);
        }
        if field("grant_type")? != "client_credentials" {
            return Err(BAD_REQUEST);
        }
        let scope = field("scope")?;
        let resource = scope.strip_suffix("/.default").ok_or(BAD_REQUEST)?.to_owned();
        if let Some(secret) = form.param("client_secret") {
            return match (
                self.secrets.contains(&secret),
                self.expired_secrets.contains(&secret),
            ) {
                (true, _) => Ok(resource),
                (_, true) => Err(EXPIRED_SECRET),
                _ => Err(WRONG_SECRET),
            };
        }
        if field("client_assertion_type")? != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
            return Err(BAD_REQUEST);
        }
        let assertion = field("client_assertion")?;
        if self.federated.contains(&assertion) {
            return Ok(resource);
        }
        let audience = format!("https://{host}/{tenant}/oauth2/v2.0/token");
        self.signed(&assertion, &audience, now).map(|()| resource)
    }

    /// Whether an assertion is signed by a certificate of the application, for this login, now.
    fn signed(&self, assertion: &str, audience: &str, now: SystemTime) -> Result<(), Refusal> {
        let parts: Vec<&str> = assertion.split('.').collect();
        let [header, claims, signature] = parts[..] else {
            return Err(NO_FEDERATION);
        };
        let decoded = |part: &str| BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| NO_FEDERATION);
        let json = |part: &str| -> Result<Value, Refusal> {
            serde_json::from_slice(&decoded(part)?).map_err(|_| NO_FEDERATION)
        };
        let (head, told) = (json(header)?, json(claims)?);
        let thumbprint = |name: &str| self.certificates.get(head[name].as_str()?.trim_end_matches('='));
        if head["x5t"].is_null() && head["x5t#S256"].is_null() {
            return Err(NO_FEDERATION);
        }
        let key = thumbprint("x5t")
            .or_else(|| thumbprint("x5t#S256"))
            .ok_or(UNKNOWN_CERTIFICATE)?;
        let text = format!("{header}.{claims}");
        let is_signed = head["alg"] == "RS256" && verifies(key, text.as_bytes(), &decoded(signature)?);
        let is_ours = told["iss"] == *self.client_id && told["sub"] == *self.client_id;
        if !is_signed || !is_ours || told["aud"] != *audience || told["jti"].is_null() {
            return Err(UNKNOWN_CERTIFICATE);
        }
        // Some clients write fractions.
        let at = |name: &str| told[name].as_f64().unwrap_or_default();
        let (now, grace) = (since(now) as f64, self.grace.as_secs_f64());
        let is_timely = now < at("exp") + grace && at("nbf") <= now + grace;
        match is_timely {
            true => Ok(()),
            false => Err(ASSERTION_TIME),
        }
    }
}

/// Seconds since 1970.
fn since(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .expect("tests are after 1970")
        .as_secs()
}
