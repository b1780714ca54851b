//! From references to values: names to ids, then all ids of a call in one request.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Members, Provider, ProviderError,
    SecretBytes,
};

use super::names::{Age, Names};
use super::reference::{Project, Uuid, Wanted};
use super::session::{Secret, Session};
use crate::batch::Answers;

/// Secrets that one request asks for. The API names no limit; this keeps a request below 10 KiB.
const BATCH: usize = 250;
/// Calls in flight at once unless the user says otherwise.
const MAX_CONCURRENT: usize = 4;

/// One machine account of Bitwarden Secrets Manager.
#[derive(Debug)]
pub(super) struct Bws {
    session: Session,
    names: Names,
    /// The projects in which a secret was when it was read last.
    homes: Mutex<HashMap<Uuid, Vec<Uuid>>>,
}

/// What a locator comes to: ids, and why they may be wrong.
struct Located {
    secrets: Vec<Uuid>,
    /// Whether a name was remembered, so that the ids are to be checked.
    remembered: bool,
}

/// What reading the ids of a call brought.
type Read = HashMap<Uuid, Result<Secret, ProviderError>>;

impl Bws {
    pub(super) fn new(session: Session) -> Self {
        Self {
            session,
            names: Names::default(),
            homes: Mutex::default(),
        }
    }

    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let since = self.names.now();
        let mut answers: Vec<Option<_>> = batch.iter().map(|_| None).collect();
        let mut open: Vec<usize> = (0..batch.len()).collect();
        // The second time only for names that meanwhile stand for something else.
        for age in [Age::Any, Age::Since(since)] {
            let wanted: Vec<_> = open.iter().map(|at| batch[*at].typed::<Wanted>()).collect();
            let located = join_all(wanted.iter().map(|wanted| self.locate(*wanted, age, since, cx))).await;
            let read = self.read(&located, since, cx).await;
            let mut again = Vec::new();
            for ((at, wanted), located) in open.into_iter().zip(wanted).zip(located) {
                answers[at] = match (wanted, located) {
                    (Some(wanted), Ok(located)) => match answer(wanted, &located, &read) {
                        None => {
                            again.push(at);
                            continue;
                        }
                        answer => answer,
                    },
                    (_, Err(error)) => Some(Err(error)),
                    (None, Ok(_)) => Some(Err(foreign_locator())),
                };
            }
            open = again;
            if open.is_empty() {
                break;
            }
        }
        let changing = || {
            Err(ProviderError::unavailable(
                "the secret was renamed while it was read",
            ))
        };
        answers
            .into_iter()
            .map(|answer| answer.unwrap_or_else(changing))
            .collect()
    }

    /// The ids behind a reference.
    async fn locate(
        &self,
        wanted: Option<&Wanted>,
        age: Age,
        since: u64,
        cx: &FetchCx,
    ) -> Result<Located, ProviderError> {
        let in_project =
            async |project: &Project| self.names.project(project, age, since, &self.session, cx).await;
        match wanted.ok_or_else(foreign_locator)? {
            Wanted::Id(id) => Ok(Located {
                secrets: vec![id.clone()],
                remembered: false,
            }),
            Wanted::Key { project, key } => {
                let home = in_project(project).await?;
                let place = (&home.id, project);
                let found = self
                    .names
                    .secret(place, key, age, since, &self.session, cx)
                    .await?;
                Ok(Located {
                    secrets: vec![found.id],
                    remembered: home.remembered || found.remembered,
                })
            }
            Wanted::Every(project) => {
                let home = in_project(project).await?;
                let all = self
                    .names
                    .secrets((&home.id, project), since, &self.session, cx)
                    .await?;
                Ok(Located {
                    secrets: all.into_iter().map(|secret| secret.id).collect(),
                    remembered: home.remembered,
                })
            }
        }
    }

    /// Reads what was located, each secret once.
    async fn read(&self, located: &[Result<Located, ProviderError>], since: u64, cx: &FetchCx) -> Read {
        let ids: BTreeSet<&Uuid> = located.iter().flatten().flat_map(|one| &one.secrets).collect();
        let ids: Vec<Uuid> = ids.into_iter().cloned().collect();
        let chunks = join_all(ids.chunks(BATCH).map(|chunk| self.read_chunk(chunk, cx))).await;
        let mut read: Read = chunks.into_iter().flatten().collect();
        let absent = missing(&read);
        if !absent.is_empty() {
            let seen = self.names.projects(since, &self.session, cx).await;
            for id in absent {
                let why = match &seen {
                    Ok(seen) => self.absent(&id, seen),
                    Err(error) => error.clone(),
                };
                read.insert(id, Err(why));
            }
        }
        let mut homes = self.homes();
        for secret in read.values().flatten() {
            let projects = secret.projects.iter().map(|(project, _)| project.clone());
            homes.insert(secret.id.clone(), projects.collect());
        }
        read
    }

    /// Reads at most [`BATCH`] ids. The server gives all or nothing: when it gives nothing, its list of what may be
    /// read tells which of them are to blame, however many they are.
    async fn read_chunk(&self, ids: &[Uuid], cx: &FetchCx) -> Vec<(Uuid, Result<Secret, ProviderError>)> {
        let gone = |id: &Uuid| (id.clone(), Err(ProviderError::not_found("")));
        let fail = |ids: &[Uuid], error: &ProviderError| {
            ids.iter().map(|id| (id.clone(), Err(error.clone()))).collect()
        };
        let whole = match self.session.secrets(ids, cx).await {
            Err(error) if error.kind == ErrorKind::NotFound => None,
            Err(error) => return fail(ids, &error),
            Ok(secrets) => Some(secrets),
        };
        if let Some(secrets) = whole {
            return complete(ids, secrets);
        }
        if let [only] = ids {
            return vec![gone(only)];
        }
        let readable = match self.session.readable(cx).await {
            Err(error) => return fail(ids, &error),
            Ok(readable) => readable,
        };
        let (there, missing): (Vec<_>, Vec<_>) = ids.iter().cloned().partition(|id| readable.contains(id));
        let mut read: Vec<_> = missing.iter().map(gone).collect();
        if !there.is_empty() {
            match self.session.secrets(&there, cx).await {
                Ok(secrets) => read.extend(complete(&there, secrets)),
                Err(error) if error.kind == ErrorKind::NotFound => {
                    let changing = ProviderError::unavailable("the secrets changed while they were read");
                    read.extend::<Vec<_>>(fail(&there, &changing));
                }
                Err(error) => read.extend::<Vec<_>>(fail(&there, &error)),
            }
        }
        read
    }

    /// What it means that the server has no secret for us under an id. It answers alike whether there is none or it is
    /// withheld; which projects are in sight tells the two apart as far as anything does.
    fn absent(&self, id: &Uuid, seen: &[Uuid]) -> ProviderError {
        const GRANT: &str = "Give the machine account read access to the secret's project: Machine accounts, its name, Projects.";
        if seen.is_empty() {
            return ProviderError::denied(format!(
                "the machine account has access to no project, and so not to `{id}`"
            ))
            .hint(GRANT);
        }
        let homes = self.homes();
        let home = homes.get(id).filter(|home| !home.is_empty());
        match home {
            Some(home) if !home.iter().any(|project| seen.contains(project)) => ProviderError::denied(format!(
                "the machine account has lost the access to the project of `{id}`"
            ))
            .hint(GRANT),
            Some(_) => ProviderError::not_found(format!("the secret `{id}` was deleted"))
                .hint("Restore it from the trash of the web vault, or write the id of its successor."),
            None => ProviderError::not_found(format!(
                "there is no secret `{id}`, or the machine account may not read it: the server does not say which"
            ))
            .hint("Check the id, and that the secret is in a project that the machine account may read."),
        }
    }

    fn homes(&self) -> MutexGuard<'_, HashMap<Uuid, Vec<Uuid>>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Provider for Bws {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: BATCH,
            max_concurrent: MAX_CONCURRENT,
            local: false,
        }
    }

    fn rest(&self) {
        self.session.rest();
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.fetch_all(batch, cx))
    }
}

