//! Hands batches to helpers that wait, starting one where none does.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locket_core::schemes::Fragment;
use locket_core::{BoxFuture, Capability, FetchCx, Fetched, Locator, Provider, ProviderError};

use super::config::{Config, SETTINGS};
use super::exchange::Exchange;
use super::locator::{HelperLocator, parse};
use super::process::{After, Ended, Helper};
use super::told::Told;
use crate::batch::{Answers, all_failed, once_more};
use crate::registry::touches_nothing;
use crate::{BuildCx, ConfigError, Facts, ProviderKind, SchemeSpec};

/// The word before `://` behind which the name of an instance stands.
pub(super) const SCHEME: &str = "exec";

/// Helper programs.
pub static KIND: ProviderKind = ProviderKind {
    name: "exec",
    title: "helper programs",
    summary: "Secrets that a program of your own looks up, asked over a documented protocol",
    facts: Facts {
        batching: "everything of a round",
        versions: "as the program tells them",
        leases: "as the program tells them",
        verified: "sample programs in Python and shell",
        ..Facts::LOCAL
    },
    schemes: &[SchemeSpec {
        name: SCHEME,
        bare: false,
        fragment: Fragment::Json,
    }],
    prefix: "exec",
    settings: SETTINGS,
    network: false,
    named_only: true,
    runs_programs: true,
    touches: touches_nothing,
    parse,
    parse_every: None,
    build,
};

struct ExecProvider {
    config: Config,
    /// Helpers that wait for a request.
    waiting: Mutex<Vec<Helper>>,
}

fn build(cx: &BuildCx<'_>) -> Result<Arc<dyn Provider>, ConfigError> {
    Ok(Arc::new(ExecProvider {
        config: Config::new(cx)?,
        waiting: Mutex::default(),
    }))
}

impl Provider for ExecProvider {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: self.config.batch_size,
            max_concurrent: 1,
            local: true,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(self.fetch_all(batch, cx))
    }
}

impl ExecProvider {
    async fn fetch_all(&self, batch: &[Locator], cx: &FetchCx) -> Answers {
        let typed: Option<Vec<&HelperLocator>> = batch.iter().map(Locator::typed).collect();
        let Some(typed) = typed else {
            let error = ProviderError::invalid("the reference was parsed by another provider");
            return all_failed(batch.len(), &error);
        };
        let mut distinct: Vec<&HelperLocator> = Vec::with_capacity(typed.len());
        let mut places = Vec::with_capacity(typed.len());
        for locator in typed {
            let known = distinct.iter().position(|known| *known == locator);
            places.push(known.unwrap_or(distinct.len()));
            if known.is_none() {
                distinct.push(locator);
            }
        }
        if distinct.is_empty() {
            return Vec::new();
        }
        spread(self.ask(&distinct, cx).await, &places)
    }

    /// Asks one helper, within the time that one request has.
    async fn ask(&self, items: &[&HelperLocator], cx: &FetchCx) -> Answers {
        let name = &self.config.name;
        let limit = self.config.timeout.min(cx.remaining());
        // What the program asks its server for it knows alone: an exchange counts as one.
        cx.count_request();
        let mut exchange = Exchange::new(name.clone(), items.len());
        let mut told = Told::new();
        // When time is up the helper goes with the future, and what it answered so far stays.
        let talking = self.talk(items, &mut exchange, &mut told, cx);
        let rest = match tokio::time::timeout(limit, talking).await {
            Ok(rest) => rest,
            Err(_) => ProviderError::unavailable(format!(
                "the helper of `{name}` did not answer within {} and was killed",
                humantime::format_duration(limit)
            ))
            .hint(format!(
                "Give it more time with `timeout` in `[providers.{name}]`, or find out what it waits for."
            )),
        };
        told.log(name, exchange.values());
        exchange.finish(&rest)
    }

    /// Talks to a helper that waits, else to a new one; returns the error of whatever stays unanswered.
    async fn talk(
        &self,
        items: &[&HelperLocator],
        exchange: &mut Exchange,
        told: &mut Told,
        cx: &FetchCx,
    ) -> ProviderError {
        let name = &self.config.name;
        loop {
            let waiting = self.waiting().pop();
            let is_used = waiting.is_some();
            let mut helper = match waiting.map_or_else(|| Helper::start(&self.config), Ok) {
                Ok(helper) => helper,
                Err(error) => return error,
            };
            match helper.ask(items, exchange, told, &cx.clock).await {
                Ended::Done(After::Waiting) => {
                    self.waiting().push(helper);
                    return unanswered(name);
                }
                Ended::Done(After::Spent) => return unanswered(name),
                // It went while nobody was asking, as it may: that is no failure of this request.
                Ended::Gone(_) if is_used && exchange.is_untouched() => {}
                Ended::Gone(status) => {
                    let how = status.map_or_else(String::new, |status| format!(" ({status})"));
                    return ProviderError::unavailable(format!(
                        "the helper of `{name}` ended{how} before it answered"
                    ))
                    .hint("What it wrote to its standard error is in the log at level `debug`.");
                }
                Ended::Broken(error) => return error,
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Helper>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One answer for each place, which may name an answer several times.
fn spread(answers: Answers, places: &[usize]) -> Answers {
    let mut answers: Vec<_> = answers.into_iter().map(Some).collect();
    let mut spread = Vec::with_capacity(places.len());
    for (index, place) in places.iter().enumerate() {
        let is_last = !places[index + 1..].contains(place);
        let answer = match is_last {
            true => answers[*place].take(),
            false => answers[*place]
                .as_ref()
                .map(|answer| answer.as_ref().map(once_more).map_err(Clone::clone)),
        };
        // Places are made of the answers' own numbers.
        spread.extend(answer);
    }
    spread
}

/// What an item would come to that is not answered though all are.
fn unanswered(name: &str) -> ProviderError {
    ProviderError::unavailable(format!("the helper of `{name}` did not answer this"))
}

impl fmt::Debug for ExecProvider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExecProvider")
            .field("config", &self.config)
            .field("waiting", &self.waiting().len())
            .finish()
    }
}
