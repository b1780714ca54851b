//! From references to values: one request for a folder of which several secrets are wanted, else one for the secret.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::{join, join_all};
use locket_core::{
    BoxFuture, Capability, ErrorKind, FetchCx, Fetched, Locator, Login, Provider, ProviderError,
};

use super::folder::{Folder, Place, single};
use super::reference::{Sharing, Wanted};
use super::session::{Question, Session};
use crate::batch::{Answers, once_more};
use crate::http::Response;

/// Secrets that one call may carry, so that those of one folder come together.
const BATCH: usize = 1000;

/// One identity at one server.
#[derive(Debug)]
pub(super) struct Infisical {
    session: Session,
    defaults: Defaults,
}

/// What references leave out.
#[derive(Clone, Debug)]
pub(super) struct Defaults {
    pub(super) project: Option<String>,
    pub(super) environment: Option<String>,
    pub(super) path: String,
    pub(super) sharing: Sharing,
}

/// A reference with everything that it left out.
struct Ask<'a> {
    place: Place,
    /// `None` for every secret of the place.
    key: Option<&'a str>,
    sharing: Sharing,
}

/// What is wanted of one folder.
#[derive(Default)]
struct Wants<'a> {
    shared: BTreeSet<&'a str>,
    every: bool,
    personal: BTreeSet<&'a str>,
}

/// What reading one folder brought.
#[derive(Default)]
struct Read<'a> {
    /// The list, where it was asked for.
    list: Option<Result<Response, ProviderError>>,
    shared: BTreeMap<&'a str, Result<Fetched, ProviderError>>,
    personal: BTreeMap<&'a str, Result<Fetched, ProviderError>>,
}

impl Infisical {
    pub(super) fn new(session: Session, defaults: Defaults) -> Self {
        Self { session, defaults }
    }

    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let asks: Vec<_> = batch
            .iter()
            .map(|locator| self.defaults.complete(locator.typed()))
            .collect();
        let mut wanted: BTreeMap<&Place, Wants<'_>> = BTreeMap::new();
        for ask in asks.iter().flatten() {
            let wants = wanted.entry(&ask.place).or_default();
            match (ask.key, ask.sharing) {
                (None, _) => wants.every = true,
                (Some(key), Sharing::Shared) => _ = wants.shared.insert(key),
                (Some(key), Sharing::Personal) => _ = wants.personal.insert(key),
            }
        }
        let reads = wanted.iter().map(|(place, wants)| self.read(place, wants, cx));
        let reads: BTreeMap<_, _> = wanted.keys().copied().zip(join_all(reads).await).collect();
        let folders: BTreeMap<_, _> = reads
            .iter()
            .filter_map(|(place, read)| Some((*place, read.list.as_ref()?)))
            .map(|(place, list)| {
                let folder = list.as_ref().map_err(Clone::clone).and_then(Folder::new);
                (place, folder.map_err(|error| no_place(error, place)))
            })
            .collect();
        let answer = |ask: &Ask<'_>| {
            let read = reads.get(&ask.place).ok_or_else(unread)?;
            let one = match (ask.key, ask.sharing) {
                (Some(key), Sharing::Shared) => read.shared.get(key),
                (Some(key), Sharing::Personal) => read.personal.get(key),
                (None, _) => None,
            };
            if let Some(one) = one {
                return one.as_ref().map(once_more).map_err(Clone::clone);
            }
            let folder = folders.get(&ask.place).ok_or_else(unread)?;
            let folder = folder.as_ref().map_err(Clone::clone)?;
            match ask.key {
                Some(key) => folder.get(key, &ask.place),
                None => folder.every(&ask.place),
            }
        };
        asks.iter()
            .map(|ask| ask.as_ref().map_err(Clone::clone).and_then(answer))
            .collect()
    }

    /// Reads what is wanted of one folder.
    async fn read<'a>(&self, place: &Place, wants: &Wants<'a>, cx: &FetchCx) -> Read<'a> {
        let personal = join_all(
            wants
                .personal
                .iter()
                .map(|key| async { (*key, self.read_one(key, Sharing::Personal, place, cx).await) }),
        );
        let (read, personal) = join(self.read_shared(place, wants, cx), personal).await;
        Read {
            personal: personal.into_iter().collect(),
            ..read
        }
    }

    async fn read_shared<'a>(&self, place: &Place, wants: &Wants<'a>, cx: &FetchCx) -> Read<'a> {
        let each = async || {
            let reads = wants
                .shared
                .iter()
                .map(|key| async { (*key, self.read_one(key, Sharing::Shared, place, cx).await) });
            join_all(reads).await.into_iter().collect()
        };
        if !wants.every && wants.shared.len() < 2 {
            return Read {
                shared: each().await,
                ..Read::default()
            };
        }
        let list = self.session.ask(Question::All, place, cx).await;
        let shared = match &list {
            Ok(response) => self.read_left_out(left_out(response, wants), place, cx).await,
            // A role may allow some secrets by name and not the folder.
            Err(error) if error.kind == ErrorKind::Denied => each().await,
            Err(_) => BTreeMap::new(),
        };
        Read {
            list: Some(list),
            shared,
            ..Read::default()
        }
    }

    /// A list holds what the identity may see. Whether a secret that it leaves out is denied or not there at all, only
    /// the request for that secret tells. What is not there gets no answer here: the list has the names to suggest.
    async fn read_left_out<'a>(
        &self,
        keys: Vec<&'a str>,
        place: &Place,
        cx: &FetchCx,
    ) -> BTreeMap<&'a str, Result<Fetched, ProviderError>> {
        let reads = keys.into_iter().map(|key| async move {
            let question = Question::One(key, Sharing::Shared);
            match self.session.ask(question, place, cx).await {
                Ok(response) => Some((key, single(&response, place))),
                Err(error) if is_missing(&error) => None,
                Err(error) => Some((key, Err(no_place(error, place)))),
            }
        });
        join_all(reads).await.into_iter().flatten().collect()
    }

    async fn read_one(
        &self,
        key: &str,
        sharing: Sharing,
        place: &Place,
        cx: &FetchCx,
    ) -> Result<Fetched, ProviderError> {
        match self.session.ask(Question::One(key, sharing), place, cx).await {
            Ok(response) => single(&response, place),
            Err(error) if is_missing(&error) => Err(self.why_missing(error, key, sharing, place, cx).await),
            Err(error) => Err(no_place(error, place)),
        }
    }

    /// The server says alike that a secret, its folder, its environment or its project does not exist. Where the
    /// folder can be listed, it is the secret.
    async fn why_missing(
        &self,
        error: ProviderError,
        key: &str,
        sharing: Sharing,
        place: &Place,
        cx: &FetchCx,
    ) -> ProviderError {
        let list = self.session.ask(Question::Names, place, cx).await;
        match list.as_ref().map_err(Clone::clone).and_then(Folder::new) {
            Ok(folder) if sharing == Sharing::Personal => {
                let error = ProviderError::not_found(format!("{place} has no personal secret `{key}`"));
                match folder.has(key) {
                    true => error.hint("There is a shared one: leave `type=personal` out to read it."),
                    false => error,
                }
            }
            Ok(folder) if !folder.has(key) => folder.missing(key, place),
            Ok(_) => error,
            Err(refused) if error.kind == ErrorKind::NotFound && refused.kind == ErrorKind::NotFound => {
                no_place(refused, place)
            }
            Err(refused) if error.kind == ErrorKind::NotFound && refused.kind == ErrorKind::Denied => {
                ProviderError::not_found(format!("{place} has no secret `{key}`, or is not there itself")).hint(
                    "Check the name, `path`, `env` and `project_id`; with the right to list the folder locket could say which.",
                )
            }
            Err(refused) if refused.kind.is_transient() => refused,
            Err(_) => error,
        }
    }
}

