//! A caller that goes away.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

use locket_core::Provider;
use locket_testkit::faults::Gate;
use locket_testkit::{Fault, Rule};

use super::faults::Instance;
use crate::conformance::trial::{DEADLINE, Trial, Unmet, Verdict, ensure, is_value};

pub(crate) async fn leaves_the_provider_usable(trial: &Trial) -> Verdict {
    let text = &trial.references().text;
    // At its first steps, whatever they are.
    for steps in 1..=5 {
        let provider = trial.provider()?;
        poll_times(steps, trial.fetch(&provider, &[&text.reference])).await;
        trial.reads(&provider, text).await?;
        poll_times(steps, trial.fetch(&provider, &[&text.reference])).await;
        trial.reads(&provider, text).await?;
    }
    // While each of its requests waits for an answer.
    if trial.upstream().is_ok() {
        for instance in Instance::ALL {
            for place in instance.places(trial).await? {
                cancel_at(trial, instance, place)
                    .await
                    .map_err(|unmet| unmet.during(&format!("a cancelled request {place}")))?;
            }
        }
    }
    Ok(())
}

async fn cancel_at(trial: &Trial, instance: Instance, place: usize) -> Verdict {
    let (faults, text) = (&trial.upstream()?.faults, &trial.references().text);
    let provider = trial.provider()?;
    instance.prepare(trial, &provider).await?;
    let gate = Gate::new();
    let held = faults.inject(Rule::new(Fault::Held(gate)).after(place));
    let wanted = [text.reference.as_str()];
    tokio::select! {
        answer = trial.fetch(&provider, &wanted) => {
            ensure!(answer?.is_empty(), "an answer came though every request is held");
        }
        () = held.struck(1) => {}
    }
    // The gate stays shut: what was cancelled is never answered.
    faults.clear();
    trial.reads(&provider, text).await
}

pub(crate) async fn leaves_other_readers_alone(trial: &Trial) -> Verdict {
    let (faults, text) = (&trial.upstream()?.faults, &trial.references().text);
    let provider: Arc<dyn Provider> = trial.provider()?;
    let gate = Gate::new();
    let held = faults.inject(Rule::new(Fault::Held(gate.clone())).times(1));
    let references = [text.reference.as_str()];
    let mut leader = Box::pin(trial.fetch(&provider, &references));
    tokio::select! {
        answer = &mut leader => ensure!(answer?.is_empty(), "an answer came though every request is held"),
        () = held.struck(1) => {}
    }
    let mut follower = pin!(trial.fetch(&provider, &references));
    let early = poll_times(1, &mut follower).await;
    drop(leader);
    gate.open();
    let answers = match early {
        Some(answers) => answers?,
        None => tokio::time::timeout(DEADLINE, follower)
            .await
            .map_err(|_| Unmet::Failed("the second reader waits for the first, which is gone".into()))??,
    };
    is_value(&answers[0], text)
}

/// Polls `future` at most so many times.
async fn poll_times<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut left = times;
    poll_fn(|cx| {
        left -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if left == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}
