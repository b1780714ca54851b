//! The server's state and its answers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::identity::{Identities, Login, Refusal, Role};
use super::model::{Generations, Place, Secret, Stored};
use crate::{Request, Response};

/// An Infisical without a socket: [`Infisical::answer`] is the handler of a [`crate::Server`].
///
/// Clones are one server.
#[derive(Clone, Debug, Default)]
pub struct Infisical(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    stored: Stored,
    identities: Identities,
    generations: Generations,
}

impl Infisical {
    /// A server without projects and identities, of both generations.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with other requests for secrets.
    #[must_use]
    pub fn speaking(self, generations: Generations) -> Self {
        self.speak(generations);
        self
    }

    /// Changes the requests for secrets that the server has, as an upgrade does.
    pub fn speak(&self, generations: Generations) {
        self.lock().generations = generations;
    }

    /// Adds an empty folder, with its project and environment. The root of an environment is `/`.
    pub fn add_folder(&self, project: &str, environment: &str, path: &str) {
        let place = place(project, environment, path);
        self.lock().stored.folders.entry(place).or_default();
    }

    /// Puts a secret into a folder, in place of one of its name and type.
    pub fn put(&self, (project, environment, path): (&str, &str, &str), secret: Secret) {
        let mut state = self.lock();
        let folder = state
            .stored
            .folders
            .entry(place(project, environment, path))
            .or_default();
        let same = |known: &&mut Secret| known.key == secret.key && known.is_personal == secret.is_personal;
        match folder.secrets.iter_mut().find(same) {
            Some(known) => {
                let version = known.version + 1;
                *known = Secret { version, ..secret };
            }
            None => folder.secrets.push(secret),
        }
    }

    /// Removes a secret of any type.
    pub fn remove(&self, (project, environment, path): (&str, &str, &str), key: &str) {
        let mut state = self.lock();
        if let Some(folder) = state.stored.folders.get_mut(&place(project, environment, path)) {
            folder.secrets.retain(|secret| secret.key != key);
        }
    }

    /// Lets a folder import another one, before those that it imports already.
    ///
    /// # Panics
    /// There is no such folder.
    pub fn import(&self, into: (&str, &str, &str), from: (&str, &str, &str)) {
        let mut state = self.lock();
        let folder = state.stored.folders.get_mut(&place(into.0, into.1, into.2));
        let folder = folder.expect("the test added the folder");
        folder.imports.push(place(from.0, from.1, from.2));
    }

    /// A machine identity that logs in so; gives its number.
    pub fn identity(&self, login: Login) -> usize {
        self.lock().identities.add(Some(login))
    }

    /// A token for an identity of its own, which cannot log in, and the identity's number.
    pub fn token(&self) -> (String, usize) {
        let mut state = self.lock();
        let identity = state.identities.add(None);
        (state.identities.issue(identity), identity)
    }

    /// Gives an identity a role for the secrets of an environment, or takes it away.
    pub fn grant(&self, identity: usize, project: &str, environment: &str, role: Option<Role>) {
        self.lock().identities.grant(identity, project, environment, role);
    }

    /// Ends an identity's login and revokes its tokens.
    pub fn revoke(&self, identity: usize) {
        self.lock().identities.revoke(identity);
    }

    /// Ends the time of every token.
    pub fn end_tokens(&self) {
        self.lock().identities.end_tokens();
    }

