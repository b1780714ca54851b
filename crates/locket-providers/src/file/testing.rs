//! Asks a local provider as the resolver does, for the tests of `file`, `env` and `store`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::reference::{Parsed, Position};
use locket_core::{
    Clock, Environment, FetchCx, Fetched, Locator, Provider, ProviderError, Reference, Wildcard,
};

use crate::{BuildCx, ProviderKind, Settings, schemes};

/// A clock that stands.
#[derive(Debug)]
struct Still;

impl Clock for Still {
    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

/// The provider of `kind` with these settings.
pub(crate) fn build(
    kind: &ProviderKind,
    settings: &Settings,
    environment: &Environment,
    base_dir: &Path,
) -> Arc<dyn Provider> {
    let clock: Arc<dyn Clock> = Arc::new(Still);
    let cx = BuildCx {
        instance: kind.name,
        settings,
        environment,
        base_dir,
        clock: &clock,
    };
    (kind.build)(&cx).unwrap()
}

/// The reference in `text`, as inside a tag.
pub(crate) fn reference(text: &str) -> Reference {
    match Reference::parse(text, 0, Position::Tag, &schemes()) {
        Parsed::Reference(reference) => reference,
        other => panic!("{text} is no reference: {other:?}"),
    }
}

/// What `provider` of `kind` answers to `references`, asked in one batch.
pub(crate) fn fetch(
    kind: &ProviderKind,
    provider: &dyn Provider,
    references: &[&str],
) -> Vec<Result<Fetched, ProviderError>> {
    let batch: Vec<Locator> = references
        .iter()
        .map(|text| match Wildcard::parse(text, &schemes()) {
            Ok(wildcard) => (kind.parse_every.unwrap())(wildcard.reference()).unwrap(),
            Err(_) => (kind.parse)(&reference(text)).unwrap(),
        })
        .collect();
    let cx = FetchCx::new(Arc::new(Still), Duration::from_secs(10));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(provider.fetch(&batch, &cx))
}
