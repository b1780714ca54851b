//! One login of one token, kept from round to round: the core's instance, and the way of a call through it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{Either, select};
use futures_util::stream::{FuturesUnordered, StreamExt};
use locket_core::{ErrorKind, ProviderError, SecretBytes};
use locket_wasm::wasmtime;
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use super::engine::Code;
use super::invocation::{self, Call, Rejection, garbled};
use super::machine::{Incoming, Machine, Progress};
use super::traffic::{Delivered, Traffic, Trouble};
use super::value::{Js, Object};

/// A client of the core that is logged in.
pub(super) struct Session {
    code: Arc<Code>,
    machine: Machine,
    client: u64,
}

/// A text of the core's, wiped when dropped.
pub(super) type Text = Arc<Zeroizing<String>>;

/// How a call ended that gave nothing.
pub(super) struct Failed {
    pub(super) error: ProviderError,
    /// The session, where it can be used again.
    pub(super) session: Option<Session>,
    /// Who failed.
    pub(super) fault: Fault,
}

/// Who failed, which decides what to try next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The login has ended: a new one may help.
    Login,
    /// The core found something wrong with what was asked for, maybe with one part of it.
    Question,
    /// The server or the way to it.
    Server,
}

impl Session {
    /// Logs in.
    pub(super) async fn open(
        code: &Arc<Code>,
        token: &SecretBytes,
        traffic: &Traffic<'_>,
    ) -> Result<Self, ProviderError> {
        let config = invocation::client(token)?;
        code.load(traffic.cx).await?;
        let (loading, clock) = (Arc::clone(code), Arc::clone(&traffic.cx.clock));
        let machine = burst(code, traffic, move || loading.machine(clock)).await??;
        let Driven { machine, outcome } = drive(code, machine, "init_client", config, traffic).await?;
        let client = match outcome.map_err(|failed| failed.0)? {
            Js::Text(id) => id.trim_matches('"').parse().map_err(|_| garbled())?,
            _ => return Err(garbled()),
        };
        Ok(Self {
            code: Arc::clone(code),
            machine,
            client,
        })
    }

    /// Makes one call. The session comes back with what the call gave.
    pub(super) async fn call(self, call: Call<'_>, traffic: &Traffic<'_>) -> Result<(Self, Text), Failed> {
        let Self {
            code,
            machine,
            client,
        } = self;
        let gone = |error| Failed {
            error,
            session: None,
            fault: Fault::Server,
        };
        let json = invocation::invocation(client, call).map_err(gone)?;
        let driven = drive(&code, machine, "invoke", json, traffic).await;
        let Driven { machine, outcome } = driven.map_err(gone)?;
        let session = Self {
            code,
            machine,
            client,
        };
        match outcome {
            Ok(Js::Text(text)) => Ok((session, text)),
            Ok(_) => Err(gone(garbled())),
            Err((error, fault)) => Err(Failed {
                error,
                session: Some(session),
                fault,
            }),
        }
    }

    #[cfg(test)]
    pub(super) fn machine(&mut self) -> &mut Machine {
        &mut self.machine
    }
}

/// A machine after a call.
struct Driven {
    machine: Machine,
    /// What the call gave; else the error, and who failed.
    outcome: Result<Js, (ProviderError, Fault)>,
}

/// Calls an export and does what it waits for until its promise is settled.
///
/// An error means that the machine is not to be used again.
async fn drive(
    code: &Arc<Code>,
    mut machine: Machine,
    export: &'static str,
    text: Zeroizing<Vec<u8>>,
    traffic: &Traffic<'_>,
) -> Result<Driven, ProviderError> {
    let started = burst(code, traffic, move || {
        let promise = machine.call(export, &text)?;
        Ok((machine, promise))
    });
    let (started, promise): (Machine, Arc<Object>) = started.await?.map_err(|error| ended(&error))?;
    machine = started;
    let mut in_flight = FuturesUnordered::new();
    let mut arrived: Vec<Incoming> = Vec::new();
    let mut refused = None;
    let mut now = traffic.cx.clock.monotonic();
    loop {
        let turn = std::mem::take(&mut arrived);
        let waited_for = Arc::clone(&promise);
        let running = burst(code, traffic, move || {
            let progress = machine.run(&waited_for, turn, now)?;
            Ok((machine, progress))
        });
        let (ran, progress) = running.await?.map_err(|error| ended(&error))?;
        machine = ran;
        let (requests, timer) = match progress {
            Progress::Settled(outcome) => {
                let outcome = outcome.map_err(|rejection| told(&rejection, refused));
                return Ok(Driven { machine, outcome });
            }
            Progress::Waiting { requests, timer } => (requests, timer),
        };
        in_flight.extend(requests.into_iter().map(|outgoing| traffic.deliver(outgoing)));
        let Some(event) = next(&mut in_flight, timer, traffic).await else {
            return Err(ProviderError::unavailable("1Password's core waits for nothing"));
        };
        now = traffic.cx.clock.monotonic();
        match event {
            Event::Due(due) => now = now.max(due),
            Event::Delivered(Delivered { incoming, trouble }) => {
                match trouble {
                    // What the core would do now is ask again, which is the engine's to decide.
                    Some(Trouble::Fatal(error)) => return Err(error),
                    Some(Trouble::Refused(error)) => refused = Some(error),
                    None => {}
                }
                arrived.push(incoming);
            }
        }
    }
}

