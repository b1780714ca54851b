//! The dispatcher: the one `select!` of the agent. It decides what is next; others do it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use futures_util::stream::{FuturesUnordered, StreamExt};
use locket_core::plan::{Plan, Source};
use locket_core::words::counted;
use locket_core::{Action, BoxFuture, Clock};
use rustc_hash::FxHashSet;
use tokio::task::JoinHandle;

use super::apply::{Applier, Done};
use super::confine;
use super::consumers::{Telling, consumers_of};
use super::ledger::{Ledger, Outlay};
use super::outputs::Outputs;
use super::report::{Ending, Phase, Refusal};
use super::rounds::Round;
use super::setup::{AgentCx, AtEnd, Command, Mode, Setup};
use super::templates::watcher_of;
use crate::instances::Instances;
use crate::notify::{Delivery, Journal, Word};
use crate::resolve::{Backoff, Resolver, SecretKey, Timing};
use crate::sources::{self, Found, Listed, Scan, Scanner, Target};
use crate::state::StatusFile;
use crate::tasks;
use crate::watch::{Change, Watcher};

/// How long a stopping agent waits for consumers that are being told.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Runs until the plan is in place (`one-shot`) or a command ends it.
pub async fn run(setup: Setup, cx: AgentCx<'_>) -> Ending {
    // What changes from here on is told.
    let watcher = watcher_of(&setup);
    let mut scanner = Scanner::new(setup.plan.clone(), setup.instances.clone());
    let scan = scanner.scan();
    let refused = refusals(&setup.plan, &setup.instances, &scan);
    if !refused.is_empty() {
        return Ending {
            refused,
            ..Ending::default()
        };
    }
    let refusal = |refusal| Ending {
        refused: vec![refusal],
        ..Ending::default()
    };
    // Whoever reads the status file finds none of a run that did not begin.
    let outlay = match Outlay::open(&setup) {
        Ok(outlay) => outlay,
        Err(refused) => return refusal(refused),
    };
    let status = match setup.status_file.as_deref().map(StatusFile::open).transpose() {
        Ok(status) => status,
        Err(error) => {
            let hint = "Give each agent a `--status-file` of its own, in a directory that it may write to.";
            return refusal(Refusal {
                message: error.to_string(),
                hint: Some(hint.into()),
            });
        }
    };
    // The status file and the audit log are open and nobody was asked for a secret yet. The thread that writes the log
    // comes after.
    confine::confine(&setup, &scan);
    let ledger = match Ledger::start(outlay) {
        Ok(ledger) => ledger,
        Err(refused) => return refusal(refused),
    };
    Agent::new(setup, scanner, status, ledger, &cx)
        .run(scan, watcher, cx)
        .await
}

/// Why a run of `plan`, whose first scan is `scan`, does not begin: told before anybody is asked.
pub(crate) fn refusals(plan: &Plan, instances: &Instances, scan: &Scan) -> Vec<Refusal> {
    let mut refused: Vec<_> = sources::check(plan, scan)
        .into_iter()
        .map(|error| Refusal {
            message: error.to_string(),
            hint: Some(error.hint().to_owned()),
        })
        .collect();
    refused.extend(misconfigured(instances, scan));
    refused
}

/// The providers that the templates name and that cannot be made: a usage error.
fn misconfigured(instances: &Instances, scan: &Scan) -> Vec<Refusal> {
    let templates = scan.found.iter().filter_map(|found| found.template.as_ref().ok());
    let mut names: BTreeSet<&Arc<str>> = BTreeSet::new();
    let mut last = None;
    for key in templates.flat_map(|parsed| &parsed.keys) {
        // Most keys are of the instance of the one before.
        if last != Some(Arc::as_ptr(&key.instance)) {
            last = Some(Arc::as_ptr(&key.instance));
            names.insert(&key.instance);
        }
    }
    let errors = names.iter().filter_map(|name| instances.provider(name).err());
    errors
        .map(|error| Refusal {
            message: error.context,
            hint: error.hint,
        })
        .collect()
}

