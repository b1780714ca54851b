use std::collections::BTreeSet;

use locket_providers::ProviderKind;

use super::backend::{FLAWLESS, Toy};
use super::flaws::Flaw;
use crate::conformance::cases::{CASES, Demand, TELLS_NOTHING};
use crate::conformance::fixture::{Backend, Fixture};
use crate::conformance::report;
use crate::conformance::trial::Unmet;

#[test]
fn a_provider_without_flaws_conforms_to_every_promise() {
    let report = report::run(&FLAWLESS);
    report.conclude();
    assert_eq!(report.skipped(), [] as [&str; 0]);
}

#[test]
fn every_flaw_is_caught_by_its_promise() {
    let missed: Vec<_> = std::thread::scope(|scope| {
        let checks: Vec<_> = Flaw::ALL
            .iter()
            .map(|flaw| (flaw, scope.spawn(|| caught(*flaw))))
            .collect();
        checks
            .into_iter()
            .filter_map(|(flaw, check)| (!check.join().unwrap()).then_some(flaw))
            .collect()
    });
    assert!(missed.is_empty(), "the suite does not see {missed:?}");
}

fn caught(flaw: Flaw) -> bool {
    let toy = Toy(Some(flaw));
    if flaw.promise() == TELLS_NOTHING.promise {
        let broken = report::run(&toy).broken();
        return broken
            .iter()
            .any(|(promise, _)| *promise == TELLS_NOTHING.promise);
    }
    let case = CASES.iter().find(|case| case.promise == flaw.promise()).unwrap();
    let (verdict, _) = report::run_case(&toy, case);
    matches!(verdict, Err(Unmet::Failed(_)))
}

#[test]
fn every_promise_has_a_flaw_that_breaks_it() {
    let broken: BTreeSet<_> = Flaw::ALL.iter().map(|flaw| flaw.promise()).collect();
    let promises = CASES.iter().chain([&TELLS_NOTHING]).map(|case| case.promise);
    assert_eq!(broken, promises.collect());
}

/// The toy with a network and every excuse.
struct Excused;

impl Fixture for Excused {
    fn name(&self) -> &'static str {
        "toy, excused"
    }

    fn kind(&self) -> &'static ProviderKind {
        FLAWLESS.kind()
    }

    fn start(&self) -> Backend {
        let mut backend = FLAWLESS.start();
        backend.upstream = Err("too much work");
        backend.credential = Err("too much work");
        backend.references.binary = Err("a good reason");
        backend
    }
}

#[test]
fn a_provider_with_a_network_is_never_excused_from_faults() {
    let report = report::run(&Excused);
    let broken: BTreeSet<_> = report.broken().into_iter().map(|(promise, _)| promise).collect();
    let due = CASES
        .iter()
        .filter(|case| case.demand == Demand::OfNetworks)
        .map(|case| case.promise);
    let let_off: Vec<_> = due.filter(|promise| !broken.contains(promise)).collect();
    assert!(let_off.is_empty(), "excused from {let_off:?}");
    assert_eq!(report.skipped(), ["bytes that are no text arrive"]);
}