/// What the core waited for.
enum Event {
    Delivered(Delivered),
    /// The timer that is due at this time of the monotonic clock.
    Due(Duration),
}

async fn next<F: Future<Output = Delivered>>(
    in_flight: &mut FuturesUnordered<F>,
    timer: Option<Duration>,
    traffic: &Traffic<'_>,
) -> Option<Event> {
    let sleep = async |due: Duration| {
        tokio::time::sleep(due.saturating_sub(traffic.cx.clock.monotonic())).await;
        Some(Event::Due(due))
    };
    match (in_flight.is_empty(), timer) {
        (true, None) => None,
        (true, Some(due)) => sleep(due).await,
        (false, None) => in_flight.next().await.map(Event::Delivered),
        (false, Some(due)) => {
            let sleeping = std::pin::pin!(sleep(due));
            match select(in_flight.next(), sleeping).await {
                Either::Left((delivered, _)) => delivered.map(Event::Delivered),
                Either::Right((event, _)) => event,
            }
        }
    }
}

/// Runs the core off the loop, for as long as the caller waits: when that ends, so does the core.
pub(super) async fn burst<T: Send + 'static>(
    code: &Arc<Code>,
    traffic: &Traffic<'_>,
    run: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ProviderError> {
    let no_time = || ProviderError::unavailable("no time was left for 1Password's core");
    let limit = traffic.cx.remaining();
    if limit.is_zero() {
        return Err(no_time());
    }
    let running = tokio::task::spawn_blocking(run);
    let mut stop = StopWhenDropped(Some((Arc::clone(code), running.abort_handle())));
    let ran = tokio::time::timeout(limit, running).await;
    let ran = ran.map_err(|_| no_time())?;
    stop.0 = None;
    ran.map_err(|_| ProviderError::unavailable("1Password's core was cut short"))
}

/// Stops what the core does, and has it not begin where no thread was free for it yet.
struct StopWhenDropped(Option<(Arc<Code>, AbortHandle)>);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        if let Some((code, task)) = &self.0 {
            task.abort();
            code.stop();
        }
    }
}

/// The core ended in the middle of a call. Its words are about itself, and kept for whoever looks for the fault.
fn ended(error: &wasmtime::Error) -> ProviderError {
    tracing::debug!("1Password's core ended: {error}");
    ProviderError::unavailable("1Password's core ended in the middle of a call")
        .hint("It is started anew with the next attempt; the log at level `debug` says why it ended.")
}

/// What a rejection of the core means, given what the server refused.
fn told(rejection: &Js, refused: Option<ProviderError>) -> (ProviderError, Fault) {
    let parsed = rejection
        .as_text()
        .and_then(|text| serde_json::from_str::<Rejection>(text).ok());
    let (name, message) = match &parsed {
        Some(Rejection { name, message }) => (name.as_str(), message.to_lowercase()),
        None => ("", rejection.as_text().unwrap_or_default().to_lowercase()),
    };
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    if let Some(error) = refused {
        let fault = match error.kind {
            ErrorKind::Auth => Fault::Login,
            _ => Fault::Server,
        };
        return (error, fault);
    }
    let error = match name {
        "RateLimitExceeded" => ProviderError::new(
            ErrorKind::RateLimited { retry_after: None },
            "1Password throttles the service account",
        )
        .hint("Refresh less often with `--refresh`; `op service-account ratelimit` shows what is left."),
        "AuthExpired" | "DesktopSessionExpired" => {
            return (ProviderError::auth("the session with 1Password has ended"), Fault::Login);
        }
        _ if says(&["invalid service account token"]) => {
            ProviderError::auth("1Password's core cannot read the token of the service account")
                .hint("Copy it again, whole and in one line; 1Password shows it once, when the account is made.")
        }
        _ if says(&["verifying the server hash", "does not match local sk"]) => {
            ProviderError::auth("the server does not prove that it knows the token of the service account")
                .hint("Make a new token in 1Password, and check that nothing between this machine and 1Password answers in its place.")
        }
        _ if says(&["deserializ", "decrypt", "decod"]) => {
            ProviderError::unavailable("the server's answer is not what 1Password sends")
                .hint("Check that nothing between this machine and 1Password changes the traffic.")
        }
        _ if says(&["not found", "couldn't be found", "could not be found", "not in an active state"]) => {
            ProviderError::not_found("1Password has no such vault or item")
        }
        _ => ProviderError::unavailable("1Password's core could not do it"),
    };
    (error, Fault::Question)
}