pub(super) struct Agent {
    pub(super) setup: Setup,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) resolver: Resolver,
    pub(super) outputs: Outputs,
    pub(super) journal: Arc<Mutex<Journal>>,
    pub(super) status: Option<StatusFile>,
    pub(super) phase: Phase,
    pub(super) ledger: Ledger,
    /// At home while no scan is under way.
    pub(super) scanner: Option<Scanner>,
    pub(super) scanning: Option<JoinHandle<(Scanner, Look)>>,
    /// What is to be looked at as soon as it is at home.
    pub(super) rescan: Option<Change>,
    /// The keys of each wildcard when it was last answered.
    pub(super) listed: Listed,
    /// The next scan with which nothing is left to be looked at decides about outputs whose templates have been gone for
    /// long enough.
    pub(super) confirming: bool,
    /// Whether any template may be gone, so that the question costs nothing while none is.
    pub(super) has_gone: bool,
    /// Whether any output may depend on the time.
    pub(super) has_volatile: bool,
    /// At home while nothing is being applied.
    pub(super) applier: Option<Applier>,
    pub(super) applying: Option<JoinHandle<(Applier, Vec<Done>)>>,
    /// What the applier has not begun then is left.
    is_stopping: Arc<AtomicBool>,
    pub(super) dirty: BTreeSet<Target>,
    pub(super) waiting: FxHashSet<Target>,
    pub(super) round: Option<Round>,
    pub(super) rounds: u64,
    pub(super) next_refresh: Option<Duration>,
    /// When everything is written again that could not be written.
    pub(super) rewrite_at: Option<Duration>,
    /// How often in a row something could not be written.
    pub(super) failed_writes: u32,
    /// When connections and spare memory are given back, unless something happens before.
    pub(super) rest_at: Option<Duration>,
    /// When whoever watches the agent is to see it turn.
    pub(super) next_pulse: Option<Duration>,
    pub(super) deliveries: FuturesUnordered<BoxFuture<'static, (Action, Delivery)>>,
    pub(super) telling: BTreeMap<Action, Telling>,
    /// What an earlier process owed to consumers that nobody names yet.
    pub(super) overdue: BTreeMap<Action, Word>,
    /// Consumers that could not be told in time, as long as they have not been told since.
    pub(super) untold: BTreeSet<Action>,
    pub(super) told_trouble: FxHashSet<sources::Trouble>,
    /// The variables that were last handed over.
    pub(super) handed: BTreeSet<Target>,
    pub(super) started: SystemTime,
    pub(super) last_success: Option<SystemTime>,
}

/// What a look at the sources brought.
pub(super) enum Look {
    /// Everything there is.
    Whole(Scan),
    /// These outputs anew; nothing else has changed.
    Again(Vec<Found>),
}

/// What woke the dispatcher.
enum Event {
    Settled(Vec<SecretKey>),
    Applied((Applier, Vec<Done>)),
    Scanned((Scanner, Look)),
    Files(Change),
    Command(Command),
    Told((Action, Delivery)),
    Audit,
    Timer,
}

impl Agent {
    fn new(
        setup: Setup,
        scanner: Scanner,
        status: Option<StatusFile>,
        ledger: Ledger,
        cx: &AgentCx<'_>,
    ) -> Self {
        let journal = Arc::new(Mutex::new(journal_of(&setup)));
        let is_stopping = Arc::new(AtomicBool::new(false));
        let timing = Timing {
            request: setup.schedule.request,
            backoff: Backoff::default(),
        };
        Self {
            resolver: Resolver::new(setup.instances.clone(), cx.clock.clone(), timing),
            applier: Some(Applier::new(
                journal.clone(),
                &setup.plan,
                ledger.fingerprints(),
                is_stopping.clone(),
            )),
            is_stopping,
            ledger,
            started: cx.clock.wall(),
            clock: cx.clock.clone(),
            outputs: Outputs::default(),
            journal,
            status,
            phase: Phase::Starting,
            scanner: Some(scanner),
            scanning: None,
            rescan: None,
            listed: Listed::new(),
            confirming: false,
            has_gone: false,
            has_volatile: false,
            applying: None,
            dirty: BTreeSet::new(),
            waiting: FxHashSet::default(),
            round: None,
            rounds: 0,
            next_refresh: None,
            rewrite_at: None,
            failed_writes: 0,
            rest_at: None,
            next_pulse: None,
            deliveries: FuturesUnordered::new(),
            telling: BTreeMap::new(),
            overdue: BTreeMap::new(),
            untold: BTreeSet::new(),
            told_trouble: FxHashSet::default(),
            handed: BTreeSet::new(),
            last_success: None,
            setup,
        }
    }

