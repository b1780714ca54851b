//! Requests with a token, in whichever generation of the API the server has.

use std::sync::Arc;

use locket_core::{ErrorKind, FetchCx, ProviderError};
use tokio::sync::{Mutex, MutexGuard};

use super::client::{Api, not_the_protocol};
use super::folder::Place;
use super::reference::Sharing;
use crate::http::{Authority, Request, Response, TokenCache};

/// A server and the token to read it with.
#[derive(Debug)]
pub(super) struct Session {
    api: Arc<Api>,
    tokens: TokenCache<Box<dyn Authority>>,
    /// The generation that the server was found to have; held while finding out.
    generation: Mutex<Option<Generation>>,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Question<'a> {
    /// Every shared secret of a folder.
    All,
    /// The same without values.
    Names,
    /// One secret.
    One(&'a str, Sharing),
}

/// The requests for secrets, of which a server may have either or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Generation {
    /// `/api/v4/secrets`
    Fourth,
    /// `/api/v3/secrets/raw`
    Third,
}

impl Session {
    pub(super) fn new(api: Arc<Api>, authority: Box<dyn Authority>) -> Self {
        Self {
            api,
            tokens: TokenCache::new(authority),
            generation: Mutex::default(),
        }
    }

    /// Closes the connections that nobody uses now; the token is kept.
    pub(super) fn rest(&self) {
        self.api.rest();
    }

    /// Asks `question` about a folder.
    ///
    /// # Errors
    /// There is no answer, or a refusal.
    pub(super) async fn ask(
        &self,
        question: Question<'_>,
        place: &Place,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let known = *self.generation(cx).await?;
        if let Some(generation) = known
            && let Some(response) = self.ask_in(generation, question, place, cx).await?
        {
            return Ok(response);
        }
        let mut generation = self.generation(cx).await?;
        if let Some(found) = generation.filter(|_| *generation != known) {
            // Somebody else found out meanwhile.
            drop(generation);
            let answer = self.ask_in(found, question, place, cx).await?;
            return answer.ok_or_else(|| not_the_protocol(&place.to_string()));
        }
        for candidate in [Generation::Fourth, Generation::Third] {
            if Some(candidate) == known {
                continue;
            }
            let answer = self.ask_in(candidate, question, place, cx).await;
            let is_there = match &answer {
                Ok(response) => response.is_some(),
                Err(error) => matches!(
                    error.kind,
                    ErrorKind::NotFound | ErrorKind::Denied | ErrorKind::Invalid
                ),
            };
            if is_there {
                *generation = Some(candidate);
            }
            if let Some(response) = answer? {
                return Ok(response);
            }
        }
        *generation = None;
        Err(not_the_protocol("the address for secrets"))
    }

    /// The same in one generation; `None` when the server does not have it.
    async fn ask_in(
        &self,
        generation: Generation,
        question: Question<'_>,
        place: &Place,
        cx: &FetchCx,
    ) -> Result<Option<Response>, ProviderError> {
        self.tokens
            .with(cx, async |token| {
                let request = self.request(generation, question, place);
                self.api.send(request, token.value(), cx).await
            })
            .await
    }

    fn request(&self, generation: Generation, question: Question<'_>, place: &Place) -> Request {
        let (path, project): (&[&str], _) = match generation {
            Generation::Fourth => (&["v4", "secrets"], "projectId"),
            Generation::Third => (&["v3", "secrets", "raw"], "workspaceId"),
        };
        let (key, wants_values) = match question {
            Question::All => (None, "true"),
            Question::Names => (None, "false"),
            Question::One(key, _) => (Some(key), "true"),
        };
        let mut request = self
            .api
            .get(path.iter().copied().chain(key))
            .query(project, &place.project)
            .query("environment", &place.environment)
            .query("secretPath", &place.path)
            .query("viewSecretValue", wants_values)
            .query("expandSecretReferences", "true")
            .query("include_imports", "true");
        if generation == Generation::Fourth {
            // Servers of this generation spell it either way; what they do not know they pass over.
            request = request.query("includeImports", "true");
        }
        match question {
            Question::One(_, Sharing::Personal) => request.query("type", "personal"),
            Question::One(_, Sharing::Shared) => request.query("type", "shared"),
            Question::All | Question::Names => request,
        }
    }

    async fn generation(&self, cx: &FetchCx) -> Result<MutexGuard<'_, Option<Generation>>, ProviderError> {
        tokio::time::timeout(cx.remaining(), self.generation.lock())
            .await
            .map_err(|_| {
                ProviderError::unavailable("finding out what the server speaks took all the time there was")
            })
    }
}
