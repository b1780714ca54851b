//! What is written down and counted of a run, and shown to others. Holds references, names and digests, never a value.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::Action;
use locket_core::words::counted;

use super::apply::Done;
use super::dispatch::Agent;
use super::outputs::{Output, Standing};
use super::report::{Refusal, TroubleKind};
use super::rounds::Round;
use super::setup::Setup;
use crate::notify::Delivery;
use crate::resolve::{Answer, SecretKey};
use crate::sink::Applied;
use crate::sources::{Role, Target};
use crate::state::Failing;
use crate::telemetry::{
    self, AuditLog, AuditTarget, Board, Fingerprints, Health, OpenedLog, Record, Server, Snapshot,
};

/// The audit log and the metrics of a run.
#[derive(Default)]
pub(super) struct Ledger {
    audit: Option<Audit>,
    metrics: Option<(Board, Server)>,
    counts: Snapshot,
}

/// What a ledger needs of the system, taken before anybody can see that the run began: it has no thread yet.
pub(super) struct Outlay {
    audit: Option<OpenedAudit>,
    metrics: Option<(SocketAddr, TcpListener)>,
}

enum OpenedAudit {
    Own(OpenedLog, Fingerprints),
    Shared(Audit),
}

struct Audit {
    log: AuditLog,
    fingerprints: Arc<Fingerprints>,
    /// What was last told about it.
    told: Health,
}

/// The words for outputs in the metrics; all are always there.
const STANDINGS: [&str; 5] = ["good", "stale", "earlier", "passthrough", "missing"];

impl Outlay {
    /// Opens what `setup` asks for.
    pub(super) fn open(setup: &Setup) -> Result<Self, Refusal> {
        let audit = setup.outlets.audit.as_ref();
        let audit = audit.map(|target| open_audit(target, setup)).transpose()?;
        let bind = |address| {
            let bound = telemetry::bind(address);
            bound
                .map(|listener| (address, listener))
                .map_err(|error| unserved(address, &error))
        };
        let metrics = setup.outlets.metrics.map(bind).transpose()?;
        Ok(Self { audit, metrics })
    }
}

impl OpenedAudit {
    fn start(self) -> Audit {
        match self {
            Self::Own(log, fingerprints) => Audit {
                log: AuditLog::start(log),
                fingerprints: Arc::new(fingerprints),
                told: Health::default(),
            },
            Self::Shared(audit) => audit,
        }
    }
}

fn unserved(address: SocketAddr, error: &std::io::Error) -> Refusal {
    Refusal {
        message: format!("metrics cannot be served at {address}: {error}"),
        hint: Some("Give `--metrics` an address of this machine with a free port.".to_owned()),
    }
}

impl Ledger {
    /// Begins to keep it, on threads of its own.
    pub(super) fn start(outlay: Outlay) -> Result<Self, Refusal> {
        let mut ledger = Self {
            audit: outlay.audit.map(OpenedAudit::start),
            ..Self::default()
        };
        if let Some((address, listener)) = outlay.metrics {
            let board = Board::default();
            let server = Server::start(listener, board.clone()).map_err(|error| unserved(address, &error))?;
            tracing::info!("metrics are at http://{}/metrics", server.address());
            ledger.metrics = Some((board, server));
        }
        Ok(ledger)
    }

    /// The key of the fingerprints, where outputs need one.
    pub(super) fn fingerprints(&self) -> Option<Arc<Fingerprints>> {
        self.audit.as_ref().map(|audit| audit.fingerprints.clone())
    }

    /// Waits until the audit log begins or ceases to fail.
    pub(super) async fn audit_changed(&self) {
        match &self.audit {
            Some(audit) => audit.log.changed().await,
            None => std::future::pending().await,
        }
    }

    /// The audit log among what is wrong; `since` is when it was last all right.
    pub(super) fn failing(&self, since: u64) -> Option<Failing> {
        let audit = self.audit.as_ref()?;
        let reason = audit.log.health().failure?;
        Some(Failing {
            target: audit.log.target().path().clone(),
            reference: None,
            reason: format!("the audit log cannot be written: {reason}"),
            last_success: Some(since),
        })
    }

    /// Waits until all lines are written.
    pub(super) async fn finish(&mut self, patience: Duration) {
        if let Some(audit) = self.audit.take()
            && let Err(left) = audit.log.finish(patience).await
        {
            tracing::error!("{left}");
        }
    }

