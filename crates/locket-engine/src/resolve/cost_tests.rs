//! The counts are those of the resolver.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, FetchCx, Fetched, Locator, Provider, ProviderError, Scheme, Schemes, SecretBytes,
};
use proptest::prelude::*;

use super::{Backoff, Cost, Resolver, SecretKey, Timing, costs};
use crate::instances::{Instance, InstanceLimits, Instances};
use crate::testing::clock;

/// Answers everything, and takes this many items at once.
#[derive(Debug)]
struct Taking(usize);

impl Provider for Taking {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: self.0,
            max_concurrent: 2,
            local: false,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        let answers = batch
            .iter()
            .map(|_| Ok(Fetched::new(SecretBytes::copy_from(b"v"))));
        Box::pin(std::future::ready(answers.collect()))
    }
}

fn instances(taking: usize, daily_budget: Option<usize>) -> Arc<Instances> {
    let schemes = Schemes::new([Scheme {
        name: "fake".into(),
        bare: true,
        fragment: Fragment::Json,
    }]);
    let instance = Instance {
        parse: |_| unreachable!("the keys are made here"),
        parse_every: None,
        build: Box::new(move || Ok(Arc::new(Taking(taking)))),
        limits: InstanceLimits {
            max_concurrent: None,
            daily_budget,
        },
    };
    Arc::new(Instances::new(schemes, [("fake".into(), instance)]))
}

fn keys(wanted: &[(u8, u8)]) -> Vec<SecretKey> {
    let key = |(item, part): &(u8, u8)| SecretKey {
        instance: "fake".into(),
        locator: Locator::new(format!("item {item}"), format!("part {part}"), ()),
    };
    wanted.iter().map(key).collect()
}

proptest! {
    #[test]
    fn as_many_calls_are_counted_as_the_resolver_makes(
        wanted in prop::collection::vec((0..20_u8, 0..4_u8), 0..60),
        taking in 1..9_usize,
    ) {
        let (instances, keys) = (instances(taking, None), keys(&wanted));
        let counted: usize = costs(&instances, &keys, SystemTime::UNIX_EPOCH).iter().map(|cost| cost.calls).sum();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let made = runtime.block_on(async {
            let clock = clock();
            let timing = Timing { request: Duration::from_secs(1), backoff: Backoff::default() };
            let mut resolver = Resolver::new(instances, clock.clone(), timing);
            resolver.want(&keys);
            resolver.settle(clock.monotonic() + Duration::from_secs(5)).await;
            resolver.calls()
        });
        prop_assert_eq!(counted as u64, made);
    }
}

#[test]
fn fields_of_one_item_are_one_item_and_items_share_calls() {
    let wanted = [(1, 1), (1, 2), (2, 1), (3, 1), (1, 1)];
    let cost = |taking| costs(&instances(taking, None), &keys(&wanted), SystemTime::UNIX_EPOCH).remove(0);
    assert_eq!((cost(1).items, cost(1).calls), (3, 3));
    assert_eq!((cost(2).items, cost(2).calls), (3, 2));
    assert!(costs(&instances(1, None), &[], SystemTime::UNIX_EPOCH).is_empty());
}

#[test]
fn a_budget_spreads_the_refreshes_of_a_day() {
    let hour = Duration::from_secs(3600);
    let cost: Cost = costs(
        &instances(1, Some(24)),
        &keys(&[(1, 0), (2, 0)]),
        SystemTime::UNIX_EPOCH,
    )
    .remove(0);
    let day = cost.of_a_day(hour);
    assert_eq!((day.asked, day.made), (48, 24));
    assert!(cost.is_past_budget(hour) && !cost.is_past_budget(hour * 2));
    let free: Cost = costs(&instances(1, None), &keys(&[(1, 0)]), SystemTime::UNIX_EPOCH).remove(0);
    assert_eq!(free.of_a_day(hour * 6).made, 4);
    assert!(!free.is_past_budget(Duration::from_millis(1)));
}