    async fn run(mut self, first: Scan, mut watcher: Option<Watcher>, mut cx: AgentCx<'_>) -> Ending {
        self.repay();
        self.show(cx.observer);
        self.publish();
        self.schedule_refresh();
        self.open_round("start", self.setup.schedule.deadline);
        self.merge(first, cx.observer);
        let mut commands_open = true;
        loop {
            self.beat(cx.observer);
            self.start_work();
            if let Some(ending) = self.close_round(cx.observer) {
                return self.end(ending, &mut cx).await;
            }
            if self.round.is_none() && self.telling.is_empty() && !self.outputs.are_behind() {
                self.resolver.consumers_moved();
            }
            let timer = self
                .next_timer()
                .map(|at| at.saturating_sub(self.clock.monotonic()));
            let event = tokio::select! {
                biased;
                command = cx.commands.recv(), if commands_open => match command {
                    Some(command) => Event::Command(command),
                    None => { commands_open = false; continue }
                },
                Some(done) = joined(&mut self.applying) => Event::Applied(done),
                Some(done) = joined(&mut self.scanning) => Event::Scanned(done),
                keys = self.resolver.progress() => Event::Settled(keys),
                Some(told) = self.deliveries.next() => Event::Told(told),
                change = changed(&mut watcher) => Event::Files(change),
                () = self.ledger.audit_changed() => Event::Audit,
                () = pause(timer) => Event::Timer,
            };
            match event {
                Event::Command(Command::Stop) => {
                    tracing::info!("told to stop; what is being written is finished first");
                    let ending = Ending {
                        was_stopped: true,
                        ..self.ending()
                    };
                    return self.end(ending, &mut cx).await;
                }
                Event::Command(Command::Reload) => {
                    if self.phase == Phase::Staying {
                        self.phase = Phase::Reloading;
                        self.show(cx.observer);
                    }
                    self.read_again("reload", &mut cx, &mut watcher);
                }
                Event::Command(Command::Replan) => {
                    self.take_over(&mut cx, &mut watcher);
                    self.open_round("plan", Duration::ZERO);
                    self.look_at(Change::All);
                }
                Event::Applied((applier, done)) => {
                    self.applier = Some(applier);
                    self.applying = None;
                    for done in done {
                        self.on_done(done, cx.observer);
                    }
                    self.settle_directories();
                }
                Event::Scanned((scanner, look)) => {
                    self.scanner = Some(scanner);
                    self.scanning = None;
                    match look {
                        Look::Whole(scan) => self.merge(scan, cx.observer),
                        Look::Again(found) => self.renew(found, cx.observer),
                    }
                }
                Event::Settled(keys) => self.on_settled(&keys),
                Event::Told((action, delivery)) => self.on_told(action, delivery, cx.observer),
                Event::Files(change) => {
                    tracing::debug!(?change, "files may have changed");
                    self.look_at(change);
                }
                Event::Audit => {
                    self.watch_audit();
                    self.publish();
                    self.show(cx.observer);
                }
                Event::Timer if self.setup.schedule.mode == Mode::Repeat && self.is_refresh_due() => {
                    self.read_again("refresh", &mut cx, &mut watcher);
                }
                Event::Timer => self.on_timer(),
            }
        }
    }

    /// Reads the configuration again and refreshes, whether or not it can be used.
    fn read_again(&mut self, why: &'static str, cx: &mut AgentCx<'_>, watcher: &mut Option<Watcher>) {
        self.take_over(cx, watcher);
        self.refresh(why);
        self.look_at(Change::All);
    }

    /// Puts a configuration that was read again into force, if it can be used.
    fn take_over(&mut self, cx: &mut AgentCx<'_>, watcher: &mut Option<Watcher>) {
        if let Some(setup) = (cx.reload)().filter(is_within_reach) {
            self.reload(setup);
            self.repay_the_named();
            // The old watches go first: there may not be room for both.
            drop(watcher.take());
            *watcher = watcher_of(&self.setup);
        }
    }

    /// Lets what is being written come to its end, and consumers that were to be told be told.
    async fn end(mut self, mut ending: Ending, cx: &mut AgentCx<'_>) -> Ending {
        self.phase = Phase::Stopping;
        cx.observer.phase(self.phase, &self.status());
        self.is_stopping.store(true, Ordering::Relaxed);
        let written = finish_writing(self.applying.take());
        let leases = self.end_leases();
        let deliveries = self.finish_deliveries(&mut ending.was_stopped, cx);
        let (applier, (), untold) = tokio::join!(written, leases, deliveries);
        self.applier = self.applier.or(applier);
        self.clean_up().await;
        self.watch_audit();
        self.ledger.finish(STOP_PATIENCE).await;
        self.show(cx.observer);
        // Nobody has to wait until templates and tables are freed. What has to end in order stays here: providers do.
        let templates = self.scanner.as_mut().map(Scanner::take_templates);
        drop(tasks::blocking(move || drop((self.outputs, templates))));
        Ending { untold, ..ending }
    }