    fn write(&self, record: &Record<'_>, is_failure: bool) {
        if let Some(audit) = &self.audit {
            audit.log.write(record, is_failure);
        }
    }
}

impl Agent {
    /// Takes over what a new configuration says.
    pub(super) fn reopen_ledger(&mut self, setup: &Setup) {
        match (&setup.outlets.audit, &self.ledger.audit) {
            (None, _) => self.ledger.audit = None,
            // A file that was rotated is noticed with the next line.
            (Some(target), Some(audit)) if audit.log.target() == target => {}
            (Some(target), _) => match open_audit(target, setup) {
                Ok(audit) => self.ledger.audit = Some(audit.start()),
                Err(refused) => tracing::error!("{}; the audit log stays as it was", refused.message),
            },
        }
        if let Some(applier) = &mut self.applier {
            applier.set_fingerprints(self.ledger.fingerprints());
        }
        if setup.outlets.metrics != self.setup.outlets.metrics {
            tracing::warn!("another address for metrics counts from the next start on");
        }
    }

    /// Secrets were answered, well or not.
    pub(super) fn note_resolved(&self, keys: &[SecretKey]) {
        let Some(audit) = &self.ledger.audit else {
            return;
        };
        for key in keys {
            let (outcome, fetched) = match self.resolver.answer(key) {
                Answer::Value(fetched) => ("ok", Some(fetched)),
                Answer::Stale(_, error) | Answer::Failed(error) => (error.kind.name(), None),
                Answer::Pending => continue,
            };
            let plain = fetched.as_ref().filter(|fetched| fetched.members.is_none());
            let version = fetched.as_ref().and_then(|fetched| fetched.version.as_ref());
            let record = Record {
                event: "resolve",
                outcome,
                reference: self.reference_of(key),
                provider: Some(&key.instance),
                version: version.map(|version| version.0.as_str()),
                fingerprint: plain.map(|fetched| audit.fingerprints.of(&fetched.value)),
                ..self.record()
            };
            self.ledger.write(&record, outcome != "ok");
        }
    }

    /// An output was written, or could not be.
    pub(super) fn note_done(&mut self, done: &Done) {
        let outcome = match &done.result {
            Ok(outcome) if outcome.is_passthrough && outcome.is_written() => "passthrough",
            Ok(outcome) => match outcome.applied {
                Applied::Unchanged => return,
                Applied::Access => "access",
                Applied::Replaced => "replaced",
                Applied::Created => "created",
                Applied::InPlace => "in-place",
            },
            Err(troubles) => match troubles
                .iter()
                .any(|trouble| trouble.kind == TroubleKind::Unwritten)
            {
                true => "failed",
                false => return,
            },
        };
        self.ledger.counts.writes += u64::from(!matches!(outcome, "failed" | "access"));
        if self.ledger.audit.is_none() {
            return;
        }
        let mode = self
            .outputs
            .get(&done.target)
            .map(|output| output.found.settings.access.file_mode);
        let record = Record {
            event: "write",
            outcome,
            target: Some(done.target.path().display().to_string()),
            mode: mode.map(|mode| format!("{mode:04o}")),
            fingerprint: done.fingerprint.clone(),
            ..self.record()
        };
        self.ledger.write(&record, outcome == "failed");
    }

    /// An output was removed with its template or key.
    pub(super) fn note_removed(&self, target: &Target) {
        let record = Record {
            event: "write",
            outcome: "removed",
            target: Some(target.path().display().to_string()),
            ..self.record()
        };
        self.ledger.write(&record, false);
    }

    /// A consumer was told, or not.
    pub(super) fn note_told(&mut self, action: &Action, delivery: &Delivery) {
        let outcome = match delivery {
            Delivery::Told => "told",
            Delivery::Idle(_) => "idle",
            Delivery::Nobody(_) => "nobody",
            Delivery::Failed(_) => "failed",
        };
        *self.ledger.counts.notifications.entry(outcome).or_default() += 1;
        let record = Record {
            event: "notify",
            outcome,
            action: Some(action.to_string()),
            ..self.record()
        };
        self.ledger.write(&record, outcome == "failed");
        self.publish();
    }

    /// A round is over.
    pub(super) fn note_round(&mut self, round: &Round) {
        let took = self.clock.monotonic().saturating_sub(round.started);
        *self.ledger.counts.rounds.entry(round.why).or_default() += 1;
        self.ledger.counts.durations.observe(took);
    }

