//! The server's state and its answers.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use super::seal::{Key, digest};
use super::session::{Account, Accounts};
use crate::http::Body;
use crate::{Request, Response};

/// Identity server (below `/identity`) and API (below `/api`) of one organization, without a socket:
/// [`Bitwarden::answer`] is the handler of a [`crate::Server`].
///
/// Clones are one server.
#[derive(Clone, Debug)]
pub struct Bitwarden(Arc<Mutex<Organization>>);

#[derive(Debug)]
struct Organization {
    id: String,
    key: Key,
    projects: Vec<Project>,
    secrets: Vec<Secret>,
    accounts: Accounts,
    /// Everything that was numbered so far: ids, vectors, revisions.
    count: u64,
}

#[derive(Debug)]
struct Project {
    id: String,
    name: String,
}

#[derive(Debug)]
struct Secret {
    id: String,
    key: String,
    value: String,
    projects: Vec<String>,
    revision: u64,
    is_broken: bool,
}

impl Default for Bitwarden {
    fn default() -> Self {
        Self::new()
    }
}

impl Bitwarden {
    /// An organization without projects, secrets and machine accounts. No two have anything in common.
    pub fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let id = uuid(&format!("organization {number} of {}", std::process::id()));
        Self(Arc::new(Mutex::new(Organization {
            key: Key::made_of(&id),
            id,
            projects: Vec::new(),
            secrets: Vec::new(),
            accounts: Accounts::default(),
            count: 0,
        })))
    }

    /// The organization's id.
    pub fn organization(&self) -> String {
        self.lock().id.clone()
    }

    /// Adds a project and gives its id.
    pub fn add_project(&self, name: &str) -> String {
        let mut organization = self.lock();
        let id = organization.next_id();
        organization.projects.push(Project {
            id: id.clone(),
            name: name.to_owned(),
        });
        id
    }

    /// Gives a project another name.
    ///
    /// # Panics
    /// There is no such project.
    pub fn rename_project(&self, project: &str, name: &str) {
        let mut organization = self.lock();
        let mut projects = organization.projects.iter_mut();
        let found = projects.find(|known| known.id == project);
        name.clone_into(&mut found.expect("the test added the project").name);
    }

    /// Removes a project; its secrets stay, in no project.
    pub fn remove_project(&self, project: &str) {
        let mut organization = self.lock();
        organization.projects.retain(|known| known.id != project);
        for secret in &mut organization.secrets {
            secret.projects.retain(|known| known != project);
        }
    }

    /// Adds a secret to a project and gives its id. Keys need not differ.
    pub fn add_secret(&self, project: &str, key: &str, value: &str) -> String {
        let mut organization = self.lock();
        let id = organization.next_id();
        let revision = organization.next();
        organization.secrets.push(Secret {
            id: id.clone(),
            key: key.to_owned(),
            value: value.to_owned(),
            projects: vec![project.to_owned()],
            revision,
            is_broken: false,
        });
        id
    }

    /// Gives a secret another value.
    pub fn set_value(&self, secret: &str, value: &str) {
        self.change(secret, |secret| value.clone_into(&mut secret.value));
    }

    /// Gives a secret another key.
    pub fn rename_secret(&self, secret: &str, key: &str) {
        self.change(secret, |secret| key.clone_into(&mut secret.key));
    }

    /// Moves a secret to another project.
    pub fn move_secret(&self, secret: &str, project: &str) {
        self.change(secret, |secret| secret.projects = vec![project.to_owned()]);
    }

    /// Changes one byte of a secret's value on its way out from now on.
    pub fn break_secret(&self, secret: &str) {
        self.change(secret, |secret| secret.is_broken = true);
    }

    /// Deletes a secret.
    pub fn remove_secret(&self, secret: &str) {
        self.lock().secrets.retain(|known| known.id != secret);
    }

    /// A machine account that may read these projects, by id: gives its access token.
    pub fn access_token(&self, projects: &[&str]) -> String {
        let mut organization = self.lock();
        let client = organization.next_id();
        organization.accounts.add(client, projects)
    }

    /// Lets the machine account of a token read these projects and no others.
    pub fn grant(&self, token: &str, projects: &[&str]) {
        let projects = projects.iter().map(|project| (*project).to_owned()).collect();
        self.lock().accounts.of_token(token).projects = projects;
    }

    /// Revokes an access token; its sessions end as well.
    pub fn revoke(&self, token: &str) {
        self.lock().accounts.revoke(token);
    }

    /// Ends every session. Access tokens stay good.
    pub fn end_sessions(&self) {
        self.lock().accounts.end_sessions();
    }

    /// What sessions from now on are said to last; an hour unless this says otherwise.
    pub fn sessions_last(&self, lifetime: Duration) {
        self.lock().accounts.last(lifetime);
    }

    /// Answers one request.
    pub fn answer(&self, request: &Request) -> Response {
        like_the_framework(self.lock().route(request))
    }

    fn change(&self, secret: &str, change: impl FnOnce(&mut Secret)) {
        let mut organization = self.lock();
        let revision = organization.next();
        let mut secrets = organization.secrets.iter_mut();
        let found = secrets
            .find(|known| known.id == secret)
            .expect("the test added the secret");
        change(found);
        found.revision = revision;
    }

    fn lock(&self) -> MutexGuard<'_, Organization> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Organization {
    fn route(&mut self, request: &Request) -> Response {
        let segments = request.segments();
        let segments: Vec<&str> = segments.iter().map(AsRef::as_ref).collect();
        let path = match segments.as_slice() {
            ["identity", "connect", "token"] if request.method == Method::POST => {
                let Self {
                    accounts, id, key, ..
                } = self;
                return accounts.log_in(request, id, key);
            }
            ["api", path @ ..] => path,
            _ => return Response::status(404),
        };
        let number = self.next();
        let Some(account) = self.accounts.of_request(request) else {
            return Response::status(401).with_header("www-authenticate", r#"Bearer error="invalid_token""#);
        };
        let sealing = Sealing {
            organization: self,
            account,
            number,
        };
        let is_get = request.method == Method::GET;
        match path {
            ["organizations", id, what @ ..] if is_get && *id == self.id => match what {
                ["projects"] => sealing.projects(),
                ["secrets"] => sealing.summaries(|_| true),
                ["secrets", "sync"] => sealing.sync(),
                _ => Response::status(404),
            },
            ["projects", id] if is_get && account.projects.contains(*id) => sealing.project(id),
            ["projects", id, "secrets"] if is_get && account.projects.contains(*id) => {
                sealing.summaries(|secret| secret.projects.iter().any(|project| project == id))
            }
            ["secrets", "get-by-ids"] if request.method == Method::POST => sealing.by_ids(request),
            ["secrets", id] if is_get => match sealing.readable(id) {
                Some(secret) => Response::json(200, &sealing.whole(secret)),
                None => not_found(),
            },
            // What is out of sight is not told from what does not exist.
            ["organizations" | "projects", ..] => not_found(),
            _ => Response::status(404),
        }
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    fn next_id(&mut self) -> String {
        let number = self.next();
        uuid(&format!("{} {number}", self.id))
    }
}

/// One answer under way.
struct Sealing<'a> {
    organization: &'a Organization,
    account: &'a Account,
    /// Of the request: no vector comes twice.
    number: u64,
}

