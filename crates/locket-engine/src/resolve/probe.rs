//! One call for one secret, timed: whether a provider can be reached, accepts the credential, and gives the value.
//! Nothing is tried again, and the value is dropped.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use locket_core::{Clock, FetchCx, ProviderError};

use super::SecretKey;
use super::board::Batch;
use super::resolver::{Answered, REQUESTS_PER_CALL, call};
use crate::instances::Instances;
use crate::lease::{self, Revocation};

/// How a call for one secret went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Whether there is a value, else why not.
    pub result: Result<(), ProviderError>,
    /// From the call to the answer. The first call of an instance also logs in.
    pub took: Duration,
}

/// Asks for each of `keys` by itself: the instances side by side, the secrets of one instance one after the other.
/// `request` is the time limit of one request.
pub async fn probe(
    keys: &[SecretKey],
    instances: &Arc<Instances>,
    clock: &Arc<dyn Clock>,
    request: Duration,
) -> Vec<Probe> {
    let mut names: Vec<_> = keys.iter().map(|key| key.instance.clone()).collect();
    names.sort();
    names.dedup();
    let each = names.iter().map(|name| async move {
        let mut probes = Vec::new();
        for (index, key) in keys.iter().enumerate().filter(|(_, key)| key.instance == *name) {
            probes.push((index, one(key, instances, clock, request).await));
        }
        probes
    });
    let mut probes: Vec<_> = join_all(each).await.into_iter().flatten().collect();
    probes.sort_by_key(|(index, _)| *index);
    probes.into_iter().map(|(_, probe)| probe).collect()
}

async fn one(
    key: &SecretKey,
    instances: &Arc<Instances>,
    clock: &Arc<dyn Clock>,
    request: Duration,
) -> Probe {
    let started = clock.monotonic();
    let batch = Batch {
        instance: key.instance.clone(),
        locators: vec![key.locator.clone()],
    };
    let cx = FetchCx::new(clock.clone(), started + request * REQUESTS_PER_CALL);
    let answered = call(instances.clone(), batch, cx.clone()).await;
    let took = clock.monotonic() - started;
    give_back(&answered, &cx).await;
    let absent = || {
        Err(ProviderError::unavailable(
            "the provider gave no answer for this secret",
        ))
    };
    let result = answered.results.into_iter().next().unwrap_or_else(absent);
    Probe {
        result: result.map(drop),
        took,
    }
}

/// Ends the lease that came with the answer: nobody uses what was leased for looking at it.
async fn give_back(answered: &Answered, cx: &FetchCx) {
    let lease = answered
        .results
        .iter()
        .flatten()
        .find_map(|fetched| fetched.lease.as_ref());
    if let (Some(lease), Some(provider)) = (lease, &answered.provider)
        && let Some(handle) = lease.handle.clone()
    {
        let revocation = Revocation {
            handle,
            provider: provider.clone(),
            ends: answered.asked + lease.lasts,
        };
        lease::end_each(vec![revocation], cx.clock.clone(), cx.remaining()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Fake, clock};

    fn key(instances: &Instances, text: &str) -> SecretKey {
        let template = locket_core::Template::parse(
            format!("{{{{ {text} }}}}").into_bytes(),
            &Default::default(),
            instances.schemes(),
        );
        instances.locate(&template.unwrap().references()[0]).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn every_answer_keeps_its_place_and_one_that_hangs_holds_up_no_other_instance() {
        let fake = Fake::default();
        fake.set("a", "v");
        fake.delay(Duration::from_millis(20));
        let instances = fake.instances();
        let keys = ["dead://x", "fake://a", "fake://none"].map(|text| key(&instances, text));
        let clock = clock();
        let probes = probe(&keys, &instances, &clock, Duration::from_secs(1)).await;
        let kinds: Vec<_> = probes
            .iter()
            .map(|probe| probe.result.as_ref().err().map(|error| error.kind.name()))
            .collect();
        assert_eq!(kinds, [Some("unavailable"), None, Some("not-found")]);
        assert_eq!(probes[1].took, Duration::from_millis(20));
        assert_eq!(
            clock.monotonic(),
            Duration::from_secs(3),
            "as long as the one that hangs"
        );
        assert_eq!(fake.calls().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_leased_for_a_look_is_given_back() {
        let fake = Fake::default();
        let minute = Duration::from_secs(60);
        let terms = crate::testing::Terms {
            ttl: minute,
            max: minute,
            renewable: true,
        };
        fake.lease("db", terms);
        let instances = fake.instances();
        let keys = [key(&instances, "fake://db")];
        probe(&keys, &instances, &clock(), Duration::from_secs(1)).await;
        assert!(matches!(&fake.issued()[..], [lease] if lease.revoked.is_some()));
    }
}