    /// Whoever was handed credentials by a run that stays has them for as long as it stays. What a single round hands
    /// out is its caller's.
    fn end_leases(&mut self) -> BoxFuture<'static, ()> {
        match self.setup.schedule.mode {
            Mode::OneShot => Box::pin(self.resolver.end_replaced_leases(STOP_PATIENCE)),
            Mode::Watch | Mode::Park | Mode::Repeat => Box::pin(self.resolver.end_leases(STOP_PATIENCE)),
        }
    }

    /// Waits for consumers that are being told, and gives back those that could not be, now or before.
    ///
    /// Whoever stops the agent waits for it, and what is still owed is kept in the journal. Otherwise every delivery has
    /// its own limit, and a second one beside it would only race with its last word.
    async fn finish_deliveries(&mut self, was_stopped: &mut bool, cx: &mut AgentCx<'_>) -> Vec<Action> {
        let mut give_up = was_stopped.then(|| self.clock.monotonic() + STOP_PATIENCE);
        loop {
            let left = give_up.map(|at| at.saturating_sub(self.clock.monotonic()));
            let told = tokio::select! {
                biased;
                Some(command) = cx.commands.recv() => {
                    if command == Command::Stop && give_up.is_none() {
                        tracing::info!("told to stop; consumers that are being told have a moment left");
                        *was_stopped = true;
                        give_up = Some(self.clock.monotonic() + STOP_PATIENCE);
                    }
                    continue;
                }
                told = self.deliveries.next() => told,
                () = pause(left) => None,
            };
            let Some((action, delivery)) = told else {
                break;
            };
            self.on_told(action, delivery, cx.observer);
        }
        let reason = match self.setup.state_dir {
            Some(_) => "there was no time left; the next start tells it",
            None => "there was no time left",
        };
        for action in self.telling.keys() {
            cx.observer.untold(action, reason);
        }
        self.untold.extend(self.telling.keys().cloned());
        std::mem::take(&mut self.untold).into_iter().collect()
    }

    /// `--cleanup`: removes what this run wrote.
    async fn clean_up(&mut self) {
        if self.setup.at_end == AtEnd::Keep {
            return;
        }
        if let Some(mut applier) = self.applier.take()
            && let Ok(count) = tasks::blocking(move || applier.clean_up()).await
        {
            tracing::info!("removed {} of this run", counted(count, "output"));
        }
    }
}

/// Lets what is being written come to its end, as far as it has begun. Nothing where that takes too long: a file system
/// may hang.
async fn finish_writing(applying: Option<JoinHandle<(Applier, Vec<Done>)>>) -> Option<Applier> {
    match tokio::time::timeout(STOP_PATIENCE, applying?).await {
        // What became of each is of no use any more; that it is complete is.
        Ok(applied) => applied.ok().map(|(applier, _)| applier),
        Err(_) => {
            tracing::warn!("what is being written takes too long and is left to itself");
            None
        }
    }
}

/// Whether the agent can still do what a configuration asks for; says so when it cannot.
fn is_within_reach(setup: &Setup) -> bool {
    let Some(refusal) = confine::refusal(setup) else {
        return true;
    };
    tracing::error!(
        "the configuration that was read again stays unused: for it the agent would have to {refusal}, which it gave \
         up when it started (Landlock). Restart it; until then the configuration before it stays in force."
    );
    false
}

/// Whether `target` is, or may become, an output of this run.
fn writes_to(setup: &Setup, target: &Path) -> bool {
    let plan = &setup.plan;
    let mut maps = plan.maps.iter().map(|map| &map.destination);
    let mut later = setup.surroundings.later.outputs.iter();
    maps.any(|destination| target.starts_with(destination))
        || later.any(|(directory, _)| target.starts_with(directory))
        || plan.secrets.iter().any(|secret| {
            let (directory, name) = secret.output(&plan.out);
            match secret.source {
                Source::Every { .. } => target.starts_with(directory),
                Source::Inline { .. } | Source::File(_) | Source::EnvFile(_) => {
                    target == directory.join(name)
                }
            }
        })
}

/// The journal for `setup`: in memory only where nobody is to be told, or there is no place that outlives the process.
pub(super) fn journal_of(setup: &Setup) -> Journal {
    let directory = setup.state_dir.as_deref().filter(|_| notifies(setup));
    let open = |directory| Journal::open(directory, |target| writes_to(setup, target));
    directory.map(open).unwrap_or_default()
}

pub(super) fn notifies(setup: &Setup) -> bool {
    !setup.surroundings.later.consumers.is_empty() || !consumers_of(setup).is_empty()
}

/// The result of work on another thread; pending when there is none. A panic there ends the agent's loop as one
/// here would.
async fn joined<T>(handle: &mut Option<JoinHandle<T>>) -> Option<T> {
    match handle {
        None => std::future::pending().await,
        Some(handle) => match handle.await {
            Ok(done) => Some(done),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => std::future::pending().await,
        },
    }
}

async fn changed(watcher: &mut Option<Watcher>) -> Change {
    match watcher {
        Some(watcher) => watcher.changed().await,
        None => std::future::pending().await,
    }
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