impl<'a> Sealing<'a> {
    fn projects(&self) -> Response {
        let seen = self
            .organization
            .projects
            .iter()
            .filter(|project| self.account.projects.contains(&project.id));
        let projects: Vec<_> = seen.map(|project| self.project_json(project)).collect();
        Response::json(
            200,
            &json!({ "data": projects, "continuationToken": null, "object": "list" }),
        )
    }

    fn project(&self, id: &str) -> Response {
        match self.organization.projects.iter().find(|project| project.id == id) {
            Some(project) => Response::json(200, &self.project_json(project)),
            None => not_found(),
        }
    }

    fn summaries(&self, of: impl Fn(&Secret) -> bool) -> Response {
        let seen = self
            .organization
            .secrets
            .iter()
            .filter(|secret| self.may_read(secret));
        let secrets: Vec<_> = seen
            .filter(|secret| of(secret))
            .map(|secret| {
                json!({
                    "id": secret.id,
                    "organizationId": self.organization.id,
                    "key": self.seal(&secret.key, "key"),
                    "creationDate": date(secret.revision),
                    "revisionDate": date(secret.revision),
                    "projects": self.inner_projects(secret),
                    "read": true,
                    "write": false,
                })
            })
            .collect();
        let answer = json!({
            "secrets": secrets,
            "projects": [],
            "object": "SecretsWithProjectsList",
        });
        Response::json(200, &answer)
    }

