//! What a round would do: the same scan, the same asking, the same rendering and comparing, and no writing.

mod output;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use locket_core::Clock;
use locket_core::filter::HashMemo;
use locket_core::plan::Plan;

pub use output::{Blame, PlannedOutput, Verdict};

use crate::agent::{Refusal, refusals};
use crate::instances::Instances;
use crate::resolve::{Backoff, Cost, Resolver, SecretKey, Timing, costs};
use crate::sink::Sink;
use crate::sources::{Found, Listed, PlanError, Role, Scan, Scanner, SourceError, Trouble, check};

/// Whether the providers are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// They are, as in a round, so that it is known what would change.
    Ask,
    /// They are not: what depends on a secret stays unknown.
    Leave,
}

/// What a round would do.
#[derive(Debug, Default)]
pub struct Preview {
    /// Why a run would not begin.
    pub refused: Vec<Refusal>,
    /// The outputs, in the order of their paths.
    pub outputs: Vec<PlannedOutput>,
    /// What of the sources is left out, and why.
    pub left_out: Vec<Trouble>,
    /// What the round asks of each provider.
    pub costs: Vec<Cost>,
}

/// Time limits of a preview.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one request.
    pub request: Duration,
    /// Time in which transient failures are tried again.
    pub deadline: Duration,
}

/// Finds out what a round of `plan` would do, writing nothing but how many requests that took, where they are counted.
pub async fn preview(
    plan: &Plan,
    instances: &Arc<Instances>,
    clock: &Arc<dyn Clock>,
    asking: Asking,
    limits: Limits,
) -> Preview {
    let mut scanner = Scanner::new(plan.clone(), instances.clone());
    let mut scan = scanner.scan();
    let refused = refusals(plan, instances, &scan);
    let keys = keys(&scan);
    let mut preview = Preview {
        left_out: std::mem::take(&mut scan.trouble),
        ..Preview::default()
    };
    if !refused.is_empty() {
        preview.refused = refused;
        preview.costs = costs(instances, keys.iter(), clock.wall());
        return preview;
    }
    let timing = Timing {
        request: limits.request,
        backoff: Backoff::default(),
    };
    let mut resolver = Resolver::new(instances.clone(), clock.clone(), timing);
    if asking == Asking::Ask {
        resolver.want(&keys);
        resolver.settle(clock.monotonic() + limits.deadline).await;
        let listed = listed(&scan, &resolver);
        if !listed.is_empty() {
            // The keys of wildcards are outputs, too, and need no further answers.
            scanner.know(listed);
            scan = scanner.scan();
        }
    }
    preview.outputs = judged(&scan, instances, &resolver, clock, asking);
    // Nobody uses what was leased for looking at it.
    resolver.end_leases(limits.request).await;
    // What was asked for the preview is spent, too, once nothing is under way any more.
    drop(resolver);
    preview.costs = costs(instances, keys.iter(), clock.wall());
    preview
}

/// What of a plan shows that it cannot be carried out as it is written, before any provider is made.
#[derive(Debug)]
pub struct Foreseen {
    /// Why a run would not begin.
    pub refused: Vec<PlanError>,
    /// The outputs, in the order of their paths. What depends on a secret is unknown, but for what cannot be written.
    pub outputs: Vec<PlannedOutput>,
    /// What the sources hold.
    pub scan: Scan,
}

/// Finds out what is wrong with `plan` itself: as [`preview()`] with [`Asking::Leave`], for those who must not need what
/// the providers need. Nothing is written.
pub fn foresee(plan: &Plan, instances: &Arc<Instances>, clock: &Arc<dyn Clock>) -> Foreseen {
    let scan = Scanner::new(plan.clone(), instances.clone()).scan();
    // Nobody is asked, so that no time passes.
    let timing = Timing {
        request: Duration::ZERO,
        backoff: Backoff::default(),
    };
    let resolver = Resolver::new(instances.clone(), clock.clone(), timing);
    Foreseen {
        refused: check(plan, &scan),
        outputs: judged(&scan, instances, &resolver, clock, Asking::Leave),
        scan,
    }
}

