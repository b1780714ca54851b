//! A server that fails in ways that end by themselves; those that hang have a file of their own.

use std::sync::Arc;
use std::time::Duration;

use locket_core::{Clock, ErrorKind, FetchCx, Provider};
use locket_testkit::faults::RetryAfter;
use locket_testkit::{Fault, ManualClock, Rule};

use crate::conformance::fixture::Struck;
use crate::conformance::trial::{Answer, DEADLINE, Trial, Unmet, Verdict, ensure, is_error, is_value};

/// Whether the instance under test has read something before the fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instance {
    /// It has not: logins and look-ups are still to come.
    Fresh,
    /// It has.
    Warm,
}

impl Instance {
    pub(crate) const ALL: [Self; 2] = [Self::Fresh, Self::Warm];

    /// Brings a new instance into this state, and makes the server forget what that took.
    pub(crate) async fn prepare(self, trial: &Trial, provider: &Arc<dyn Provider>) -> Verdict {
        if self == Self::Warm {
            trial.reads(provider, &trial.references().text).await?;
        }
        trial.upstream()?.faults.forget();
        Ok(())
    }

    /// How many requests a read by such an instance takes: the places at which it can be struck. The read must
    /// succeed, which makes it the control of all that follows.
    pub(crate) async fn requests(self, trial: &Trial) -> Result<usize, Unmet> {
        let provider = trial.provider()?;
        self.prepare(trial, &provider).await?;
        trial.reads(&provider, &trial.references().text).await?;
        let requests = trial.upstream()?.faults.request_count();
        ensure!(requests > 0, "a read takes no request, or bypasses the faults");
        Ok(requests)
    }

    /// Those of these places that are struck.
    pub(crate) async fn places(self, trial: &Trial) -> Result<Vec<usize>, Unmet> {
        let requests = self.requests(trial).await?;
        let mut places = match trial.struck {
            Struck::Each => (0..requests).collect(),
            Struck::Some => vec![0, requests / 2, requests - 1],
        };
        places.dedup();
        Ok(places)
    }
}

pub(crate) async fn throttled(trial: &Trial) -> Verdict {
    // A clock that stands still makes dates exact.
    let clock: Arc<dyn Clock> = Arc::new(ManualClock::new());
    let seconds = Duration::from_secs;
    let now = clock.wall();
    let date = |at, now| RetryAfter::Date { at, now };
    for (told, retry_after) in [
        (RetryAfter::Missing, None),
        (RetryAfter::Seconds(17), Some(seconds(17))),
        (date(now + seconds(90), now), Some(seconds(90))),
        (date(now - seconds(90), now), Some(Duration::ZERO)),
        (RetryAfter::Text("soon".into()), None),
    ] {
        let expected = ErrorKind::RateLimited { retry_after };
        for instance in Instance::ALL {
            for place in instance.places(trial).await? {
                let provider = trial.provider_by(&clock)?;
                instance.prepare(trial, &provider).await?;
                let fault = Fault::RateLimited(told.clone());
                strike(trial, &provider, place, fault, expected, &clock).await?;
            }
        }
    }
    Ok(())
}

pub(crate) async fn server_errors(trial: &Trial) -> Verdict {
    let statuses = [500, 502, 503, 504].map(Fault::Status);
    each_unavailable(trial, &statuses).await
}

pub(crate) async fn broken_connections(trial: &Trial) -> Verdict {
    each_unavailable(trial, &[Fault::Resets, Fault::ClosesMidBody]).await
}

pub(crate) async fn garbage(trial: &Trial) -> Verdict {
    let bodies = [
        Fault::NotJson,
        Fault::TruncatedJson,
        Fault::OtherShape,
        Fault::EmptyBody,
    ];
    each_unavailable(trial, &bodies).await
}