    /// What tokens from now on last; zero for no end. Two hours unless this says otherwise; none ends by itself here.
    pub fn tokens_last(&self, lifetime: Duration) {
        self.lock().identities.last(lifetime);
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Response {
        match self.lock().route(request) {
            Ok(body) => Response::json(200, &body),
            Err(refusal) => refused(refusal),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn route(&mut self, request: &Request) -> Result<Value, Refusal> {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let ["api", path @ ..] = segments.as_slice() else {
            return Err(no_route(request));
        };
        let (has_third, has_fourth) = match self.generations {
            Generations::Third => (true, false),
            Generations::Fourth => (false, true),
            Generations::Both => (true, true),
        };
        let is_post = request.method == Method::POST;
        let body = || {
            let json = request.json::<Value>();
            json.unwrap_or_else(|| form(request))
        };
        match path {
            ["v1", "auth", "token", "renew"] if is_post => self.identities.renew(&body()),
            ["v1", "auth", login, "login"] if is_post => self.identities.log_in(login, &body()),
            ["v4", "secrets", key @ ..] if has_fourth && !is_post => self.secrets(key, "projectId", request),
            ["v3", "secrets", "raw", key @ ..] if has_third && !is_post => {
                self.secrets(key, "workspaceId", request)
            }
            _ => Err(no_route(request)),
        }
    }

    fn secrets(&self, key: &[&str], project: &str, request: &Request) -> Result<Value, Refusal> {
        let identity = self.identities.check(request.bearer().unwrap_or_default())?;
        let param = |name: &str| request.param(name).filter(|text| !text.is_empty());
        let is_true = |name: &str| param(name).as_deref() == Some("true");
        let (Some(project), Some(environment)) = (param(project), param("environment")) else {
            return Err((400, "BadRequest", "Missing project id or environment".to_owned()));
        };
        let path = param("secretPath").unwrap_or_else(|| "/".to_owned());
        let place = place(&project, &environment, &path);
        let not_found = |what: String| (404, "NotFound", what);
        let projects = || self.stored.folders.keys();
        if !projects().any(|known| known.0 == project) {
            return Err(not_found(format!("Project with ID '{project}' not found")));
        }
        let denied = || {
            (
                403,
                "PermissionDenied",
                "You are not allowed to read on secrets".to_owned(),
            )
        };
        let role = self.identities.role(identity, &project, &environment);
        let role = role.ok_or_else(|| match projects().any(|known| known.1 == environment) {
            true => denied(),
            false => not_found(format!("Environment with slug '{environment}' not found")),
        })?;
        let with_imports = is_true("include_imports");
        let sight = match param("viewSecretValue").as_deref() {
            Some("false") => super::model::Sight::Hidden,
            _ => role.sight(),
        };
        match key {
            [] if role == Role::ReadSingle => Err(denied()),
            [] => {
                let list = self
                    .stored
                    .list(&place, with_imports, sight, |key| role.covers(key));
                list.ok_or_else(|| {
                    not_found(format!(
                        "Folder with path '{path}' in environment with slug '{environment}' not found"
                    ))
                })
            }
            [key] => {
                let is_personal = param("type").as_deref() == Some("personal");
                match self.stored.find(&place, key, is_personal, with_imports, sight) {
                    Some(_) if !role.covers(key) => Err(denied()),
                    Some(secret) => Ok(json!({ "secret": secret })),
                    None => Err(not_found(format!("Secret with name '{key}' not found"))),
                }
            }
            _ => Err(no_route(request)),
        }
    }
}

/// Numbers that look random and are the same each time.
pub(super) fn number(of: &str) -> Vec<u8> {
    ring::digest::digest(&ring::digest::SHA256, of.as_bytes())
        .as_ref()
        .to_vec()
}

/// The fields of a login by a signed token, which older clients send as a form.
fn form(request: &Request) -> Value {
    let field = |name| request.form_field(name);
    json!({ "identityId": field("identityId"), "jwt": field("jwt") })
}

fn place(project: &str, environment: &str, path: &str) -> Place {
    let path = match path.trim_end_matches('/') {
        "" => "/",
        path => path,
    };
    (project.to_owned(), environment.to_owned(), path.to_owned())
}

/// What the framework says of an address that leads nowhere, before the API has a word.
fn no_route(request: &Request) -> Refusal {
    (
        404,
        "Not Found",
        format!("Route {}:{} not found", request.method, request.target()),
    )
}

fn refused((status, error, message): Refusal) -> Response {
    let mut body = json!({ "statusCode": status, "message": message, "error": error });
    if error != "Not Found" {
        body["reqId"] = json!("req-fake");
    }
    Response::json(status, &body)
}
