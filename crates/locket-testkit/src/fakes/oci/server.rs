//! The three services' state and answers.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use data_encoding::BASE64;
use hyper::Method;
use locket_core::Clock;
use serde_json::{Value, json};

use super::identities::{ApiKey, Identities, Session};
use super::signature::{Host, Signature};
use super::vault::{Secret, State};
use crate::{Request, Response};

/// A tenancy without a socket: [`Oci::answer`] is the handler of a [`crate::Server`], for all three services.
///
/// Clones are one tenancy.
#[derive(Clone, Debug)]
pub struct Oci(Arc<Mutex<Tenancy>>);

#[derive(Debug)]
struct Tenancy {
    identities: Identities,
    vaults: usize,
    secrets: Vec<Secret>,
    /// OCIDs of secrets that no policy lets anybody read.
    denied: HashSet<String>,
    /// The time by which it lives; without one, the machine's.
    clock: Option<Arc<dyn Clock>>,
    region: Region,
    /// By how much a request's time may be off: five minutes, as the service grants.
    skew: Duration,
}

#[derive(Clone, Debug)]
struct Region {
    name: String,
    domain: String,
}

impl Default for Oci {
    fn default() -> Self {
        Self::new()
    }
}

impl Oci {
    /// A tenancy that lives by the machine's clock.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Tenancy {
            identities: Identities::new(),
            vaults: 0,
            secrets: Vec::new(),
            denied: HashSet::new(),
            clock: None,
            region: Region {
                name: "us-ashburn-1".to_owned(),
                domain: "oraclecloud.com".to_owned(),
            },
            skew: Duration::from_secs(5 * 60),
        })))
    }

    /// A tenancy that lives by the clock of a test.
    pub fn by(clock: Arc<dyn Clock>) -> Self {
        let tenancy = Self::new();
        tenancy.lock().clock = Some(clock);
        tenancy
    }

    /// Adds a vault and gives its OCID.
    pub fn add_vault(&self) -> String {
        let mut tenancy = self.lock();
        tenancy.vaults += 1;
        format!("ocid1.vault.oc1.iad.bbbbbbbb.vault{}", tenancy.vaults)
    }

    /// Adds a secret to a vault and gives its OCID.
    pub fn add_secret(&self, vault: &str, name: &str, content: &[u8]) -> String {
        let mut tenancy = self.lock();
        let id = format!(
            "ocid1.vaultsecret.oc1.iad.aaaaaaaasecret{}",
            tenancy.secrets.len() + 1
        );
        tenancy
            .secrets
            .push(Secret::new(id.clone(), vault, name, content));
        id
    }

    /// Gives a secret a new version, which becomes the current one.
    pub fn rotate(&self, secret: &str, content: &[u8]) {
        self.change(secret, |secret| secret.add(content, None));
    }

    /// The same with a name for the version.
    pub fn rotate_named(&self, secret: &str, content: &[u8], name: &str) {
        self.change(secret, |secret| secret.add(content, Some(name)));
    }

    /// Gives a secret a new version that waits to become the current one.
    pub fn add_pending(&self, secret: &str, content: &[u8]) {
        self.change(secret, |secret| secret.add_pending(content));
    }

    /// Schedules the deletion of one version.
    pub fn end_version(&self, secret: &str, number: u64) {
        self.change(secret, |secret| secret.end_version(number));
    }

    /// Schedules the deletion of a secret.
    pub fn schedule_deletion(&self, secret: &str) {
        self.change(secret, |secret| secret.state = State::Ending);
    }

    /// Deletes a secret.
    pub fn delete(&self, secret: &str) {
        self.change(secret, |secret| secret.state = State::Gone);
    }

    /// Takes away the policy that lets a secret be read.
    pub fn deny(&self, secret: &str) {
        self.lock().denied.insert(secret.to_owned());
    }

    /// A new key of the user.
    pub fn api_key(&self) -> ApiKey {
        self.lock().identities.api_key()
    }

    /// Deletes all keys of the user.
    pub fn revoke_api_keys(&self) {
        self.lock().identities.revoke_api_keys();
    }

    /// A token with a key of its own, as a user's session or a platform gets it.
    pub fn session(&self, lifetime: Duration) -> Session {
        let mut tenancy = self.lock();
        let now = tenancy.now();
        tenancy.identities.session(lifetime, now)
    }

    /// Ends all tokens.
    pub fn end_tokens(&self) {
        self.lock().identities.end_tokens();
    }

    /// How long tokens last that are made of certificates.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.lock().identities.token_lifetime = lifetime;
    }

    /// Gives the instance another certificate; the one before counts no more. `number` chooses its key.
    pub fn renew_certificate(&self, number: usize) {
        let mut tenancy = self.lock();
        let id = tenancy.identities.tenancy.clone();
        tenancy.identities.instance.renew(&id, number);
    }

    /// The instance's certificate counts no more.
    pub fn distrust_instance(&self) {
        self.lock().identities.instance.distrust();
    }

    /// By how much a client's clock may be off, for tests in which time jumps.
    pub fn tolerate(&self, skew: Duration) {
        self.lock().skew = skew;
    }

    /// Moves the instance to another region, of a realm with this domain.
    pub fn move_instance(&self, region: &str, domain: &str) {
        self.lock().region = Region {
            name: region.to_owned(),
            domain: domain.to_owned(),
        };
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Response {
        let mut tenancy = self.lock();
        let response = tenancy
            .route(request)
            .unwrap_or_else(|refusal| refusal.response());
        response
            .with_header("date", &httpdate::fmt_http_date(tenancy.now()))
            .with_header("opc-request-id", "0123456789ABCDEF")
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Secret)) {
        let mut tenancy = self.lock();
        let found = tenancy.secrets.iter_mut().find(|secret| secret.id == id);
        change(found.expect("the test added the secret"));
    }

    fn lock(&self) -> MutexGuard<'_, Tenancy> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An error as all services send it.
