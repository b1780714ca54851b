//! The services' state and answers. Which vault is asked, the host says: `NAME.vault.localhost`.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::Method;
use locket_core::Clock;
use serde_json::json;

use super::logins::{Application, Logins};
use super::vault::Secret;
use crate::{Request, Response};

/// A tenant without a socket: [`Azure::answer`] is the handler of a [`crate::Server`] with TLS, for all services.
///
/// Clones are one tenant.
#[derive(Clone, Debug)]
pub struct Azure(Arc<Mutex<Tenant>>);

#[derive(Debug)]
struct Tenant {
    logins: Logins,
    secrets: Vec<Secret>,
    /// The time by which it lives; without one, the machine's.
    clock: Option<Arc<dyn Clock>>,
    /// What a vault's challenge names as resource instead of what it should.
    resource: Option<String>,
    /// Where Azure Arc's agent keeps its key.
    arc_key: Option<PathBuf>,
}

/// The most secrets of one page.
const PAGE: usize = 25;

impl Default for Azure {
    fn default() -> Self {
        Self::new()
    }
}

impl Azure {
    /// A tenant that lives by the machine's clock.
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(Tenant {
            logins: Logins::new(),
            secrets: Vec::new(),
            clock: None,
            resource: None,
            arc_key: None,
        })))
    }

    /// A tenant that lives by the clock of a test.
    pub fn by(clock: Arc<dyn Clock>) -> Self {
        let tenant = Self::new();
        tenant.lock().clock = Some(clock);
        tenant
    }

    /// Sets a secret of a vault, which is made with its first, and gives the id of the new version.
    pub fn set(&self, vault: &str, name: &str, value: &str) -> String {
        let mut tenant = self.lock();
        if tenant.find(vault, name).is_none() {
            tenant.secrets.push(Secret::new(vault, name));
        }
        tenant.find(vault, name).expect("it was made just now").add(value)
    }

    /// Disables the current version of a secret.
    pub fn disable(&self, vault: &str, name: &str) {
        self.change(vault, name, Secret::disable);
    }

    /// Deletes a secret, which can be recovered.
    pub fn delete(&self, vault: &str, name: &str) {
        self.change(vault, name, |secret| secret.is_deleted = true);
    }

    /// Takes away the role that lets a secret be read.
    pub fn deny(&self, vault: &str, name: &str) {
        self.change(vault, name, |secret| secret.is_denied = true);
    }

    /// New proofs of the application, beside those that it has.
    pub fn application(&self) -> Application {
        let mut tenant = self.lock();
        let now = tenant.now();
        tenant.logins.application(now)
    }

    /// All proofs of the application count no more.
    pub fn revoke_application(&self) {
        self.lock().logins.revoke_application();
    }

    /// The time of all secrets of the application is over.
    pub fn expire_secrets(&self) {
        self.lock().logins.expire_secrets();
    }

    /// Ends all tokens.
    pub fn end_tokens(&self) {
        self.lock().logins.end_tokens();
    }

    /// How long tokens last.
    pub fn set_token_lifetime(&self, lifetime: Duration) {
        self.lock().logins.lifetime = lifetime;
    }

    /// By how much a client's clock may be off, for tests in which time jumps.
    pub fn tolerate(&self, skew: Duration) {
        self.lock().logins.grace = skew;
    }

    /// Takes the machine's identity away.
    pub fn remove_identity(&self) {
        self.lock().logins.machine_has_identity = false;
    }

    /// Gives it back.
    pub fn assign_identity(&self) {
        self.lock().logins.machine_has_identity = true;
    }

    /// What App Service wants to be shown; a new one takes the place of the one before.
    pub fn identity_header(&self, word: &str) {
        word.clone_into(&mut self.lock().logins.identity_header);
    }

    /// Makes vaults ask for tokens for another service.
    pub fn ask_for(&self, resource: &str) {
        self.lock().resource = Some(resource.to_owned());
    }

    /// A token for `resource`, as the Azure CLI would get it.
    pub fn token(&self, resource: &str) -> String {
        let mut tenant = self.lock();
        let now = tenant.now();
        let token = tenant.logins.token(resource, now);
        token["access_token"].as_str().unwrap_or_default().to_owned()
    }

    /// The tenant's id.
    pub fn tenant(&self) -> String {
        self.lock().logins.tenant.clone()
    }

    /// The file whose content Azure Arc's agent wants to see.
    pub fn arc_key(&self, file: PathBuf) {
        self.lock().arc_key = Some(file);
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Response {
        let mut tenant = self.lock();
        let response = tenant.route(request);
        response
            .with_header("date", &httpdate::fmt_http_date(tenant.now()))
            .with_header("x-ms-request-id", "0123456789abcdef")
    }

    fn change(&self, vault: &str, name: &str, change: impl FnOnce(&mut Secret)) {
        let mut tenant = self.lock();
        change(tenant.find(vault, name).expect("the test set the secret"));
    }

    fn lock(&self) -> MutexGuard<'_, Tenant> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tenant {
    fn now(&self) -> SystemTime {
        #[expect(
            clippy::disallowed_methods,
            reason = "a client that is not ours lives by the machine's clock"
        )]
        self.clock
            .as_ref()
            .map_or_else(SystemTime::now, |clock| clock.wall())
    }

    fn find(&mut self, vault: &str, name: &str) -> Option<&mut Secret> {
        self.secrets
            .iter_mut()
            .find(|secret| secret.vault == vault && secret.name.eq_ignore_ascii_case(name))
    }

    fn route(&mut self, request: &Request) -> Response {
        let now = self.now();
        let host = request
            .header("x-forwarded-host")
            .or_else(|| request.header("host"));
        let host = host.unwrap_or_default().to_owned();
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        match (&request.method, &segments[..]) {
            (&Method::GET, ["secrets" | "deletedsecrets", ..]) => self.vault(request, &host, &segments),
            (&Method::POST, [tenant, "oauth2", "v2.0", "token"]) => {
                self.logins.log_in(tenant, request, &host, now)
            }
            (&Method::GET, [tenant, "v2.0", ".well-known", "openid-configuration"]) => {
                let at = |what: &str| format!("https://{host}/{tenant}/oauth2/v2.0/{what}");
                Response::json(
                    200,
                    &json!({
                        "token_endpoint": at("token"),
                        "authorization_endpoint": at("authorize"),
                        "device_authorization_endpoint": at("devicecode"),
                        "issuer": format!("https://{host}/{tenant}/v2.0"),
                    }),
                )
            }
            (&Method::GET, ["metadata", "identity", "oauth2", "token"]) => {
                match request.header("metadata") == Some("true") {
                    true => self.machine_token(request, "2018-02-01"),
                    false => bad_request("Required metadata header not specified"),
                }
            }
            (&Method::GET, ["msi", "token"]) => {
                let shown = request.header("x-identity-header");
                match shown == Some(self.logins.identity_header.as_str()) {
                    true => self.machine_token(request, "2019-08-01"),
                    false => Response::json(401, &json!({"statusCode": 401, "message": "Unauthorized"})),
                }
            }
            (&Method::GET, ["arc", "token"]) => self.arc_token(request),
            _ => Response::text(404, "no such page"),
        }
    }

    fn machine_token(&mut self, request: &Request, version: &str) -> Response {
        let now = self.now();
        if request.param("api-version").as_deref() != Some(version) {
            return bad_request("api-version");
        }
        let Some(resource) = request.param("resource") else {
            return bad_request("resource");
        };
        if !self.logins.machine_has_identity {
            return bad_request("Identity not found");
        }
        let token = self.logins.token(&resource, now);
        let lasts = self.logins.lifetime;
        let ends = (now + lasts)
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        // Machines get numbers as strings.
        Response::json(
            200,
            &json!({
                "access_token": token["access_token"],
                "expires_in": lasts.as_secs().to_string(),
                "expires_on": ends.as_secs().to_string(),
                "resource": resource,
                "token_type": "Bearer",
            }),
        )
    }

    fn arc_token(&mut self, request: &Request) -> Response {
        let Some(file) = self.arc_key.clone() else {
            return Response::text(404, "no such page");
        };
        let wanted = std::fs::read_to_string(&file).unwrap_or_default();
        let shown = request
            .header("authorization")
            .and_then(|text| text.strip_prefix("Basic "));
        match request.header("metadata") == Some("true") && shown == Some(wanted.trim()) {
            true => self.machine_token(request, "2020-06-01"),
            false => Response::status(401)
                .with_header("www-authenticate", &format!("Basic realm={}", file.display())),
        }
    }

    fn vault(&mut self, request: &Request, host: &str, path: &[&str]) -> Response {
        let (name, domain) = host.split_once('.').unwrap_or((host, ""));
        let resource = self
            .resource
            .clone()
            .unwrap_or_else(|| format!("https://{domain}"));
        let now = self.now();
        let is_known = request
            .bearer()
            .is_some_and(|token| self.logins.accepts(token, &resource, now));
        if !is_known {
            return self.challenge(domain, &resource, request.bearer().is_some());
        }
        if request.param("api-version").is_none() {
            return refusal(400, "BadParameter", None);
        }
        let found =
            |known: &Secret, wanted: &str| known.vault == name && known.name.eq_ignore_ascii_case(wanted);
        match path {
            ["secrets"] => self.list(request, host, name),
            ["deletedsecrets", wanted] => {
                let secret = self
                    .secrets
                    .iter()
                    .find(|known| found(known, wanted) && known.is_deleted);
                match secret {
                    Some(secret) => Response::json(200, &secret.deleted(host)),
                    None => refusal(404, "SecretNotFound", None),
                }
            }
            ["secrets", wanted, version @ ..] => {
                let secret = self
                    .secrets
                    .iter()
                    .find(|known| found(known, wanted) && !known.is_deleted);
                let Some(secret) = secret else {
                    return refusal(404, "SecretNotFound", None);
                };
                if secret.is_denied {
                    return refusal(403, "Forbidden", Some("ForbiddenByRbac"));
                }
                let version = version.first().copied().filter(|version| !version.is_empty());
                match secret.bundle(host, version) {
                    Some(Ok(bundle)) => Response::json(200, &bundle),
                    Some(Err(())) => refusal(403, "Forbidden", Some("SecretDisabled")),
                    None => refusal(404, "SecretNotFound", None),
                }
            }
            _ => Response::text(404, "no such page"),
        }
    }

    fn challenge(&self, domain: &str, resource: &str, has_token: bool) -> Response {
        let port = domain.rsplit_once(':').map_or("443", |(_, port)| port);
        let error = match has_token {
            true => r#", error="invalid_token", error_description="Error validating token""#,
            false => "",
        };
        let tenant = &self.logins.tenant;
        refusal(401, "Unauthorized", None).with_header(
            "www-authenticate",
            &format!(
                r#"Bearer authorization="https://localhost:{port}/{tenant}", resource="{resource}"{error}"#
            ),
        )
    }

    fn list(&self, request: &Request, host: &str, vault: &str) -> Response {
        let number = |name: &str| request.param(name).and_then(|text| text.parse::<usize>().ok());
        let size = number("maxresults").unwrap_or(PAGE).min(PAGE);
        let from = number("$skiptoken").unwrap_or_default();
        let own = self
            .secrets
            .iter()
            .filter(|secret| secret.vault == vault && !secret.is_deleted);
        let all: Vec<_> = own.map(|secret| secret.item(host)).collect();
        let next = (from + size < all.len()).then(|| {
            let skip = from + size;
            format!("https://{host}/secrets?api-version=7.4&$skiptoken={skip}&maxresults={size}")
        });
        let page: Vec<_> = all.into_iter().skip(from).take(size).collect();
        Response::json(200, &json!({"value": page, "nextLink": next}))
    }
}

fn refusal(status: u16, code: &str, inner: Option<&str>) -> Response {
    let mut error = json!({"code": code, "message": "what a vault says of it"});
    if let Some(inner) = inner {
        error["innererror"] = json!({"code": inner});
    }
    Response::json(status, &json!({"error": error}))
}

fn bad_request(what: &str) -> Response {
    Response::json(
        400,
        &json!({"error": "invalid_request", "error_description": what}),
    )
}