/// The answer to one reference; `None` when a remembered name led to the wrong secret, or to none.
fn answer(wanted: &Wanted, located: &Located, read: &Read) -> Option<Result<Fetched, ProviderError>> {
    let mut members = Vec::new();
    for id in &located.secrets {
        match read.get(id)? {
            Ok(secret) if located.remembered && !is_still(secret, wanted) => return None,
            Err(error) if located.remembered && is_gone(error) => return None,
            Err(error) => return Some(Err(error.clone())),
            Ok(secret) => members.push((secret.key.clone(), fetched(secret))),
        }
    }
    match wanted {
        Wanted::Every(_) => Some(Ok(Fetched::every(Members::new(members)))),
        Wanted::Id(_) | Wanted::Key { .. } => members.pop().map(|(_, fetched)| Ok(fetched)),
    }
}

/// Whether a secret is one that the names in a reference still lead to.
fn is_still(secret: &Secret, wanted: &Wanted) -> bool {
    let in_project = |project: &Project| {
        secret.projects.iter().any(|(id, name)| match project {
            Project::Id(wanted) => id == wanted,
            Project::Name(wanted) => name.as_ref().is_none_or(|name| name == wanted),
        })
    };
    match wanted {
        Wanted::Id(_) => true,
        Wanted::Key { project, key } => secret.key == *key && in_project(project),
        Wanted::Every(project) => in_project(project),
    }
}

fn is_gone(error: &ProviderError) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::Denied)
}

fn fetched(secret: &Secret) -> Fetched {
    #[expect(
        clippy::disallowed_methods,
        reason = "several references may ask for one secret"
    )]
    let value = SecretBytes::copy_from(secret.value.expose());
    match &secret.revision {
        Some(revision) => Fetched::new(value).version(revision),
        None => Fetched::new(value),
    }
}

fn missing(read: &Read) -> Vec<Uuid> {
    let is_missing = |secret: &Result<Secret, ProviderError>| matches!(secret, Err(error) if error.kind == ErrorKind::NotFound);
    read.iter()
        .filter(|(_, secret)| is_missing(secret))
        .map(|(id, _)| id.clone())
        .collect()
}

/// One result for each id, whatever the server left out.
fn complete(
    ids: &[Uuid],
    secrets: Vec<(Uuid, Result<Secret, ProviderError>)>,
) -> Vec<(Uuid, Result<Secret, ProviderError>)> {
    let mut read: Read = secrets.into_iter().collect();
    let mut take = |id: &Uuid| {
        read.remove(id)
            .unwrap_or_else(|| Err(ProviderError::not_found("")))
    };
    ids.iter().map(|id| (id.clone(), take(id))).collect()
}

fn foreign_locator() -> ProviderError {
    ProviderError::invalid("this reference was read by another provider")
}