impl Provider for Infisical {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: BATCH,
            // Calls share the permits of their requests: more of them at once would only wait.
            max_concurrent: self.session.max_concurrent(),
            local: false,
        }
    }

    fn rest(&self) {
        self.session.rest();
    }

    fn login(&self) -> Option<&dyn Login> {
        Some(self.session.login())
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.fetch_all(batch, cx))
    }
}

impl Defaults {
    fn complete<'a>(&self, wanted: Option<&'a Wanted>) -> Result<Ask<'a>, ProviderError> {
        let wanted =
            wanted.ok_or_else(|| ProviderError::invalid("this reference was read by another provider"))?;
        let missing = |what: &str, option: &str, setting: &str| {
            ProviderError::invalid(format!("nothing says which {what} the secret is in")).hint(format!(
                "Add `?{option}=` to the reference, or set `infisical.{setting}`."
            ))
        };
        let project = wanted.project.as_ref().or(self.project.as_ref());
        let environment = wanted.environment.as_ref().or(self.environment.as_ref());
        Ok(Ask {
            place: Place {
                project: project
                    .ok_or_else(|| missing("project", "project_id", "default-project-id"))?
                    .clone(),
                environment: environment
                    .ok_or_else(|| missing("environment", "env", "default-environment"))?
                    .clone(),
                path: wanted.path.as_ref().unwrap_or(&self.path).clone(),
            },
            key: wanted.key.as_deref(),
            sharing: wanted.sharing.unwrap_or(self.sharing),
        })
    }
}

/// The wanted keys that a list lacks; none where it cannot be read, which each of them is told.
fn left_out<'a>(list: &Response, wants: &Wants<'a>) -> Vec<&'a str> {
    let folder = (!wants.shared.is_empty()).then(|| Folder::new(list));
    let Some(Ok(folder)) = folder else {
        return Vec::new();
    };
    let keys = wants.shared.iter().copied();
    keys.filter(|key| !folder.has(key)).collect()
}

/// Whether an answer to the request for one secret may mean that there is none. Older servers say of a secret that
/// does not exist that the request was bad.
fn is_missing(error: &ProviderError) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::Invalid)
}

/// A folder that is not there is a mistake in the reference or the settings: nothing may stand in for its secrets.
fn no_place(error: ProviderError, place: &Place) -> ProviderError {
    match error.kind {
        ErrorKind::NotFound => ProviderError::invalid(format!("there is no such place as {place}")).hint(
            "Check `path`, `env` (the slug, such as `prod`) and `project_id` (from the project's settings, not its name).",
        ),
        ErrorKind::Denied => error.hint(format!(
            "Add the identity to the project, with a role that allows the actions `Describe Secret` and `Read Value` on secrets in {place}."
        )),
        _ => error,
    }
}

fn unread() -> ProviderError {
    ProviderError::unavailable("the secret was not read")
}
