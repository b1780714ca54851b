//! One case against one back end: builds providers, asks them, and writes down all that they tell.

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use locket_core::reference::{Parsed, Position};
use locket_core::{
    Clock, ErrorKind, FetchCx, Fetched, Locator, Provider, ProviderError, Reference, Scheme, Schemes,
    Wildcard,
};
use locket_providers::{BuildCx, ProviderKind, Settings};
use locket_testkit::canary::{Finding, find_any};
use locket_testkit::{Canary, Capture, Request, TokioClock};

use super::fixture::{Backend, Fixture, References, Sample, Struck, Upstream};

/// How a case ends when it does not simply hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unmet {
    /// The back end cannot have what the case needs, for this reason.
    NotApplicable(&'static str),
    /// The provider breaks the promise, like this.
    Failed(String),
}

/// What a case comes to.
pub(crate) type Verdict = Result<(), Unmet>;

/// What one reference came to.
pub(crate) type Answer = Result<Fetched, ProviderError>;

/// Ends a case as failed unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($why:tt)+) => {
        if !$condition {
            return Err(crate::conformance::trial::Unmet::Failed(format!($($why)+)));
        }
    };
}
pub(crate) use ensure;

/// The surroundings of one case.
pub(crate) struct Trial {
    pub(crate) backend: Backend,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) struck: Struck,
    kind: &'static ProviderKind,
    told: RefCell<String>,
    log: Capture,
}

/// What a caller that is not in a hurry grants.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

impl From<&&'static str> for Unmet {
    fn from(reason: &&'static str) -> Self {
        Self::NotApplicable(reason)
    }
}

impl Unmet {
    /// The same with what was going on.
    pub(crate) fn during(self, what: &str) -> Self {
        match self {
            Self::Failed(why) => Self::Failed(format!("{what}: {why}")),
            excused @ Self::NotApplicable(_) => excused,
        }
    }
}

impl Trial {
    /// A trial that collects the log of this thread from now on.
    pub(crate) fn new(fixture: &dyn Fixture) -> Self {
        let (kind, backend) = (fixture.kind(), fixture.start());
        Self {
            backend,
            clock: Arc::new(TokioClock::new()),
            struck: fixture.struck(),
            kind,
            told: RefCell::default(),
            log: Capture::of_this_thread(),
        }
    }

    pub(crate) fn references(&self) -> &References {
        &self.backend.references
    }

    /// The server, for cases that need one.
    pub(crate) fn upstream(&self) -> Result<&Upstream, Unmet> {
        Ok(self.backend.upstream.as_ref()?)
    }

    /// Whether the provider says that it has a network.
    pub(crate) fn is_network(&self) -> bool {
        self.kind.network
    }

    /// Whether the provider can tell all keys of something.
    pub(crate) fn lists_keys(&self) -> bool {
        self.kind.parse_every.is_some()
    }

    /// A new instance.
    pub(crate) fn provider(&self) -> Result<Arc<dyn Provider>, Unmet> {
        self.build(&self.backend.settings, &self.clock)
    }

    /// A new instance with one more setting.
    pub(crate) fn provider_with(&self, name: &'static str, text: &str) -> Result<Arc<dyn Provider>, Unmet> {
        self.build(&self.backend.settings.clone().with(name, text), &self.clock)
    }