struct Refusal {
    status: u16,
    code: &'static str,
    message: &'static str,
}

const NOT_AUTHENTICATED: Refusal = Refusal {
    status: 401,
    code: "NotAuthenticated",
    message: "The required information to complete authentication was not provided or was incorrect.",
};

const NOT_FOUND: Refusal = Refusal {
    status: 404,
    code: "NotAuthorizedOrNotFound",
    message: "Authorization failed or requested resource not found.",
};

impl Refusal {
    fn response(&self) -> Response {
        Response::json(self.status, &json!({"code": self.code, "message": self.message}))
    }
}

impl Tenancy {
    fn now(&self) -> SystemTime {
        #[expect(
            clippy::disallowed_methods,
            reason = "a client that is not ours lives by the machine's clock"
        )]
        self.clock
            .as_ref()
            .map_or_else(SystemTime::now, |clock| clock.wall())
    }

    fn route(&mut self, request: &Request) -> Result<Response, Refusal> {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match (&request.method, &segments[..]) {
            (&Method::GET, ["opc", "v2", path @ ..]) => Ok(self.metadata(request, path)),
            (&Method::POST, ["v1", "x509"]) => self.federate(request),
            (&Method::GET, ["20190301", "secretbundles", id]) => {
                self.authenticate(request)?;
                self.bundle(request, |secret| secret.id == *id)
            }
            (&Method::POST, ["20190301", "secretbundles", "actions", "getByName"]) => {
                self.authenticate(request)?;
                let (name, vault) = (request.param("secretName"), request.param("vaultId"));
                let (Some(name), Some(vault)) = (name, vault) else {
                    return Err(Refusal {
                        status: 400,
                        code: "InvalidParameter",
                        message: "secretName and vaultId are required",
                    });
                };
                self.bundle(request, |secret| secret.name == name && secret.vault == vault)
            }
            _ => Err(Refusal {
                status: 404,
                code: "NotFound",
                message: "There is no operation at this path.",
            }),
        }
    }

    fn authenticate(&self, request: &Request) -> Result<(), Refusal> {
        let now = self.now();
        let signature = Signature::of(request).ok_or(NOT_AUTHENTICATED)?;
        let public = self
            .identities
            .public_info(signature.key_id, now)
            .ok_or(NOT_AUTHENTICATED)?;
        match signature.is_good(request, Host::Signed, &public, now, self.skew) {
            true => Ok(()),
            false => Err(NOT_AUTHENTICATED),
        }
    }

    fn bundle(&self, request: &Request, is_it: impl Fn(&Secret) -> bool) -> Result<Response, Refusal> {
        let secret = self
            .secrets
            .iter()
            .find(|secret| is_it(secret))
            .ok_or(NOT_FOUND)?;
        if self.denied.contains(&secret.id) {
            return Err(NOT_FOUND);
        }
        match secret.state {
            State::Active => {}
            State::Ending => {
                return Err(Refusal {
                    status: 409,
                    code: "IncorrectState",
                    message: "The secret is not in a state in which it can be read.",
                });
            }
            State::Gone => return Err(NOT_FOUND),
        }
        let param = |name| request.param(name);
        let bundle = secret.bundle(
            param("stage").as_deref(),
            param("versionNumber").as_deref(),
            param("secretVersionName").as_deref(),
        );
        Ok(Response::json(200, &bundle.ok_or(NOT_FOUND)?))
    }

    /// `POST /v1/x509`: the request is signed with the certificate's key, and the token is for another.
    fn federate(&mut self, request: &Request) -> Result<Response, Refusal> {
        let now = self.now();
        let instance = &self.identities.instance;
        let body: Value = request.json().ok_or(NOT_AUTHENTICATED)?;
        let der = |value: &Value| BASE64.decode(value.as_str()?.as_bytes()).ok();
        let certificate = der(&body["certificate"]).ok_or(NOT_AUTHENTICATED)?;
        let public = der(&body["publicKey"]).ok_or(NOT_AUTHENTICATED)?;
        let chain = body["intermediateCertificates"]
            .as_array()
            .ok_or(NOT_AUTHENTICATED)?;
        let is_chained = chain
            .iter()
            .filter_map(der)
            .any(|der| der == instance.intermediate_der());
        let signature = Signature::of(request).ok_or(NOT_AUTHENTICATED)?;
        let is_signed = signature.key_id == instance.key_id(&self.identities.tenancy)
            && signature.is_good(request, Host::Unsigned, instance.public_info(), now, self.skew);
        if !instance.is_shown(&certificate) || !is_chained || !is_signed {
            return Err(NOT_AUTHENTICATED);
        }
        let token = self
            .identities
            .token(&public, self.identities.token_lifetime, now);
        Ok(Response::json(200, &json!({"token": token})))
    }

    fn metadata(&self, request: &Request, path: &[&str]) -> Response {
        if request.bearer() != Some("Oracle") {
            return Response::text(401, "unauthorized");
        }
        let instance = &self.identities.instance;
        let Region { name, domain } = &self.region;
        match path {
            ["identity", "cert.pem"] => Response::text(200, &*instance.certificate),
            ["identity", "key.pem"] => Response::text(200, instance.key_pem()),
            ["identity", "intermediate.pem"] => Response::text(200, instance.intermediate()),
            ["instance", "region"] => Response::text(
                200,
                match name.as_str() {
                    "us-ashburn-1" => "iad",
                    name => name,
                },
            ),
            ["instance", "regionInfo"] => Response::json(
                200,
                &json!({"realmDomainComponent": domain, "realmKey": "oc1", "regionIdentifier": name, "regionKey": "XYZ"}),
            ),
            _ => Response::text(404, "not found"),
        }
    }
}
