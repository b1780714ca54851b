//! A provider and a clock for this crate's own tests.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use locket_core::schemes::Fragment;
use locket_core::{
    BoxFuture, Capability, Clock, FetchCx, Fetched, Locator, Provider, ProviderError, Scheme, Schemes,
    SecretBytes,
};

use crate::instances::{Instance, Instances};

/// Tokio's clock, which tests pause.
#[derive(Debug)]
pub(crate) struct TestClock(tokio::time::Instant);

/// A provider whose secrets a test sets. `fake://item/part` reads `part` of `item`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fake(Arc<Mutex<FakeState>>);

#[derive(Debug, Default)]
struct FakeState {
    secrets: HashMap<String, String>,
    outage: Option<ProviderError>,
    hanging: bool,
    delay: Duration,
    calls: Vec<Vec<String>>,
}

impl Clock for TestClock {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000) + self.0.elapsed()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(TestClock(tokio::time::Instant::now()))
}

impl Fake {
    pub(crate) fn set(&self, name: &str, value: &str) {
        self.0
            .lock()
            .unwrap()
            .secrets
            .insert(name.to_owned(), value.to_owned());
    }

    pub(crate) fn unset(&self, name: &str) {
        self.0.lock().unwrap().secrets.remove(name);
    }

    pub(crate) fn fail(&self, error: Option<ProviderError>) {
        self.0.lock().unwrap().outage = error;
    }

    pub(crate) fn hang(&self, hanging: bool) {
        self.0.lock().unwrap().hanging = hanging;
    }

    pub(crate) fn delay(&self, delay: Duration) {
        self.0.lock().unwrap().delay = delay;
    }

    /// The names asked for in each call since the last look.
    pub(crate) fn calls(&self) -> Vec<Vec<String>> {
        std::mem::take(&mut self.0.lock().unwrap().calls)
    }

    /// Instances that serve `fake://`, and `dead://` by a provider that never answers.
    pub(crate) fn instances(&self) -> Arc<Instances> {
        let names = ["fake", "dead"];
        let schemes = Schemes::new(names.map(|name| Scheme {
            name: name.into(),
            bare: true,
            fragment: Fragment::Json,
        }));
        let dead = Self::default();
        dead.hang(true);
        let instances = [self.clone(), dead].into_iter().zip(names).map(|(fake, name)| {
            let build = move || Ok(Arc::new(fake.clone()) as Arc<dyn Provider>);
            let parse = |reference: &locket_core::Reference| {
                let segments = reference.segments();
                let part = segments.get(1).map(ToString::to_string).unwrap_or_default();
                Ok(Locator::new(segments[0].as_ref(), part, ()))
            };
            (
                Arc::from(name),
                Instance {
                    parse,
                    build: Box::new(build),
                    limits: Default::default(),
                },
            )
        });
        Arc::new(Instances::new(schemes, instances))
    }
}

impl Provider for Fake {
    fn capability(&self) -> Capability {
        Capability {
            items_per_call: 1,
            max_concurrent: 4,
            local: false,
        }
    }

    fn fetch<'a>(
        &'a self,
        batch: &'a [Locator],
        _cx: &'a FetchCx,
    ) -> BoxFuture<'a, Vec<Result<Fetched, ProviderError>>> {
        Box::pin(async move {
            let (hanging, delay) = {
                let mut state = self.0.lock().unwrap();
                let names = batch
                    .iter()
                    .map(|locator| format!("{}/{}", locator.item(), locator.part()));
                state.calls.push(names.collect());
                (state.hanging, state.delay)
            };
            if hanging {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(delay).await;
            let state = self.0.lock().unwrap();
            batch
                .iter()
                .map(
                    |locator| match (&state.outage, state.secrets.get(&name(locator))) {
                        (Some(error), _) => Err(error.clone()),
                        (None, Some(value)) => Ok(Fetched::new(SecretBytes::copy_from(value.as_bytes()))),
                        (None, None) => Err(ProviderError::not_found("there is no such secret")),
                    },
                )
                .collect()
        })
    }
}

fn name(locator: &Locator) -> String {
    match locator.part() {
        "" => locator.item().to_owned(),
        part => format!("{}/{part}", locator.item()),
    }
}