    /// A new instance that lives by another clock.
    pub(crate) fn provider_by(&self, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Provider>, Unmet> {
        self.build(&self.backend.settings, clock)
    }

    fn build(&self, settings: &Settings, clock: &Arc<dyn Clock>) -> Result<Arc<dyn Provider>, Unmet> {
        let built = (self.kind.build)(&BuildCx {
            instance: self.kind.name,
            settings,
            environment: &self.backend.environment,
            base_dir: &self.backend.base_dir,
            clock,
        });
        built.map_err(|error| Unmet::Failed(format!("the provider cannot be built: {error}")))
    }

    /// `text` as the provider understands it.
    pub(crate) fn locator(&self, text: &str) -> Result<Locator, Unmet> {
        let schemes = Schemes::new(self.kind.schemes.iter().map(|spec| Scheme {
            name: spec.name.into(),
            bare: spec.bare,
            fragment: spec.fragment,
        }));
        if text.ends_with('*') {
            let wildcard = Wildcard::parse(text, &schemes);
            let parse = self.kind.parse_every;
            return match (wildcard, parse) {
                (Ok(wildcard), Some(parse)) => parse(wildcard.reference())
                    .map_err(|wrong| Unmet::Failed(format!("`{text}` is refused: {}", wrong[0].message))),
                _ => Err(Unmet::Failed(format!("`{text}` is no wildcard"))),
            };
        }
        let Parsed::Reference(reference) = Reference::parse(text, 0, Position::Tag, &schemes) else {
            return Err(Unmet::Failed(format!("`{text}` is no reference")));
        };
        (self.kind.parse)(&reference)
            .map_err(|wrong| Unmet::Failed(format!("`{text}` is refused: {}", wrong[0].message)))
    }

    /// Asks for several references at once, as the resolver does.
    pub(crate) async fn fetch(
        &self,
        provider: &Arc<dyn Provider>,
        references: &[&str],
    ) -> Result<Vec<Answer>, Unmet> {
        self.fetch_within(provider, references, DEADLINE).await
    }

    /// The same for a caller that gives up after `deadline`.
    pub(crate) async fn fetch_within(
        &self,
        provider: &Arc<dyn Provider>,
        references: &[&str],
        deadline: Duration,
    ) -> Result<Vec<Answer>, Unmet> {
        let cx = FetchCx::new(Arc::clone(&self.clock), self.clock.monotonic() + deadline);
        self.fetch_in(provider, references, &cx).await
    }

    /// The same in surroundings of the case's own.
    pub(crate) async fn fetch_in(
        &self,
        provider: &Arc<dyn Provider>,
        references: &[&str],
        cx: &FetchCx,
    ) -> Result<Vec<Answer>, Unmet> {
        let batch = references
            .iter()
            .map(|text| self.locator(text))
            .collect::<Result<Vec<_>, _>>()?;
        // Far more than the caller grants; under paused time it passes at once.
        let for_ever = cx.remaining() * 2 + DEADLINE;
        let answers = tokio::time::timeout(for_ever, provider.fetch(&batch, cx))
            .await
            .map_err(|_| Unmet::Failed("the provider would have waited for ever".into()))?;
        self.take_down(provider, &answers);
        ensure!(
            answers.len() == batch.len(),
            "{} references got {} results",
            batch.len(),
            answers.len()
        );
        Ok(answers)
    }

    /// Asks for one reference.
    pub(crate) async fn fetch_one(
        &self,
        provider: &Arc<dyn Provider>,
        reference: &str,
    ) -> Result<Answer, Unmet> {
        let mut answers = self.fetch(provider, &[reference]).await?;
        Ok(answers.remove(0))
    }

    /// Asks for `sample`, which must be there: the control of everything that shall fail.
    pub(crate) async fn reads(&self, provider: &Arc<dyn Provider>, sample: &Sample) -> Verdict {
        let answer = self.fetch_one(provider, &sample.reference).await?;
        is_value(&answer, sample)
    }

    /// Asks for `reference`, which must fail with `kind`.
    pub(crate) async fn fails(
        &self,
        provider: &Arc<dyn Provider>,
        reference: &str,
        kind: ErrorKind,
    ) -> Verdict {
        let answer = self.fetch_one(provider, reference).await?;
        is_error(&answer, reference, kind)
    }

    /// What of the secrets was told so far: in errors, in the debug output of what is no error, in the log, and in
    /// the addresses that requests went to.
    pub(crate) fn leak(&self) -> Option<Finding> {
        let control = Canary::text("control of the log");
        tracing::trace!(control = control.as_str());
        let log = self.log.text();
        assert!(control.find(&log).is_some(), "the log is not collected");
        let requests = match &self.backend.upstream {
            Ok(upstream) => upstream.faults.requests(),
            Err(_) => Vec::new(),
        };
        let addresses: Vec<_> = requests.iter().map(Request::target).collect();
        let mut canaries = self.backend.canaries();
        // What logins gave out is known from the requests that used it.
        canaries.extend(requests.iter().filter_map(credential));
        [self.told.borrow().as_str(), &log, &addresses.join("\n")]
            .into_iter()
            .find_map(|text| find_any(&canaries, text))
    }

    fn take_down(&self, provider: &Arc<dyn Provider>, answers: &[Answer]) {
        let mut told = self.told.borrow_mut();
        // Writing to a string cannot fail.
        let _ = writeln!(told, "{provider:?} {answers:?}");
        for error in answers.iter().filter_map(|answer| answer.as_ref().err()) {
            let _ = writeln!(told, "{error} {:?}", error.hint);
        }
    }
}

/// The token that a request carries where it should.
fn credential(request: &Request) -> Option<Canary> {
    let token = request.bearer().or_else(|| request.header("x-vault-token"))?;
    // The word that Oracle's metadata service wants to see is no secret.
    (token != "Oracle").then(|| Canary::of("token of a request", token))
}

/// Whether `answer` is the value of `sample`.
pub(crate) fn is_value(answer: &Answer, sample: &Sample) -> Verdict {
    let Sample { reference, value } = sample;
    match answer {
        Ok(fetched) => {
            let (given, due) = (fetched.value.len(), value.bytes().len());
            ensure!(
                fetched.value.matches(value.bytes()),
                "`{reference}` gave {given} bytes that are not the {due} of {value:?}"
            );
            Ok(())
        }
        Err(error) => Err(Unmet::Failed(format!(
            "`{reference}` failed as {}: {error}",
            error.kind.name()
        ))),
    }
}

/// Whether `answer` is an error of `kind`.
pub(crate) fn is_error(answer: &Answer, reference: &str, kind: ErrorKind) -> Verdict {
    match answer {
        Ok(fetched) => Err(Unmet::Failed(format!(
            "`{reference}` gave {} bytes instead of the error {}",
            fetched.value.len(),
            kind.name()
        ))),
        Err(error) => {
            ensure!(
                error.kind == kind,
                "`{reference}` failed as {:?}, which should be {kind:?}: {error}",
                error.kind
            );
            Ok(())
        }
    }
}