    /// Says so once when the audit log begins or ceases to fail.
    pub(super) fn watch_audit(&mut self) {
        let Some(audit) = &mut self.ledger.audit else {
            return;
        };
        let health = audit.log.health();
        let path = audit.log.target().path().display();
        match (&audit.told.failure, &health.failure) {
            (None, Some(reason)) => {
                tracing::error!(
                    "the audit log {path} cannot be written: {reason}. Lines wait until it can be."
                );
            }
            (Some(_), None) => tracing::info!("the audit log {path} can be written again"),
            _ => {}
        }
        if health.lost > audit.told.lost {
            tracing::error!("the audit log {path} lacks {}", counted(health.lost, "line"));
        }
        audit.told = health;
    }

    /// Shows the numbers of this moment to whoever asks for metrics.
    pub(super) fn publish(&self) {
        let Some((board, _)) = &self.ledger.metrics else {
            return;
        };
        let mut outputs: BTreeMap<&'static str, u64> = STANDINGS.iter().map(|word| (*word, 0)).collect();
        let files = self.outputs.iter().map(|(_, output)| output);
        for output in files.filter(|output| !matches!(output.found.role, Role::Listing(_))) {
            *outputs.entry(standing(output)).or_default() += 1;
        }
        let (now, wall) = (self.clock.monotonic(), self.clock.wall());
        let ends = self.resolver.lease_ends().into_iter();
        let leases = ends
            .map(|(instance, end)| (instance, seconds(wall + end.saturating_sub(now))))
            .collect();
        let health = self.ledger.audit.as_ref().map(|audit| audit.log.health());
        board.show(Snapshot {
            outputs,
            leases,
            started: seconds(self.started),
            last_success: self.last_success.map(seconds),
            calls: self.resolver.tally().clone(),
            cache_hits: self.resolver.hits(),
            audit_lost: health.as_ref().map(|health| health.lost),
            audit_failing: health.is_some_and(|health| health.failure.is_some()),
            ..self.ledger.counts.clone()
        });
    }

    fn record(&self) -> Record<'static> {
        Record::at(self.clock.wall(), self.rounds)
    }

    /// How a secret is referred to: of a wildcard the wildcard, else the first reference to it.
    fn reference_of(&self, key: &SecretKey) -> Option<String> {
        let wanting = self.outputs.wanting(key).iter();
        let mut first = None;
        for output in wanting.filter_map(|target| self.outputs.get(target)) {
            if let Role::Listing(listing) = &output.found.role {
                return Some(listing.wildcard.to_string());
            }
            let Ok(parsed) = &output.found.template else {
                continue;
            };
            let mut references = parsed.template.references().iter().zip(&parsed.keys);
            let named = references.find(|(_, known)| *known == key);
            first = first.or_else(|| named.map(|(reference, _)| reference.to_string()));
        }
        first
    }
}

fn open_audit(target: &AuditTarget, setup: &Setup) -> Result<OpenedAudit, Refusal> {
    if let AuditTarget::Shared(trail) = target {
        return Ok(OpenedAudit::Shared(Audit {
            log: trail.log_for_another(target),
            fingerprints: trail.fingerprints(),
            told: Health::default(),
        }));
    }
    let refused = |error: telemetry::AuditError, hint: &str| Refusal {
        message: error.to_string(),
        hint: Some(hint.to_owned()),
    };
    let directory = setup.state_dir.as_deref();
    let key = directory
        .ok_or_else(|| std::io::Error::other("there is none"))
        .and_then(Fingerprints::open)
        .map_err(|error| {
            let hint = "Set `--state-dir` to a directory that the agent may write to.";
            refused(telemetry::AuditError::Key(error), hint)
        })?;
    let log = OpenedLog::open(target).map_err(|error| {
        let hint = "Name a file in a directory that the agent may write to, or `journald` where systemd's journal runs.";
        refused(error, hint)
    })?;
    Ok(OpenedAudit::Own(log, key))
}

fn standing(output: &Output) -> &'static str {
    match output.standing {
        Standing::Good if output.troubles.is_empty() => "good",
        Standing::Good => "stale",
        Standing::Earlier => "earlier",
        Standing::Passthrough => "passthrough",
        Standing::Unknown => "missing",
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
