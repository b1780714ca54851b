//! Many seeds in every test run; one seed again, or more of them, on demand. CONTRIBUTING.md says how.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::life::{Outcome, simulate};
use super::schedule::Schedule;

/// Seeds of an ordinary run.
const SEEDS: u64 = 100;

/// Steps of a schedule.
const STEPS: usize = 60;

/// Reruns that the search for a shorter schedule may take.
const RERUNS: u64 = 60;

/// Says how many seeds are run, beginning with 0.
const SEEDS_VARIABLE: &str = "LOCKET_SIM_SEEDS";

/// Says how many reruns the search for a shorter schedule may take.
const RERUNS_VARIABLE: &str = "LOCKET_SIM_RERUNS";

/// Says after how many failing seeds no others are begun; unless given, all are run.
const ENOUGH_VARIABLE: &str = "LOCKET_SIM_ENOUGH";

/// Names the only seed to run; its whole story is printed.
const SEED_VARIABLE: &str = "LOCKET_SIM_SEED";

fn run(seed: u64, steps: usize, left_out: &BTreeSet<usize>) -> Outcome {
    let mut schedule = Schedule::new(seed, steps, left_out.clone());
    catch_unwind(AssertUnwindSafe(|| simulate(&mut schedule))).unwrap_or_else(|panic| {
        println!("seed {seed} panicked. Run it again with {SEED_VARIABLE}={seed}.");
        resume_unwind(panic)
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "which seeds are run is said to the test itself"
)]
fn variable(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is a number, not {text:?}")),
    )
}

#[test]
fn every_promise_holds_under_random_schedules() {
    if let Some(seed) = variable(SEED_VARIABLE) {
        let outcome = run(seed, STEPS, &BTreeSet::new());
        println!("{}", outcome.story.join("\n"));
        assert!(outcome.broken.is_none(), "{}", report(seed, &outcome));
        return;
    }
    let seeds = variable(SEEDS_VARIABLE).unwrap_or(SEEDS);
    let enough = variable(ENOUGH_VARIABLE).unwrap_or(seeds);
    let next = AtomicU64::new(0);
    let totals = Mutex::new((Duration::ZERO, 0, 0, 0));
    let (failed, ran) = (Mutex::new(Vec::new()), AtomicU64::new(0));
    #[expect(clippy::disallowed_methods, reason = "how long the seeds took in truth")]
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds || failed.lock().unwrap().len() as u64 >= enough {
                        break;
                    }
                    let outcome = run(seed, STEPS, &BTreeSet::new());
                    ran.fetch_add(1, Ordering::Relaxed);
                    let mut totals = totals.lock().unwrap();
                    totals.0 += outcome.took;
                    totals.1 += outcome.steps;
                    totals.2 += outcome.lives;
                    totals.3 += outcome.kills;
                    if outcome.broken.is_some() {
                        failed.lock().unwrap().push((seed, outcome));
                    }
                }
            });
        }
    });
    let (took, steps, lives, kills) = *totals.lock().unwrap();
    println!(
        "{} seeds: {} h simulated in {:.1} s, {steps} steps, {lives} lives, {kills} kills",
        ran.into_inner(),
        took.as_secs() / 3600,
        started.elapsed().as_secs_f64()
    );
    let mut failed = failed.into_inner().unwrap();
    failed.sort_by_key(|(seed, _)| *seed);
    let names: Vec<_> = failed
        .iter()
        .map(|(seed, outcome)| format!("{seed} {}", outcome.broken.as_ref().unwrap()))
        .collect();
    if let Some((seed, outcome)) = failed.first() {
        println!("failing seeds:\n{}", names.join("\n"));
        panic!("{}", report(*seed, outcome));
    }
}

/// What a failing seed has to say, after as many steps as possible were left out.
fn report(seed: u64, outcome: &Outcome) -> String {
    let broken = outcome.broken.as_ref().unwrap();
    let (short, left_out) = shorten(seed, outcome);
    let kept: Vec<_> = (1..=short.steps)
        .filter(|step| !left_out.contains(step))
        .collect();
    format!(
        "seed {seed} broke {broken}\nafter {} steps, {:?} simulated. Run it again with {SEED_VARIABLE}={seed}.\n\
         The steps {kept:?} suffice:\n{}",
        outcome.steps, outcome.took, short.last_words,
    )
}

/// Leaves out steps as long as the same promise is broken without them.
fn shorten(seed: u64, outcome: &Outcome) -> (Outcome, BTreeSet<usize>) {
    let steps = outcome.steps;
    let invariant = outcome.broken.as_ref().unwrap().invariant;
    let mut left_out = BTreeSet::new();
    let mut shortest = run(seed, steps, &left_out);
    let (mut reruns, most) = (0, variable(RERUNS_VARIABLE).unwrap_or(RERUNS));
    let mut width = steps.div_ceil(2);
    while width > 0 && reruns < most {
        for begin in (1..=steps).step_by(width) {
            let mut tried = left_out.clone();
            tried.extend(begin..(begin + width).min(steps + 1));
            if tried == left_out {
                continue;
            }
            reruns += 1;
            let outcome = run(seed, steps, &tried);
            if outcome
                .broken
                .as_ref()
                .is_some_and(|broken| broken.invariant == invariant)
            {
                left_out = tried;
                shortest = outcome;
            }
        }
        width /= 2;
    }
    (shortest, left_out)
}

#[test]
fn one_seed_is_one_story() {
    for seed in [3, 14] {
        let (one, other) = (
            run(seed, STEPS, &BTreeSet::new()),
            run(seed, STEPS, &BTreeSet::new()),
        );
        let differing = one
            .story
            .iter()
            .zip(&other.story)
            .find(|(one, other)| one != other);
        assert_eq!(differing, None);
        assert_eq!(one.story.len(), other.story.len());
    }
}
