//! The toy: logs in with a key, reads many items with one request. Its flaws stand where they would in earnest.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use data_encoding::BASE64;
use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, Diagnostic, ErrorKind, FetchCx, Fetched, Locator, Members, Provider,
    ProviderError, Reference, SecretBytes,
};
use locket_providers::{BuildCx, ConfigError, Credential, ProviderKind, SchemeSpec};
use serde_json::Value;
use tokio::sync::{Mutex, Notify};

use super::flaws::Flaw;
use super::wire::{self, Limits};

/// The toy's line in a registry.
pub(crate) static KIND: ProviderKind = TOY;

/// The toy with [`Flaw::ItemsAreFields`], which no setting can give it.
pub(super) static UNGROUPED: ProviderKind = ProviderKind {
    parse: |reference| {
        let grouped = parse(reference)?;
        let name = name(&grouped);
        let (item, field) = (name.item.clone(), name.field.clone());
        Ok(Locator::new(format!("{item}/{field}"), "", Name { item, field }))
    },
    ..TOY
};

/// The toy with [`Flaw::TellsOptions`].
pub(super) static TELLING: ProviderKind = ProviderKind {
    parse: |reference| {
        let named = parse(reference)?;
        let Name { item, field } = name(&named);
        let item = if reference.is_optional() {
            format!("{item}?optional")
        } else {
            item.clone()
        };
        Ok(Locator::new(
            item.clone(),
            field.clone(),
            Name {
                item,
                field: field.clone(),
            },
        ))
    },
    ..TOY
};

const TOY: ProviderKind = ProviderKind {
    name: "toy",
    title: "the toy",
    summary: "What the toy's server holds",
    facts: locket_providers::Facts::LOCAL,
    schemes: &[SchemeSpec {
        name: "toy",
        bare: true,
        fragment: Fragment::Json,
    }],
    prefix: "toy",
    settings: &[],
    network: true,
    named_only: false,
    runs_programs: false,
    touches: locket_providers::touches_nothing,
    parse,
    parse_every: Some(parse_every),
    build,
};

struct Toy {
    authority: String,
    key: Credential,
    timeout: Duration,
    flaw: Option<Flaw>,
    first_key: std::sync::Mutex<Option<Vec<u8>>>,
    token: Mutex<Option<String>>,
    busy: AtomicBool,
    logged_in: Notify,
}

struct Name {
    item: String,
    field: String,
}

type Answer = Result<Fetched, ProviderError>;

fn parse(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    reference.check_options(&[])?;
    let segments = reference.segments();
    let [item, field] = segments.as_slice() else {
        return Err(vec![Diagnostic::error(
            reference.span(),
            "not of the form `toy://item/field`",
        )]);
    };
    let (item, field) = (item.to_string(), field.to_string());
    Ok(Locator::new(item.clone(), field.clone(), Name { item, field }))
}

fn parse_every(reference: &Reference) -> Result<Locator, Vec<Diagnostic>> {
    let named = parse(reference)?;
    let item = name(&named).item.clone();
    let field = String::new();
    Ok(Locator::every(item.clone(), "", Name { item, field }))
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    let missing = || ConfigError::new("incomplete", "Give all settings.");
    let toy = Toy {
        authority: cx.settings.text("authority").ok_or_else(missing)?.to_owned(),
        key: cx.settings.credential("key").ok_or_else(missing)?.clone(),
        timeout: cx
            .settings
            .duration("timeout")?
            .unwrap_or(Duration::from_secs(10)),
        flaw: cx.settings.text("flaw").and_then(Flaw::by_name),
        first_key: std::sync::Mutex::default(),
        token: Mutex::default(),
        busy: AtomicBool::new(false),
        logged_in: Notify::new(),
    };
    if toy.has(Flaw::ConnectsAtOnce) {
        drop(TcpStream::connect(&toy.authority));
    }
    Ok(Arc::new(toy))
}

