//! Runs the cases against a fixture, each with a back end and a runtime of its own, and says what came of it.

use super::cases::{CASES, Case, Demand, TELLS_NOTHING};
use super::fixture::Fixture;
use super::trial::{Trial, Unmet, Verdict};

/// What came of every case.
pub(crate) struct Report {
    fixture: &'static str,
    verdicts: Vec<(&'static Case, Verdict)>,
}

/// Holds `fixture` to every case.
pub(crate) fn run(fixture: &dyn Fixture) -> Report {
    let mut verdicts = Vec::new();
    let mut leaks = Vec::new();
    for case in CASES {
        let (verdict, leak) = run_case(fixture, case);
        verdicts.push((case, verdict));
        leaks.extend(leak.map(|leak| format!("{leak}, told in “{}”", case.promise)));
    }
    let silence = if leaks.is_empty() {
        Ok(())
    } else {
        Err(Unmet::Failed(leaks.join("; ")))
    };
    verdicts.push((&TELLS_NOTHING, silence));
    Report {
        fixture: fixture.name(),
        verdicts,
    }
}

/// Holds `fixture` to one case. Beside the verdict stands what the provider told that it should not.
pub(crate) fn run_case(fixture: &dyn Fixture, case: &Case) -> (Verdict, Option<String>) {
    let trial = Trial::new(fixture);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime can be made");
    let verdict = runtime.block_on((case.check)(&trial));
    let verdict = match verdict {
        Err(Unmet::NotApplicable(reason)) if case.demand == Demand::OfNetworks && fixture.is_network() => {
            Err(Unmet::Failed(format!(
                "a provider with a network may not be excused: {reason}"
            )))
        }
        verdict => verdict,
    };
    (verdict, trial.leak().map(|finding| finding.to_string()))
}

impl Report {
    /// Prints a line for each case, and fails the test if any promise is broken.
    pub(crate) fn conclude(&self) {
        let fixture = self.fixture;
        for (case, verdict) in &self.verdicts {
            let promise = case.promise;
            match verdict {
                Ok(()) => println!("{promise}: {fixture}: holds"),
                Err(Unmet::NotApplicable(reason)) => {
                    println!("{promise}: {fixture}: not applicable: {reason}");
                }
                Err(Unmet::Failed(why)) => println!("{promise}: {fixture}: BROKEN: {why}"),
            }
        }
        let broken = self.broken();
        assert!(broken.is_empty(), "{fixture} breaks {broken:#?}");
    }

    /// The promises that are broken, and how.
    pub(crate) fn broken(&self) -> Vec<(&'static str, String)> {
        self.verdicts
            .iter()
            .filter_map(|(case, verdict)| match verdict {
                Err(Unmet::Failed(why)) => Some((case.promise, why.clone())),
                _ => None,
            })
            .collect()
    }

    /// The promises that could not be put to the test.
    pub(crate) fn skipped(&self) -> Vec<&'static str> {
        self.verdicts
            .iter()
            .filter(|(_, verdict)| matches!(verdict, Err(Unmet::NotApplicable(_))))
            .map(|(case, _)| case.promise)
            .collect()
    }
}
