//! Names that were looked up, kept apart from values. A remembered name is believed because every secret tells its key
//! and its projects with each read: whoever uses an id checks that it is still the right one.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex as Lock, MutexGuard as LockGuard, PoisonError};

use locket_core::suggest::nearest;
use locket_core::{ErrorKind, FetchCx, ProviderError};
use tokio::sync::{Mutex, MutexGuard};

use super::reference::{Project, Uuid};
use super::session::Session;
use crate::turn::turn;

/// The lists that were read so far.
#[derive(Debug, Default)]
pub(super) struct Names {
    projects: List,
    /// By project.
    secrets: Lock<HashMap<Uuid, Arc<List>>>,
    /// Lists read so far, to tell one that was read since.
    read: AtomicU64,
}

/// One name and what it stands for.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) id: Uuid,
    pub(super) name: String,
}

/// A list of the server; held while it is read, so that many readers read it once.
type List = Mutex<Option<Listing>>;

#[derive(Debug)]
struct Listing {
    all: Vec<Named>,
    number: u64,
}

/// How far a list may be behind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Age {
    /// As it was read at any time, where it has the name.
    Any,
    /// As it was read after [`Names::now`] said this.
    Since(u64),
}

/// What a name stands for.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) id: Uuid,
    /// Whether it was known before, so that it may be out of date.
    pub(super) remembered: bool,
}

impl Names {
    /// The present, for [`Age::Since`].
    pub(super) fn now(&self) -> u64 {
        self.read.load(Ordering::Acquire)
    }

    /// The id of a project.
    ///
    /// # Errors
    /// No project that the machine account sees has the name, or several have; the server cannot be asked.
    pub(super) async fn project(
        &self,
        project: &Project,
        age: Age,
        since: u64,
        session: &Session,
        cx: &FetchCx,
    ) -> Result<Found, ProviderError> {
        let name = match project {
            Project::Id(id) => {
                return Ok(Found {
                    id: id.clone(),
                    remembered: false,
                });
            }
            Project::Name(name) => name,
        };
        let mut list = lock(&self.projects, cx).await?;
        if let Some(found) = remembered(&list, name, age, since) {
            return Ok(found);
        }
        let all = self.renewed(&mut list, since, session.projects(cx)).await?;
        only(all, name)
            .map_err(|several| ambiguous("the machine account sees", &several, "projects named", name))?
            .ok_or_else(|| no_project(name, all))
    }

    /// The id of the secret of this key in a project.
    ///
    /// # Errors
    /// No secret of the project has the key, or several have; the server cannot be asked, or shows no such project.
    pub(super) async fn secret(
        &self,
        (project, shown): (&Uuid, &Project),
        key: &str,
        age: Age,
        since: u64,
        session: &Session,
        cx: &FetchCx,
    ) -> Result<Found, ProviderError> {
        let list = self.of_project(project);
        let mut list = lock(&list, cx).await?;
        if let Some(found) = remembered(&list, key, age, since) {
            return Ok(found);
        }
        let reading = session.secrets_of(project, cx);
        let all = self
            .renewed(&mut list, since, reading)
            .await
            .map_err(|error| unseen(error, shown))?;
        let place = format!("the project `{}` has", title(shown));
        only(all, key)
            .map_err(|several| ambiguous(&place, &several, "secrets with the key", key))?
            .ok_or_else(|| no_secret(shown, key, all))
    }

    /// All secrets of a project, as of `since` or later.
    ///
    /// # Errors
    /// The server cannot be asked, or shows no such project.
    pub(super) async fn secrets(
        &self,
        (project, shown): (&Uuid, &Project),
        since: u64,
        session: &Session,
        cx: &FetchCx,
    ) -> Result<Vec<Named>, ProviderError> {
        let list = self.of_project(project);
        let mut list = lock(&list, cx).await?;
        let reading = session.secrets_of(project, cx);
        let all = self.renewed(&mut list, since, reading).await;
        all.map(<[Named]>::to_vec).map_err(|error| unseen(error, shown))
    }