pub(crate) async fn refused_connections(trial: &Trial) -> Verdict {
    let (faults, text) = (&trial.upstream()?.faults, &trial.references().text);
    for instance in Instance::ALL {
        let provider = trial.provider()?;
        instance.prepare(trial, &provider).await?;
        faults.go_down();
        let answer = trial.fetch_one(&provider, &text.reference).await?;
        faults.go_up();
        is_error(&answer, &text.reference, ErrorKind::Unavailable)?;
        trial.reads(&provider, text).await?;
    }
    Ok(())
}

/// The most of one answer that a provider may read, with room for what lies in the buffers between.
const READ_AT_MOST: u64 = 48 << 20;

pub(crate) async fn huge_answers(trial: &Trial) -> Verdict {
    let faults = &trial.upstream()?.faults;
    for instance in Instance::ALL {
        for place in instance.places(trial).await? {
            let provider = trial.provider()?;
            instance.prepare(trial, &provider).await?;
            let fault = Fault::HugeBody(256);
            strike(
                trial,
                &provider,
                place,
                fault,
                ErrorKind::Unavailable,
                &trial.clock,
            )
            .await?;
            let sent = faults.body_bytes_sent();
            ensure!(sent < READ_AT_MOST, "{sent} bytes of one answer were taken");
        }
    }
    Ok(())
}

/// Repeating is the engine's: a provider that does it as well multiplies the attempts on a server in trouble.
pub(crate) async fn no_repeats(trial: &Trial) -> Verdict {
    let (faults, text) = (&trial.upstream()?.faults, &trial.references().text);
    for fault in [Fault::Status(503), Fault::RateLimited(RetryAfter::Seconds(0))] {
        for instance in Instance::ALL {
            let place = instance.requests(trial).await? - 1;
            let provider = trial.provider()?;
            instance.prepare(trial, &provider).await?;
            let struck = faults.inject(Rule::new(fault.clone()).after(place));
            let answer = trial.fetch_one(&provider, &text.reference).await?;
            faults.clear();
            ensure!(answer.is_err(), "a read went through in spite of {fault:?}");
            ensure!(
                struck.hits() == 1,
                "after {fault:?} the server was asked {} times",
                struck.hits()
            );
        }
    }
    Ok(())
}

/// Holds every request of a read, one after the other, to be answered by each of `faults`.
async fn each_unavailable(trial: &Trial, faults: &[Fault]) -> Verdict {
    for fault in faults {
        for instance in Instance::ALL {
            for place in instance.places(trial).await? {
                let provider = trial.provider()?;
                instance.prepare(trial, &provider).await?;
                let (fault, expected) = (fault.clone(), ErrorKind::Unavailable);
                strike(trial, &provider, place, fault, expected, &trial.clock).await?;
            }
        }
    }
    Ok(())
}

/// Reads while all requests from the one numbered `place` on meet `fault`; then lifts it and reads again.
async fn strike(
    trial: &Trial,
    provider: &Arc<dyn Provider>,
    place: usize,
    fault: Fault,
    expected: ErrorKind,
    clock: &Arc<dyn Clock>,
) -> Verdict {
    let (faults, text) = (&trial.upstream()?.faults, &trial.references().text);
    let cx = FetchCx::new(Arc::clone(clock), clock.monotonic() + DEADLINE);
    let struck = faults.inject(Rule::new(fault.clone()).after(place));
    let answer = trial.fetch_in(provider, &[&text.reference], &cx).await?.remove(0);
    faults.clear();
    let place = format!("{fault:?} at request {place}");
    ensure!(struck.hits() > 0, "{place} never struck");
    judge(&answer, expected, trial).map_err(|unmet| unmet.during(&place))?;
    let again = trial.fetch_in(provider, &[&text.reference], &cx).await?.remove(0);
    is_value(&again, text).map_err(|unmet| unmet.during(&format!("the read after {place}")))
}

fn judge(answer: &Answer, expected: ErrorKind, trial: &Trial) -> Verdict {
    is_error(answer, &trial.references().text.reference, expected)
}
