//! Requests with a token, in whichever generation of the API the server has.

use std::sync::Arc;

use locket_core::{ErrorKind, FetchCx, Login, ProviderError};
use tokio::sync::{Mutex, MutexGuard, Semaphore, SemaphorePermit};

use super::client::{Api, not_the_protocol};
use super::folder::Place;
use super::reference::Sharing;
use crate::http::{Authority, Request, Response, TokenCache};
use crate::turn::turn;

/// Requests in flight at once unless the user says otherwise.
const MAX_CONCURRENT: usize = 8;

/// A server and the token to read it with.
#[derive(Debug)]
pub(super) struct Session {
    api: Arc<Api>,
    tokens: TokenCache<Box<dyn Authority>>,
    /// The generation that the server was found to have; held while finding out.
    generation: Mutex<Option<Generation>>,
    max_concurrent: usize,
    /// One for each request in flight: a call may need one for each of a thousand folders.
    permits: Semaphore,
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
    pub(super) fn new(api: Arc<Api>, authority: Box<dyn Authority>, max_concurrent: Option<usize>) -> Self {
        let max_concurrent = max_concurrent
            .unwrap_or(MAX_CONCURRENT)
            .clamp(1, Semaphore::MAX_PERMITS);
        Self {
            api,
            tokens: TokenCache::new(authority),
            generation: Mutex::default(),
            max_concurrent,
            permits: Semaphore::new(max_concurrent),
        }
    }

    /// Requests in flight at once, whichever calls they are of.
    pub(super) fn max_concurrent(&self) -> usize {
        self.max_concurrent
    }

    /// What is kept alive while nobody asks for anything.
    pub(super) fn login(&self) -> &dyn Login {
        &self.tokens
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
        // Held over a login as well, so that this counts as a request and those in the queue start with its token.
        let _permit = self.permit(cx).await?;
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

    /// Waits until one more request may be in flight.
    async fn permit(&self, cx: &FetchCx) -> Result<SemaphorePermit<'_>, ProviderError> {
        let permit = tokio::time::timeout(cx.remaining(), self.permits.acquire()).await;
        // The semaphore is never closed: all that can be lacking is time.
        permit.ok().and_then(Result::ok).ok_or_else(|| {
            ProviderError::unavailable("other requests to the server took all the time there was")
                .hint("Set `infisical.max-concurrent` higher if the server can answer more of them at once.")
        })
    }

    async fn generation(&self, cx: &FetchCx) -> Result<MutexGuard<'_, Option<Generation>>, ProviderError> {
        turn(
            &self.generation,
            cx,
            "finding out what the server speaks took all the time there was",
        )
        .await
    }
}