    /// The ids of all projects in sight, as of `since` or later.
    ///
    /// # Errors
    /// The server cannot be asked.
    pub(super) async fn projects(
        &self,
        since: u64,
        session: &Session,
        cx: &FetchCx,
    ) -> Result<Vec<Uuid>, ProviderError> {
        let mut list = lock(&self.projects, cx).await?;
        let all = self.renewed(&mut list, since, session.projects(cx)).await?;
        Ok(all.iter().map(|project| project.id.clone()).collect())
    }

    /// What is listed, read anew unless that happened since. A failure leaves the list as it was.
    async fn renewed<'l>(
        &self,
        list: &'l mut Option<Listing>,
        since: u64,
        reading: impl Future<Output = Result<Vec<Named>, ProviderError>>,
    ) -> Result<&'l [Named], ProviderError> {
        let is_new = list.as_ref().is_some_and(|listing| listing.number > since);
        if !is_new {
            let all = reading.await?;
            let number = self.read.fetch_add(1, Ordering::AcqRel) + 1;
            *list = Some(Listing { all, number });
        }
        Ok(list
            .as_ref()
            .map(|listing| listing.all.as_slice())
            .unwrap_or_default())
    }

    fn of_project(&self, project: &Uuid) -> Arc<List> {
        let mut secrets: LockGuard<'_, _> = self.secrets.lock().unwrap_or_else(PoisonError::into_inner);
        secrets.entry(project.clone()).or_default().clone()
    }
}

async fn lock<'l>(list: &'l List, cx: &FetchCx) -> Result<MutexGuard<'l, Option<Listing>>, ProviderError> {
    turn(list, cx, "looking up names took all the time there was").await
}

/// What an old list knows, if that is enough.
fn remembered(list: &Option<Listing>, name: &str, age: Age, since: u64) -> Option<Found> {
    let listing = list.as_ref()?;
    let remembered = listing.number <= since;
    match age {
        Age::Since(at) if listing.number <= at => None,
        _ => only(&listing.all, name)
            .ok()?
            .map(|found| Found { remembered, ..found }),
    }
}

/// The one of this name, or the ids of several.
fn only(all: &[Named], name: &str) -> Result<Option<Found>, Vec<Uuid>> {
    let ids: Vec<_> = all
        .iter()
        .filter(|one| one.name == name)
        .map(|one| one.id.clone())
        .collect();
    match <[Uuid; 1]>::try_from(ids) {
        Ok([id]) => Ok(Some(Found {
            id,
            remembered: false,
        })),
        Err(ids) if ids.is_empty() => Ok(None),
        Err(ids) => Err(ids),
    }
}

/// A project out of the machine account's sight looks like one that does not exist; that it exists is the safer guess,
/// since nothing may stand in for a secret that is merely withheld.
fn no_project(name: &str, all: &[Named]) -> ProviderError {
    let error = ProviderError::denied(format!("the machine account sees no project `{name}`"));
    match nearest(name, all.iter().map(|project| project.name.as_str())) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error.hint(
            "Check the name, or give the machine account access to it: Machine accounts, its name, Projects.",
        ),
    }
}

/// The server answers for a project out of sight as for one that does not exist.
fn unseen(error: ProviderError, project: &Project) -> ProviderError {
    match error.kind {
        ErrorKind::NotFound => no_project(&title(project), &[]),
        _ => error,
    }
}

fn no_secret(project: &Project, key: &str, all: &[Named]) -> ProviderError {
    let error = ProviderError::not_found(format!("the project `{}` has no secret `{key}`", title(project)));
    match nearest(key, all.iter().map(|secret| secret.name.as_str())) {
        Some(near) => error.hint(format!("Did you mean `{near}`?")),
        None => error,
    }
}

fn ambiguous(place: &str, ids: &[Uuid], what: &str, name: &str) -> ProviderError {
    let shown: Vec<_> = ids.iter().map(|id| format!("`{id}`")).collect();
    ProviderError::invalid(format!(
        "{place} {} {what} `{name}`: {}",
        ids.len(),
        shown.join(", ")
    ))
    .hint("Write the id of the one you mean: `bws://ID` for a secret, `bws://ID/key` for a project.")
}

fn title(project: &Project) -> String {
    match project {
        Project::Id(id) => id.to_string(),
        Project::Name(name) => name.clone(),
    }
}