impl Foreseen {
    /// The outputs that could not be written, each with the reason and what to do. Those below a destination that is
    /// refused as a whole are not among them.
    pub fn unwritable(&self) -> impl Iterator<Item = (&PlannedOutput, &str, &str)> {
        let is_refused = |output: &PlannedOutput| {
            self.refused.iter().any(|error| match error {
                PlanError::NotWritable { destination, .. } => output.path.starts_with(destination),
                _ => false,
            })
        };
        self.outputs
            .iter()
            .filter_map(move |output| match &output.verdict {
                Verdict::Unwritable { reason, hint } if !is_refused(output) => {
                    Some((output, reason.as_str(), hint.as_str()))
                }
                _ => None,
            })
    }

    /// What of the sources is left out, and why. A source that is not there at all is refused instead.
    pub fn left_out(&self) -> impl Iterator<Item = &Trouble> {
        let is_refused = |trouble: &Trouble| {
            let mut errors = self.refused.iter();
            errors.any(|error| matches!(error, PlanError::NoSource { path, .. } if *path == trouble.path))
        };
        self.scan
            .trouble
            .iter()
            .filter(move |trouble| !is_refused(trouble))
    }

    /// The templates that cannot be used, by their outputs.
    pub fn unusable(&self) -> impl Iterator<Item = (&PlannedOutput, &SourceError)> {
        self.outputs.iter().filter_map(|output| match &output.verdict {
            Verdict::Unusable(error) => Some((output, &**error)),
            _ => None,
        })
    }
}

/// What would become of everything that was found, in the order of the paths.
fn judged(
    scan: &Scan,
    instances: &Instances,
    resolver: &Resolver,
    clock: &Arc<dyn Clock>,
    asking: Asking,
) -> Vec<PlannedOutput> {
    let mut sink = Sink::new();
    let mut memo = HashMemo::default();
    let mut cx = output::Cx {
        schemes: instances.schemes(),
        resolver,
        asking,
        now: clock.wall(),
        sink: &mut sink,
        memo: &mut memo,
    };
    let outputs = scan.found.iter().filter_map(|found| output::plan(found, &mut cx));
    let mut outputs: Vec<_> = outputs.collect();
    outputs.sort_by(|one, other| one.path.cmp(&other.path));
    outputs
}

/// What a round of `plan` asks of each instance, in the order of their names. Nobody is asked.
pub fn cost_of_a_round(plan: &Plan, instances: &Arc<Instances>, clock: &Arc<dyn Clock>) -> Vec<Cost> {
    let scan = Scanner::new(plan.clone(), instances.clone()).scan();
    costs(instances, keys(&scan).iter(), clock.wall())
}

/// Everything that the templates want.
fn keys(scan: &Scan) -> Vec<SecretKey> {
    let templates = scan.found.iter().filter_map(|found| found.template.as_ref().ok());
    templates.flat_map(|parsed| parsed.keys.clone()).collect()
}

/// The keys of every wildcard that was answered.
fn listed(scan: &Scan, resolver: &Resolver) -> Listed {
    let keys = |found: &Found| {
        let (Role::Listing(listing), Ok(parsed)) = (&found.role, &found.template) else {
            return None;
        };
        let keys = listing.keys(&resolver.answer(parsed.keys.first()?))?;
        Some((found.target.clone(), keys))
    };
    scan.found.iter().filter_map(keys).collect()
}

impl Preview {
    /// Whether a round would create or change anything. Something unknown is no change.
    pub fn would_change(&self) -> bool {
        self.outputs.iter().any(|output| output.verdict.is_change())
    }

    /// The outputs that a round would not put in place though they are wanted.
    pub fn failing(&self) -> impl Iterator<Item = &PlannedOutput> {
        self.outputs.iter().filter(|output| output.is_failing())
    }
}