impl Provider for Toy {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: if self.has(Flaw::CarriesNothing) { 0 } else { 8 },
            max_concurrent: 4,
            local: self.has(Flaw::ClaimsToBeLocal),
        }
    }

    fn fetch<'a>(&'a self, batch: &'a [Locator], cx: &'a FetchCx) -> BoxFuture<'a, Vec<Answer>> {
        Box::pin(async move {
            if !self.has(Flaw::OneRequestForEach) {
                return self.arranged(batch, self.read(batch, cx).await);
            }
            let mut answers = Vec::new();
            for locator in batch {
                answers.extend(self.read(std::slice::from_ref(locator), cx).await);
            }
            answers
        })
    }
}

impl Toy {
    fn has(&self, flaw: Flaw) -> bool {
        self.flaw == Some(flaw)
    }

    async fn read(&self, batch: &[Locator], cx: &FetchCx) -> Vec<Answer> {
        if batch.is_empty() {
            return Vec::new();
        }
        match self.read_items(batch, cx).await {
            Ok(items) => batch
                .iter()
                .map(|locator| match locator.is_every() {
                    true => self.every(&items, &name(locator).item),
                    false => self.value(&items, name(locator)),
                })
                .collect(),
            Err(error) => batch.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// One request for all items of `batch`, and a second one with a new token if the first was refused.
    async fn read_items(&self, batch: &[Locator], cx: &FetchCx) -> Result<Value, ProviderError> {
        let items: BTreeSet<_> = batch.iter().map(|locator| name(locator).item.as_str()).collect();
        let body = serde_json::to_vec(&items).expect("names are JSON");
        let token = self.token(cx).await?;
        let mut answer = self.ask("/batch", Some(&token), &body, cx).await;
        let attempts = if self.has(Flaw::Repeats) { 3 } else { 1 };
        for _ in 1..attempts {
            if answer.as_ref().is_err_and(|error| error.kind.is_transient()) {
                answer = self.ask("/batch", Some(&token), &body, cx).await;
            }
        }
        if answer.as_ref().is_err_and(|error| error.kind == ErrorKind::Auth) && !self.has(Flaw::KeepsTheToken)
        {
            self.token.lock().await.take_if(|held| *held == token);
            let token = self.token(cx).await?;
            answer = self.ask("/batch", Some(&token), &body, cx).await;
        }
        let mut answer = answer?;
        match answer.get_mut("items") {
            Some(items) if items.is_object() => Ok(items.take()),
            _ if self.has(Flaw::OtherShapeIsMissing) => Err(ProviderError::not_found("no items")),
            _ => Err(ProviderError::unavailable("not the toy's protocol")),
        }
    }

    async fn token(&self, cx: &FetchCx) -> Result<String, ProviderError> {
        if self.has(Flaw::WaitsForTheLeader) && self.busy.swap(true, Ordering::Relaxed) {
            self.logged_in.notified().await;
        }
        if self.has(Flaw::StaysLocked) && self.busy.swap(true, Ordering::Relaxed) {
            return Err(ProviderError::unavailable("a login is under way"));
        }
        let mut held = self.token.lock().await;
        if held.is_none() {
            *held = Some(self.login(cx).await?);
        }
        self.busy.store(false, Ordering::Relaxed);
        self.logged_in.notify_waiters();
        Ok(held.clone().unwrap_or_default())
    }

    async fn login(&self, cx: &FetchCx) -> Result<String, ProviderError> {
        let key = self.key(cx).await?;
        if self.has(Flaw::LogsLogins) {
            tracing::trace!(body = key.as_slice(), "login");
        }
        let answer = self.ask("/login", None, &key, cx).await.map_err(|error| {
            let denied = error.kind == ErrorKind::Auth && self.has(Flaw::RefusedIsDenied);
            if denied {
                ProviderError::denied("refused")
            } else {
                error
            }
        })?;
        match answer.get("token").and_then(Value::as_str) {
            Some(token) => Ok(token.to_owned()),
            None => Err(ProviderError::unavailable("not the toy's protocol")),
        }
    }

    #[expect(clippy::disallowed_methods, reason = "the key goes to the toy's server")]
    async fn key(&self, cx: &FetchCx) -> Result<Vec<u8>, ProviderError> {
        let first = || self.first_key.lock().expect("nothing panics with this lock");
        if let Some(key) = first().as_ref().filter(|_| self.has(Flaw::KeepsTheKey)) {
            return Ok(key.clone());
        }
        let key = self.key.read(cx).await?.expose().to_vec();
        *first() = Some(key.clone());
        Ok(key)
    }

    async fn ask(
        &self,
        path: &str,
        token: Option<&str>,
        body: &[u8],
        cx: &FetchCx,
    ) -> Result<Value, ProviderError> {
        let path = match token {
            Some(token) if self.has(Flaw::PutsTokensInAddresses) => format!("{path}?token={token}"),
            _ => path.to_owned(),
        };
        let answer = wire::post(&self.authority, &path, token, body, &self.limits(cx)).await;
        let answer = answer.map_err(|error| self.broken(&error))?;
        match answer.status {
            200 => self.parsed(&answer.body),
            status => Err(self.refused(status, answer.retry_after.as_deref(), &answer.body, cx)),
        }
    }

    fn limits(&self, cx: &FetchCx) -> Limits {
        let limit = match self.flaw {
            Some(Flaw::IgnoresTheSetting) => cx.remaining(),
            Some(Flaw::IgnoresTheDeadline) => self.timeout,
            _ => self.timeout.min(cx.remaining()),
        };
        let bounded = !self.has(Flaw::NoTimeLimit);
        Limits {
            whole: (bounded && !self.has(Flaw::NoTimeLimitForBodies)).then_some(limit),
            head: bounded.then_some(limit),
            body: if self.has(Flaw::ReadsWithoutEnd) {
                usize::MAX
            } else {
                1 << 20
            },
        }
    }

    fn broken(&self, error: &io::Error) -> ProviderError {
        let kind = match (error.kind(), self.flaw) {
            (io::ErrorKind::ConnectionRefused, Some(Flaw::RefusedIsInvalid))
            | (io::ErrorKind::TimedOut, Some(Flaw::HangingIsInvalid)) => ErrorKind::Invalid,
            (io::ErrorKind::ConnectionReset, Some(Flaw::ResetIsAuth)) => ErrorKind::Auth,
            (io::ErrorKind::UnexpectedEof, Some(Flaw::CutIsMissing)) => ErrorKind::NotFound,
            _ => ErrorKind::Unavailable,
        };
        ProviderError::new(kind, format!("no answer: {error}"))
    }

    fn parsed(&self, body: &[u8]) -> Result<Value, ProviderError> {
        serde_json::from_slice(body).map_err(|_| match self.flaw {
            Some(Flaw::GarbageIsInvalid) => ProviderError::invalid("not JSON"),
            Some(Flaw::EmptyAnswerIsMissing) if body.is_empty() => ProviderError::not_found("nothing"),
            _ => ProviderError::unavailable("not the toy's protocol"),
        })
    }

    fn refused(&self, status: u16, retry_after: Option<&str>, body: &[u8], cx: &FetchCx) -> ProviderError {
        let kind = match (status, self.flaw) {
            (_, Some(Flaw::ServerErrorIsMissing)) if status >= 500 => ErrorKind::NotFound,
            (504, Some(Flaw::GatewayTimeoutIsInvalid)) => ErrorKind::Invalid,
            (401, _) => ErrorKind::Auth,
            (429, Some(Flaw::ThrottlingIsUnavailable)) => ErrorKind::Unavailable,
            (429, _) => ErrorKind::RateLimited {
                retry_after: retry_after.and_then(|text| self.wait(text, cx)),
            },
            _ => ErrorKind::Unavailable,
        };
        let error = ProviderError::new(kind, format!("the toy's server answered {status}"));
        let body = String::from_utf8_lossy(body);
        match self.flaw {
            Some(Flaw::TellsBodies) => ProviderError::new(kind, format!("{error}: {body}")),
            Some(Flaw::TellsBodiesInHints) => error.hint(format!("The server says {body}.")),
            _ => error,
        }
    }

    fn wait(&self, text: &str, cx: &FetchCx) -> Option<Duration> {
        if self.has(Flaw::DropsRetryAfter) {
            return None;
        }
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = httpdate::parse_http_date(text)
            .ok()
            .filter(|_| !self.has(Flaw::IgnoresDates))?;
        Some(date.duration_since(cx.clock.wall()).unwrap_or_default())
    }

    fn every(&self, items: &Value, item: &str) -> Answer {
        let fields = items.get(item).and_then(Value::as_object);
        let fields = fields.ok_or_else(|| ProviderError::not_found("no such item"))?;
        let left_out = usize::from(self.has(Flaw::LeavesKeysOut));
        let members = fields.keys().skip(left_out).map(|field| {
            let value = self.value(
                items,
                &Name {
                    item: item.to_owned(),
                    field: field.clone(),
                },
            )?;
            Ok((field.clone(), value))
        });
        let members: Result<Vec<_>, ProviderError> = members.collect();
        Ok(Fetched::every(Members::new(members?)))
    }

    fn value(&self, items: &Value, name: &Name) -> Answer {
        let item = match items.get(&name.item) {
            Some(Value::Object(fields)) => fields,
            Some(Value::String(_)) if !self.has(Flaw::DeniedIsMissing) => {
                return Err(ProviderError::denied("may not be read"));
            }
            _ if self.has(Flaw::MissingIsUnavailable) => {
                return Err(ProviderError::unavailable("not there"));
            }
            _ => return Err(ProviderError::not_found("no such item")),
        };
        let Some(text) = item.get(&name.field).and_then(Value::as_str) else {
            if self.has(Flaw::MissingFieldIsEmpty) {
                return Ok(Fetched::new(SecretBytes::copy_from(b"")));
            }
            return Err(ProviderError::not_found("no such field"));
        };
        let mut value = BASE64
            .decode(text.as_bytes())
            .map_err(|_| ProviderError::unavailable("not the toy's protocol"))?;
        match self.flaw {
            Some(Flaw::TrimsValues) => value = value.trim_ascii().to_vec(),
            Some(Flaw::ReplacesBadText) => value = String::from_utf8_lossy(&value).into_owned().into_bytes(),
            Some(Flaw::EmptyIsMissing) if value.is_empty() => {
                return Err(ProviderError::not_found("nothing there"));
            }
            Some(Flaw::LogsValues) => tracing::trace!(text, "decoded"),
            _ => {}
        }
        Ok(Fetched::new(SecretBytes::new(value)))
    }

    /// The answers as they are given out: unchanged, but for flaws.
    fn arranged(&self, batch: &[Locator], answers: Vec<Answer>) -> Vec<Answer> {
        let failure = answers.iter().find_map(|answer| answer.as_ref().err().cloned());
        match (self.flaw, failure) {
            (Some(Flaw::SortsResults), _) => {
                let mut named: Vec<_> = batch.iter().zip(answers).collect();
                named.sort_by_key(|(locator, _)| (locator.item().to_owned(), locator.part().to_owned()));
                named.into_iter().map(|(_, answer)| answer).collect()
            }
            (Some(Flaw::DropsFailures), _) if batch.len() > 1 => {
                answers.into_iter().filter(Result::is_ok).collect()
            }
            (Some(Flaw::FailsTogether), Some(error)) => answers.iter().map(|_| Err(error.clone())).collect(),
            _ => answers,
        }
    }
}

impl fmt::Debug for Toy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut toy = f.debug_struct("Toy");
        toy.field("authority", &self.authority);
        if self.has(Flaw::PrintsItsToken) {
            toy.field("token", &self.token);
        }
        toy.finish_non_exhaustive()
    }
}

fn name(locator: &Locator) -> &Name {
    locator.typed().expect("only this provider made the locator")
}
