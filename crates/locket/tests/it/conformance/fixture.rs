//! What a provider brings to the suite: a back end with known secrets, and honest reasons for what it lacks.

use std::any::Any;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locket_core::Environment;
use locket_providers::{ProviderKind, Settings};
use locket_testkit::{Canary, Faults, Request};

/// One way to run one kind of provider: a kind may have several, for its ways to log in or its versions.
pub(crate) trait Fixture: Sync {
    /// What tells it from other fixtures, as in `bao, AppRole`.
    fn name(&self) -> &'static str;

    /// The provider.
    fn kind(&self) -> &'static ProviderKind;

    /// Whether the programs that it needs are there. Where they are not, says so; in CI that is a failure.
    fn is_installed(&self) -> bool {
        true
    }

    /// Whether the provider itself speaks to a server that can be put to the test.
    fn is_network(&self) -> bool {
        self.kind().network
    }

    /// Which requests of a read the faults strike.
    fn struck(&self) -> Struck {
        Struck::Each
    }

    /// A back end that no other case has touched. Called outside of any runtime.
    fn start(&self) -> Backend;
}

/// Which requests of a read the faults strike, each in a read of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Struck {
    Each,
    /// The first, the last and one between: each read takes so long that all would take half an hour.
    Some,
}

/// A running back end with known secrets.
pub(crate) struct Backend {
    /// What an instance of the provider needs to reach it. Network settings are added by the cases.
    pub(crate) settings: Settings,
    /// The environment of that instance.
    pub(crate) environment: Environment,
    /// Where its relative paths count from.
    pub(crate) base_dir: PathBuf,
    /// What can be asked.
    pub(crate) references: References,
    /// The server, behind its faults.
    pub(crate) upstream: Applicable<Upstream>,
    /// What can be done to the credential.
    pub(crate) credential: Applicable<Credential>,
    /// Tokens and keys that must never be told; the values of the references count without being listed.
    pub(crate) secrets: Secrets,
    /// What must live as long as the back end: servers, directories.
    #[expect(dead_code, reason = "held for as long as the back end is used")]
    pub(crate) alive: Box<dyn Any>,
}

/// Secrets that come up while a back end runs. Clones are the same list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secrets(Arc<Mutex<Vec<Canary>>>);

/// Something that a back end has, or the reason why it cannot have it.
pub(crate) type Applicable<T> = Result<T, &'static str>;

/// Why a provider on this machine has no server.
pub(crate) const NO_NETWORK: &str = "it asks no server";

/// A reference and what it stands for.
#[derive(Debug)]
pub(crate) struct Sample {
    /// As a user writes it.
    pub(crate) reference: String,
    /// What it must give.
    pub(crate) value: Canary,
}

/// What the suite asks. Everything exists except what is called missing.
pub(crate) struct References {
    /// A plain value.
    pub(crate) text: Sample,
    /// Another one, in another item.
    pub(crate) other: Sample,
    /// One made by [`Canary::awkward`].
    pub(crate) awkward: Sample,
    /// One made by [`Canary::binary`].
    pub(crate) binary: Applicable<Sample>,
    /// A value without any bytes.
    pub(crate) empty: Applicable<String>,
    /// Two fields of one item.
    pub(crate) siblings: Applicable<[Sample; 2]>,
    /// A field that the item of `siblings` does not have.
    pub(crate) missing_field: Applicable<String>,
    /// An item that does not exist.
    pub(crate) missing_item: String,
    /// One that the credential may not read.
    pub(crate) denied: Applicable<String>,
}

/// The server of a provider with a network.
pub(crate) struct Upstream {
    /// The proxy that the provider's settings point to.
    pub(crate) faults: Faults,
    /// Tells requests that read secrets from logins and look-ups.
    pub(crate) is_read: fn(&Request) -> bool,
}

/// What can be done to the credential that the settings name.
pub(crate) struct Credential {
    /// Makes it worthless at the server and puts a new one where the settings say.
    pub(crate) renew: Box<dyn Fn()>,
    /// Makes it worthless and puts nothing in its place.
    pub(crate) revoke: Box<dyn Fn()>,
}

impl Backend {
    /// Everything that must not be told.
    pub(crate) fn canaries(&self) -> Vec<Canary> {
        let references = &self.references;
        let siblings = references.siblings.iter().flatten();
        let samples = [&references.text, &references.other, &references.awkward];
        let injected = self.upstream.iter().map(|upstream| upstream.faults.canary());
        samples
            .into_iter()
            .chain(&references.binary)
            .chain(siblings)
            .map(|sample| &sample.value)
            .chain(injected)
            .cloned()
            .chain(self.secrets.all())
            .collect()
    }
}

impl Secrets {
    /// Adds what must never be told from now on.
    pub(crate) fn add(&self, secret: &Canary) {
        self.lock().push(secret.clone());
    }

    fn all(&self) -> Vec<Canary> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Canary>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
