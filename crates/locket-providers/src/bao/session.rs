//! Requests with a token, and what it means that the server refuses one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use locket_core::{FetchCx, Login, ProviderError};
use reqwest::StatusCode;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::bao::client::Api;
use crate::bao::wire::{self, Member};
use crate::http::{Authority, OnNewSource, Request, Response, Token, TokenCache};
use crate::turn::turn;

/// How long the answer to "does this token still count?" is good for: long enough for all the paths of a round that
/// are denied at once, short enough not to outlive the token by much.
const VERDICT_LASTS: Duration = Duration::from_secs(5);

/// A server and the token to read it with.
#[derive(Debug)]
pub(super) struct Session {
    api: Arc<Api>,
    tokens: TokenCache<Box<dyn Authority>>,
    /// Held while asking, so that many denied reads ask once.
    verdict: Mutex<Option<Verdict>>,
}

#[derive(Clone, Copy, Debug)]
struct Verdict {
    token: u64,
    at: Duration,
    standing: Standing,
}

/// What the server thinks of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Good,
    Refused,
}

/// What a policy must allow for a request.
#[derive(Clone, Copy, Debug)]
enum Capability {
    Read,
    Update,
}

impl Capability {
    fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Update => "update",
        }
    }

    fn participle(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Update => "written to",
        }
    }
}

impl Session {
    /// A session that logs in with the first request.
    pub(super) fn new(api: Arc<Api>, authority: Box<dyn Authority>) -> Self {
        Self {
            api,
            tokens: TokenCache::new(authority),
            verdict: Mutex::default(),
        }
    }

    /// What is kept alive while nobody asks for anything.
    pub(super) fn login(&self) -> &dyn Login {
        &self.tokens
    }

    /// Closes the connections that nobody uses now; the token is kept.
    pub(super) fn rest(&self) {
        self.api.rest();
    }

    /// What a status that the caller has no use for means.
    pub(super) fn error(&self, response: &Response) -> ProviderError {
        self.api.error(response)
    }

    /// Reads the API path `segments`. A token that ended meanwhile is replaced, once.
    ///
    /// # Errors
    /// There is no answer, the login failed, or the token may not read this; any other status is an answer.
    pub(super) async fn get(
        &self,
        segments: &[&str],
        query: Option<(&str, &str)>,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        self.tokens
            .with(cx, async |token| {
                let mut request = self.api.get(segments.iter().copied());
                if let Some((name, value)) = query {
                    request = request.query(name, value);
                }
                self.answer(request, &token, segments, Capability::Read, cx).await
            })
            .await
    }

    /// Asks an engine that may lease what it gives: reads the API path `segments`, or writes `body` to it if there is
    /// one. Gives the token as well, with which the lease ends. A token that ended meanwhile, or is about to end, is
    /// replaced.
    ///
    /// # Errors
    /// As for [`Session::get`]; and a credential in the body is not text.
    pub(super) async fn ask(
        &self,
        segments: &[&str],
        body: &BTreeMap<String, String>,
        cx: &FetchCx,
    ) -> Result<(Response, Token), ProviderError> {
        self.tokens
            .with_lasting(cx, async |token| {
                let path = segments.iter().copied();
                let (request, needed) = if body.is_empty() {
                    (self.api.get(path).single(), Capability::Read)
                } else {
                    let members = body
                        .iter()
                        .map(|(name, text)| (name.as_str(), Member::Plain(text)));
                    (
                        self.api.post(path).json(wire::object(members)?),
                        Capability::Update,
                    )
                };
                let response = self.answer(request, &token, segments, needed, cx).await?;
                Ok((response, token))
            })
            .await
    }

    /// The token that serves now, renewed if what is left of it may be too little for a lease.
    ///
    /// # Errors
    /// There is none and the login failed.
    pub(super) async fn current_lasting(&self, cx: &FetchCx) -> Result<Token, ProviderError> {
        self.tokens.current_lasting(cx).await
    }

    /// Writes `body` to the API path `segments` with `token` and no other.
    ///
    /// # Errors
    /// There is no answer, or the token may not do this; any other status is an answer.
    pub(super) async fn post_with(
        &self,
        token: &Token,
        segments: &[&str],
        body: Zeroizing<Vec<u8>>,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        self.tokens.spend(token);
        let request = self.api.post(segments.iter().copied()).json(body);
        self.answer(request, token, segments, Capability::Update, cx)
            .await
    }

    /// Whether the tokens are of logins of our own, so that ending one concerns nobody else.
    pub(super) fn logs_in(&self) -> bool {
        self.tokens.authority().on_new_source() == OnNewSource::Keep
    }

    async fn answer(
        &self,
        request: Request,
        token: &Token,
        segments: &[&str],
        needed: Capability,
        cx: &FetchCx,
    ) -> Result<Response, ProviderError> {
        let response = self.api.send(request, Some(token.value()), cx).await?;
        match response.status {
            StatusCode::UNAUTHORIZED => Err(self.api.error(&response)),
            StatusCode::FORBIDDEN => Err(self.refusal(token, segments, needed, &response, cx).await),
            _ => Ok(response),
        }
    }

    /// 403 stands for a token that no longer counts as well as for a path that its policies do not cover.
    async fn refusal(
        &self,
        token: &Token,
        segments: &[&str],
        needed: Capability,
        response: &Response,
        cx: &FetchCx,
    ) -> ProviderError {
        let place = &response.place;
        let server = place.split('/').next().unwrap_or_default();
        match self.standing(token, cx).await {
            Err(error) => error,
            Ok(Standing::Refused) => ProviderError::auth(format!(
                "{server} does not accept the token: it is unknown or has ended"
            ))
            .hint("Give a fresh token, or log in by a method that renews it, such as AppRole."),
            Ok(Standing::Good) => ProviderError::denied(format!(
                "{place} may not be {} with this token: its policies do not allow it",
                needed.participle()
            ))
            .hint(format!(
                "Give it a policy with `path \"{}\" {{ capabilities = [\"{}\"] }}`.",
                segments.join("/"),
                needed.name()
            )),
        }
    }

    async fn standing(&self, token: &Token, cx: &FetchCx) -> Result<Standing, ProviderError> {
        let mut verdict = turn(
            &self.verdict,
            cx,
            "the server took too long to say whether the token counts",
        )
        .await?;
        let now = cx.clock.monotonic();
        if let Some(known) = *verdict
            && known.token == token.serial()
            && now < known.at + VERDICT_LASTS
        {
            return Ok(known.standing);
        }
        let standing = self.ask_standing(token, cx).await?;
        *verdict = Some(Verdict {
            token: token.serial(),
            at: now,
            standing,
        });
        Ok(standing)
    }

    /// The default policy lets every token look itself up. A token without it still gets the list of mounts, which
    /// is cut to what it may see and refused only to tokens that do not count.
    async fn ask_standing(&self, token: &Token, cx: &FetchCx) -> Result<Standing, ProviderError> {
        let itself = self.api.get(["auth", "token", "lookup-self"]);
        let mounts = self.api.get(["sys", "internal", "ui", "mounts"]);
        for request in [itself, mounts] {
            if self.accepts(request, token, cx).await? {
                return Ok(Standing::Good);
            }
        }
        Ok(Standing::Refused)
    }

    async fn accepts(&self, request: Request, token: &Token, cx: &FetchCx) -> Result<bool, ProviderError> {
        self.tokens.spend(token);
        let response = self.api.send(request, Some(token.value()), cx).await?;
        match response.status {
            StatusCode::FORBIDDEN | StatusCode::UNAUTHORIZED => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.api.error(&response)),
        }
    }
}