    fn sync(&self) -> Response {
        let seen = self
            .organization
            .secrets
            .iter()
            .filter(|secret| self.may_read(secret));
        let secrets: Vec<_> = seen.map(|secret| self.whole(secret)).collect();
        let answer = json!({
            "hasChanges": true,
            "secrets": { "data": secrets, "continuationToken": null, "object": "list" },
            "object": "secretsSync",
        });
        Response::json(200, &answer)
    }

    /// All or nothing, as the real server has it. The order is nobody's promise.
    fn by_ids(&self, request: &Request) -> Response {
        let Some(ids) = request
            .json::<Value>()
            .and_then(|body| body["ids"].as_array().cloned())
        else {
            return error(400, "The model state is invalid.");
        };
        let ids: Vec<_> = ids.iter().filter_map(Value::as_str).collect();
        let mut distinct = ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let secrets: Vec<_> = distinct.iter().rev().filter_map(|id| self.readable(id)).collect();
        if secrets.is_empty() || secrets.len() != ids.len() {
            return not_found();
        }
        let secrets: Vec<_> = secrets.into_iter().map(|secret| self.whole(secret)).collect();
        Response::json(
            200,
            &json!({ "data": secrets, "continuationToken": null, "object": "list" }),
        )
    }

    fn readable(&self, id: &str) -> Option<&'a Secret> {
        let mut secrets = self.organization.secrets.iter();
        secrets.find(|secret| secret.id == id && self.may_read(secret))
    }

    fn may_read(&self, secret: &Secret) -> bool {
        secret
            .projects
            .iter()
            .any(|project| self.account.projects.contains(project))
    }

    fn whole(&self, secret: &Secret) -> Value {
        let mut value = self.seal(&secret.value, "value");
        if secret.is_broken {
            let at = value.find('|').map_or(0, |at| at + 1);
            let other = if &value[at..=at] == "A" { "B" } else { "A" };
            value.replace_range(at..=at, other);
        }
        json!({
            "id": secret.id,
            "organizationId": self.organization.id,
            "key": self.seal(&secret.key, "key"),
            "value": value,
            "note": self.seal("", "note"),
            "creationDate": date(0),
            "revisionDate": date(secret.revision),
            "projects": self.inner_projects(secret),
            "read": true,
            "write": false,
            "object": "secret",
        })
    }

    fn inner_projects(&self, secret: &Secret) -> Vec<Value> {
        let known = |id: &String| {
            self.organization
                .projects
                .iter()
                .find(|project| project.id == *id)
        };
        secret
            .projects
            .iter()
            .filter_map(known)
            .map(|project| json!({ "id": project.id, "name": self.seal(&project.name, "name") }))
            .collect()
    }

    fn project_json(&self, project: &Project) -> Value {
        json!({
            "id": project.id,
            "organizationId": self.organization.id,
            "name": self.seal(&project.name, "name"),
            "creationDate": date(0),
            "revisionDate": date(0),
            "read": true,
            "write": false,
            "object": "project",
        })
    }

    fn seal(&self, plain: &str, what: &str) -> String {
        let number = digest(format!("{} {what} {plain}", self.number).as_bytes());
        let number = u64::from_be_bytes(number[..8].try_into().expect("eight of 32 bytes"));
        self.organization.key.seal(plain.as_bytes(), number)
    }
}

fn not_found() -> Response {
    error(404, "Resource not found.")
}

fn error(status: u16, message: &str) -> Response {
    let body = json!({
        "message": message,
        "validationErrors": null,
        "exceptionMessage": null,
        "exceptionStackTrace": null,
        "innerExceptionMessage": null,
        "object": "error",
    });
    Response::json(status, &body)
}

/// The framework of the real server writes a plus sign in JSON as an escape.
fn like_the_framework(response: Response) -> Response {
    let body = String::from_utf8_lossy(response.body()).replace('+', "\\u002B");
    response.with_body(Body::Full(body.into()))
}

fn date(revision: u64) -> String {
    let (minutes, seconds) = (revision / 60 % 60, revision % 60);
    format!("2026-01-01T00:{minutes:02}:{seconds:02}.1234567Z")
}

fn uuid(of: &str) -> String {
    let hex = data_encoding::HEXLOWER.encode(&digest(of.as_bytes()));
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..15], &hex[15..18], &hex[18..30]);
    format!("{a}-{b}-4{c}-a{d}-{e}")
}
