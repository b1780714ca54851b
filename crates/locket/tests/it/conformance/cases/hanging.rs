//! A server that takes a request and never finishes its answer.
//!
//! Time is real until the request hangs, then paused: tokio then jumps to whatever the provider waits for, so that
//! a minute costs nothing and a provider that waits for nothing is found out at once.

use std::sync::Arc;
use std::time::Duration;

use locket_core::{ErrorKind, Provider};
use locket_testkit::{Fault, Rule};
use tokio::time::Instant;

use super::faults::Instance;
use crate::conformance::trial::{Trial, Verdict, ensure, is_error};

/// What the one limit under test allows, and what the other does.
const SHORT: Duration = Duration::from_secs(60);
const LONG: Duration = Duration::from_secs(600);
/// What a provider may need beyond its limit, by its own clock.
const SLACK: Duration = Duration::from_secs(1);
/// Real time in which a request must have reached the server: a program may have to be started for it, on a machine
/// that has much else to do. It is less than the limit under test, which counts from the same moment.
const ARRIVAL: Duration = Duration::from_secs(50);

pub(crate) async fn ends_with_the_time_limit(trial: &Trial) -> Verdict {
    each(trial, SHORT, LONG).await
}

pub(crate) async fn ends_with_the_deadline(trial: &Trial) -> Verdict {
    each(trial, LONG, SHORT).await
}

async fn each(trial: &Trial, timeout: Duration, deadline: Duration) -> Verdict {
    for fault in [Fault::NeverAnswers, Fault::HangsMidBody] {
        for instance in Instance::ALL {
            for place in instance.places(trial).await? {
                let provider = trial.provider_with("timeout", &format!("{}s", timeout.as_secs()))?;
                instance.prepare(trial, &provider).await?;
                hang(trial, &provider, place, &fault, deadline)
                    .await
                    .map_err(|unmet| unmet.during(&format!("{fault:?} at request {place}")))?;
            }
        }
    }
    Ok(())
}

async fn hang(
    trial: &Trial,
    provider: &Arc<dyn Provider>,
    place: usize,
    fault: &Fault,
    deadline: Duration,
) -> Verdict {
    let (faults, text) = (&trial.upstream()?.faults, &trial.references().text);
    let struck = faults.inject(Rule::new(fault.clone()).after(place));
    let references = [text.reference.as_str()];
    let asking = trial.fetch_within(provider, &references, deadline);
    let pausing = async {
        let arrived = tokio::time::timeout(ARRIVAL, async {
            struck.struck(1).await;
            if matches!(fault, Fault::HangsMidBody) {
                faults.hanging(1).await;
            }
        });
        let arrived = arrived.await.is_ok();
        tokio::time::pause();
        (arrived, Instant::now())
    };
    let (answers, (arrived, since)) = tokio::join!(asking, pausing);
    let waited = since.elapsed();
    tokio::time::resume();
    faults.clear();
    ensure!(arrived, "the request never reached the server");
    is_error(&answers?[0], &text.reference, ErrorKind::Unavailable)?;
    ensure!(waited <= SHORT + SLACK, "the provider waited for {waited:?}");
    trial
        .reads(provider, text)
        .await
        .map_err(|unmet| unmet.during("the read after it"))
}
