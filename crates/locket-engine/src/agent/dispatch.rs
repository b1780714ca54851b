//! The dispatcher: the one `select!` of the agent. It decides what is next; others do it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::stream::{FuturesUnordered, StreamExt};
use locket_core::plan::OnError;
use locket_core::{Action, BoxFuture, Clock, Diagnostic};
use tokio::task::JoinHandle;

use super::apply::{Applier, Done, Job, Work};
use super::outputs::{Outputs, Stage, Standing};
use super::report::{Ending, Observer, Refusal, Trouble, TroubleKind, warn_about_unlocked_memory};
use super::setup::{AgentCx, Command, Mode, Setup};
use crate::notify::{Delivery, Journal};
use crate::resolve::{Backoff, Resolver, SecretKey, Timing};
use crate::sink::{Applied, Removed};
use crate::sources::{self, Scan, Scanner, SourceError, Target};
use crate::state::{Failing, State, Status, StatusFile};
use crate::tasks;
use crate::watch::{Change, Watcher};

/// Outputs that one visit to the writing thread takes, so that results keep coming.
const JOBS_PER_VISIT: usize = 256;

/// How long a stopping agent waits for consumers that are being told.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// Runs until the plan is in place (`one-shot`) or a command ends it.
pub async fn run(setup: Setup, cx: AgentCx<'_>) -> Ending {
    let mut scanner = Scanner::new(setup.plan.clone(), setup.instances.clone());
    let scan = scanner.scan();
    let mut refused: Vec<_> = sources::check(&setup.plan, &scan)
        .into_iter()
        .map(|error| Refusal {
            message: error.to_string(),
            hint: Some(error.hint().to_owned()),
        })
        .collect();
    refused.extend(misconfigured(&setup, &scan));
    if !refused.is_empty() {
        return Ending {
            refused,
            ..Ending::default()
        };
    }
    let status = match setup.status_file.as_deref().map(StatusFile::open).transpose() {
        Ok(status) => status,
        Err(error) => {
            let hint = "Give each agent a `--status-file` of its own, in a directory that it may write to.";
            let refused = vec![Refusal {
                message: error.to_string(),
                hint: Some(hint.into()),
            }];
            return Ending {
                refused,
                ..Ending::default()
            };
        }
    };
    Agent::new(setup, scanner, status, &cx).run(scan, cx).await
}

/// The providers that the templates name and that cannot be made: a usage error, told before anybody is asked.
fn misconfigured(setup: &Setup, scan: &Scan) -> Vec<Refusal> {
    let templates = scan.found.iter().filter_map(|found| found.template.as_ref().ok());
    let names: BTreeSet<_> = templates
        .flat_map(|parsed| &parsed.keys)
        .map(|key| key.instance.clone())
        .collect();
    let errors = names
        .iter()
        .filter_map(|name| setup.instances.provider(name).err());
    errors
        .map(|error| Refusal {
            message: error.context,
            hint: error.hint,
        })
        .collect()
}

struct Agent {
    setup: Setup,
    clock: Arc<dyn Clock>,
    resolver: Resolver,
    outputs: Outputs,
    journal: Arc<Mutex<Journal>>,
    status: Option<StatusFile>,
    /// At home while no scan is under way.
    scanner: Option<Scanner>,
    scanning: Option<JoinHandle<(Scanner, Scan)>>,
    rescan: bool,
    /// The next scan decides about outputs whose templates have been gone for long enough.
    confirming: bool,
    /// Whether any template may be gone, so that the question costs nothing while none is.
    has_gone: bool,
    /// Whether any output may depend on the time.
    has_volatile: bool,
    /// At home while nothing is being applied.
    applier: Option<Applier>,
    applying: Option<JoinHandle<(Applier, Vec<Done>)>>,
    dirty: BTreeSet<Target>,
    waiting: HashSet<Target>,
    round: Option<Round>,
    rounds: u64,
    next_refresh: Option<Duration>,
    deliveries: FuturesUnordered<BoxFuture<'static, (Action, Delivery)>>,
    /// Consumers being told, and what changed for them since.
    telling: BTreeMap<Action, BTreeSet<PathBuf>>,
    told_trouble: HashSet<sources::Trouble>,
    started: SystemTime,
    last_success: Option<SystemTime>,
}

/// From the first thing that happens until everything is in place.
struct Round {
    why: &'static str,
    started: Duration,
    calls_before: u64,
    /// Until then transient failures are retried before the round is given up.
    deadline: Duration,
    written: usize,
    changed: Vec<Target>,
    unchanged: usize,
}

/// What woke the dispatcher.
enum Event {
    Settled(Vec<SecretKey>),
    Applied((Applier, Vec<Done>)),
    Scanned((Scanner, Scan)),
    Files(Change),
    Command(Command),
    Told((Action, Delivery)),
    Timer,
}

impl Agent {
    fn new(setup: Setup, scanner: Scanner, status: Option<StatusFile>, cx: &AgentCx<'_>) -> Self {
        let journal = if notifies(&setup) {
            setup.state_dir.as_deref().map(Journal::open).unwrap_or_default()
        } else {
            Journal::default()
        };
        let journal = Arc::new(Mutex::new(journal));
        let timing = Timing {
            request: setup.schedule.request,
            backoff: Backoff::default(),
        };
        Self {
            resolver: Resolver::new(setup.instances.clone(), cx.clock.clone(), timing),
            applier: Some(Applier::new(journal.clone())),
            started: cx.clock.wall(),
            clock: cx.clock.clone(),
            outputs: Outputs::default(),
            journal,
            status,
            scanner: Some(scanner),
            scanning: None,
            rescan: false,
            confirming: false,
            has_gone: false,
            has_volatile: false,
            applying: None,
            dirty: BTreeSet::new(),
            waiting: HashSet::new(),
            round: None,
            rounds: 0,
            next_refresh: None,
            deliveries: FuturesUnordered::new(),
            telling: BTreeMap::new(),
            told_trouble: HashSet::new(),
            last_success: None,
            setup,
        }
    }

    async fn run(mut self, first: Scan, mut cx: AgentCx<'_>) -> Ending {
        let mut watcher = self.watcher();
        self.repay();
        self.write_status();
        self.schedule_refresh();
        self.open_round("start", self.setup.schedule.deadline);
        self.merge(first, cx.observer);
        let mut commands_open = true;
        loop {
            self.start_work();
            if let Some(ending) = self.close_round() {
                return self.end(ending).await;
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
                () = pause(timer) => Event::Timer,
            };
            match event {
                Event::Command(Command::Stop) => {
                    tracing::info!("stopping");
                    let ending = Ending {
                        was_stopped: true,
                        ..self.ending()
                    };
                    return self.end(ending).await;
                }
                Event::Command(Command::Reload) => {
                    if let Some(setup) = (cx.reload)() {
                        self.reload(setup);
                        // The old watches go first: there may not be room for both.
                        drop(watcher.take());
                        watcher = self.watcher();
                    }
                    self.refresh("reload");
                    self.rescan = true;
                }
                Event::Applied((applier, done)) => {
                    self.applier = Some(applier);
                    self.applying = None;
                    for done in done {
                        self.on_done(done, cx.observer);
                    }
                }
                Event::Scanned((scanner, scan)) => {
                    self.scanner = Some(scanner);
                    self.scanning = None;
                    self.merge(scan, cx.observer);
                }
                Event::Settled(keys) => self.on_settled(&keys),
                Event::Told((action, delivery)) => self.on_told(action, delivery),
                Event::Files(change) => {
                    tracing::debug!(?change, "files may have changed");
                    self.rescan = true;
                }
                Event::Timer => self.on_timer(),
            }
        }
    }

    // ---- what starts a round ----

    fn open_round(&mut self, why: &'static str, patience: Duration) {
        let now = self.clock.monotonic();
        if self.round.is_none() {
            self.rounds += 1;
            self.round = Some(Round {
                why,
                started: now,
                calls_before: self.resolver.calls(),
                deadline: now + patience,
                written: 0,
                changed: Vec::new(),
                unchanged: 0,
            });
        }
    }

    fn refresh(&mut self, why: &'static str) {
        self.open_round(why, Duration::ZERO);
        self.resolver.refresh();
        self.wait_for_all();
        self.schedule_refresh();
    }

    /// Everything is looked at again when its answers are there: what is in place, its mode and owner too.
    fn wait_for_all(&mut self) {
        let present = self
            .outputs
            .iter()
            .filter(|(_, output)| output.gone_since.is_none());
        let targets: Vec<_> = present.map(|(target, _)| target.clone()).collect();
        for target in targets {
            self.touch(&target);
        }
    }

    fn reload(&mut self, setup: Setup) {
        tracing::info!("the configuration was read again");
        self.resolver.replace_instances(setup.instances.clone());
        self.scanner = Some(Scanner::new(setup.plan.clone(), setup.instances.clone()));
        // A scan under way belongs to the old configuration; its result is dropped with the handle.
        self.scanning = None;
        self.setup = setup;
    }

    fn on_timer(&mut self) {
        let (now, wall) = (self.clock.monotonic(), self.clock.wall());
        if self.next_refresh.is_some_and(|at| at <= now) {
            self.refresh("refresh");
        }
        let due: Vec<_> = self
            .outputs
            .iter()
            .filter(|(_, output)| output.valid_until.is_some_and(|until| until <= wall))
            .map(|(target, _)| target.clone())
            .collect();
        for target in due {
            if let Some(output) = self.outputs.get_mut(&target) {
                output.valid_until = None;
            }
            self.touch(&target);
        }
        if self.next_deletion().is_some_and(|at| at <= now) {
            // The template may be back, or its volume gone: another look decides.
            self.confirming = true;
            self.rescan = true;
        }
    }

    /// The next time at which something is due, on the monotonic clock.
    fn next_timer(&self) -> Option<Duration> {
        let (now, wall) = (self.clock.monotonic(), self.clock.wall());
        let volatile = self
            .has_volatile
            .then(|| self.outputs.iter())
            .into_iter()
            .flatten()
            .filter_map(|(_, output)| output.valid_until)
            .min()
            .map(|until| now + until.duration_since(wall).unwrap_or_default());
        let deadline = self
            .round
            .as_ref()
            .map(|round| round.deadline)
            .filter(|deadline| *deadline > now);
        [self.next_refresh, volatile, self.next_deletion(), deadline]
            .into_iter()
            .flatten()
            .min()
    }

    fn next_deletion(&self) -> Option<Duration> {
        if self.confirming || !self.has_gone {
            return None;
        }
        let gone = self
            .outputs
            .iter()
            .filter_map(|(_, output)| output.gone_since)
            .min()?;
        Some(gone + self.setup.plan.delete_after)
    }

    fn schedule_refresh(&mut self) {
        let schedule = &self.setup.schedule;
        self.next_refresh = match (schedule.mode, schedule.refresh) {
            (Mode::OneShot, _) | (_, None) => None,
            (_, Some(interval)) => {
                // A short interval is asked for by somebody who waits.
                let jitter = schedule.jitter.min(interval / 10).mul_f64(fraction());
                Some(self.clock.monotonic() + interval + jitter)
            }
        };
    }

    fn watcher(&self) -> Option<Watcher> {
        if self.setup.schedule.mode != Mode::Watch {
            return None;
        }
        let plan = &self.setup.plan;
        let files = plan.secrets.iter().filter_map(|secret| match &secret.source {
            locket_core::plan::Source::File(path) => Some(path.clone()),
            locket_core::plan::Source::Inline { .. } => None,
        });
        let roots: Vec<_> = plan
            .maps
            .iter()
            .map(|map| map.source.clone())
            .chain(files)
            .collect();
        Some(Watcher::new(roots, self.setup.schedule.debounce))
    }

    // ---- what is done ----

    /// Hands out whatever can be done now.
    fn start_work(&mut self) {
        if self.rescan
            && let Some(mut scanner) = self.scanner.take()
        {
            self.rescan = false;
            self.scanning = Some(tasks::blocking(move || {
                let scan = scanner.scan();
                (scanner, scan)
            }));
        }
        if self.dirty.is_empty() {
            return;
        }
        if let Some(applier) = self.applier.take() {
            let mut jobs = Vec::new();
            while jobs.len() < JOBS_PER_VISIT
                && let Some(target) = self.dirty.pop_first()
            {
                jobs.extend(self.job(&target));
            }
            if jobs.is_empty() {
                self.applier = Some(applier);
                return;
            }
            self.applying = Some(self.visit(applier, jobs));
        }
    }

    fn visit(&self, mut applier: Applier, jobs: Vec<Job>) -> JoinHandle<(Applier, Vec<Done>)> {
        let instances = self.setup.instances.clone();
        let actions = self.setup.actions.clone();
        tasks::blocking(move || {
            let done = applier.apply(jobs, instances.schemes(), &actions);
            (applier, done)
        })
    }

    fn job(&mut self, target: &Target) -> Option<Job> {
        let wall = self.clock.wall();
        let output = self.outputs.get_mut(target)?;
        let Ok(parsed) = output.found.template.clone() else {
            return None;
        };
        let (resolutions, stale) = output.resolutions(&self.resolver);
        output.stage = Stage::Applying;
        let work = Work::Render {
            parsed,
            resolutions,
            now: wall,
        };
        Some(Job {
            target: target.clone(),
            settings: output.found.settings.clone(),
            work,
            stale,
        })
    }

    fn merge(&mut self, scan: Scan, observer: &dyn Observer) {
        for trouble in &scan.trouble {
            if self.told_trouble.insert(trouble.clone()) {
                tracing::warn!("{} is left out: {}", trouble.path.display(), trouble.reason);
            }
        }
        self.told_trouble.retain(|told| scan.trouble.contains(told));
        for root in &scan.withheld {
            let had = self
                .outputs
                .iter()
                .filter(|(target, _)| target.root == *root)
                .count();
            if had > 0 {
                tracing::warn!(
                    "every template for {} is gone at once; nothing is deleted. Is a volume missing?",
                    root.display()
                );
            }
        }
        let now = self.clock.monotonic();
        let difference = self.outputs.merge(scan, now);
        self.has_gone |= difference.gone > 0;
        if std::mem::take(&mut self.confirming) {
            self.delete_gone(now);
        }
        if difference.changed.is_empty() {
            return;
        }
        self.open_round("edit", Duration::ZERO);
        self.resolver.retain(&self.outputs.live_keys());
        // All references of all templates are wanted before the first is asked: fields of one item are one read.
        for target in &difference.changed {
            if let Some(output) = self.outputs.get_mut(target)
                && let Ok(parsed) = &output.found.template
            {
                self.resolver.want(&parsed.keys);
            }
        }
        for target in difference.changed {
            if let Some(output) = self.outputs.get_mut(&target) {
                match &output.found.template {
                    Ok(parsed) => {
                        let warnings: Vec<Diagnostic> = parsed.template.warnings().to_vec();
                        if !warnings.is_empty() {
                            let text = parsed.template.source();
                            observer.template(&output.found.source.shown(), text, &warnings);
                        }
                        output.troubles.clear();
                    }
                    Err(error) => {
                        if let SourceError::Template { name, text, found } = &**error {
                            observer.template(name, text, found);
                        }
                        output.troubles = vec![Trouble::of_source(error)];
                    }
                }
            }
            self.touch(&target);
        }
    }

    fn touch(&mut self, target: &Target) {
        let Some(output) = self.outputs.get_mut(target) else {
            return;
        };
        output.touch(&self.resolver);
        match output.stage {
            Stage::Dirty => {
                self.waiting.remove(target);
                self.dirty.insert(target.clone());
            }
            Stage::Waiting => {
                self.waiting.insert(target.clone());
            }
            _ => {}
        }
    }

    fn on_settled(&mut self, keys: &[SecretKey]) {
        self.open_round("retry", Duration::ZERO);
        let mut targets: Vec<Target> = keys
            .iter()
            .flat_map(|key| self.outputs.wanting(key))
            .cloned()
            .collect();
        targets.sort();
        targets.dedup();
        for target in targets {
            self.touch(&target);
        }
    }

    fn on_done(&mut self, done: Done, _observer: &dyn Observer) {
        let wall = self.clock.wall();
        let Some(output) = self.outputs.get_mut(&done.target) else {
            return;
        };
        let again = output.stage == Stage::ApplyingDirty;
        output.stage = Stage::Settled;
        output.valid_until = done.valid_until;
        self.has_volatile |= done.valid_until.is_some();
        match done.result {
            Ok(applied) => {
                if applied.is_passthrough {
                    output.standing = Standing::Passthrough;
                } else {
                    output.standing = Standing::Good;
                    output.troubles = done.stale;
                    if output.troubles.is_empty() {
                        output.last_success = Some(wall);
                    }
                }
                if let Some(round) = &mut self.round {
                    if applied.is_written() {
                        round.written += 1;
                    } else {
                        round.unchanged += 1;
                    }
                    if applied.is_change {
                        round.changed.push(done.target.clone());
                    }
                }
                if applied.is_change {
                    let verb = if applied.applied == Applied::Created {
                        "created"
                    } else {
                        "updated"
                    };
                    tracing::info!("{verb} {}", done.target.path().display());
                }
            }
            Err(troubles) => {
                output.troubles = troubles;
                if let (Standing::Unknown, Some(modified)) = (output.standing, done.earlier) {
                    output.standing = Standing::Earlier;
                    output.last_success = Some(modified);
                }
            }
        }
        if again {
            self.touch(&done.target);
        }
    }

    fn delete_gone(&mut self, now: Duration) {
        let after = self.setup.plan.delete_after;
        let gone: Vec<_> = self
            .outputs
            .iter()
            .filter(|(_, output)| output.gone_since.is_some_and(|since| since + after <= now))
            .map(|(target, output)| (target.clone(), output.standing, output.found.settings.clone()))
            .collect();
        if gone.is_empty() {
            self.has_gone = self.outputs.iter().any(|(_, output)| output.gone_since.is_some());
            return;
        }
        // What is being written now comes first; the next look finds the rest still gone.
        let Some(mut applier) = self.applier.take() else {
            return;
        };
        self.open_round("removal", Duration::ZERO);
        for (target, standing, _) in gone {
            if standing == Standing::Unknown {
                tracing::info!(
                    "the template of {} is gone; the file was not written by this agent and stays",
                    target.path().display()
                );
            } else {
                match applier.remove(&target) {
                    Ok(Removed::Absent) => {}
                    Ok(Removed::Foreign) => tracing::warn!(
                        "the template of {} is gone, but the file was changed by another; it stays",
                        target.path().display()
                    ),
                    Ok(Removed::Removed) => {
                        tracing::info!("removed {}: its template is gone", target.path().display());
                        if let Some(round) = &mut self.round {
                            round.changed.push(target.clone());
                        }
                    }
                    Err(error) => tracing::warn!("{error}. {}", error.hint()),
                }
            }
            self.dirty.remove(&target);
            self.waiting.remove(&target);
            self.outputs.remove(&target);
        }
        self.applier = Some(applier);
        self.outputs.index();
        self.resolver.retain(&self.outputs.live_keys());
    }

    // ---- what ends a round ----

    /// Ends the round when nothing of it is left to do; gives the end of the run when that was all.
    fn close_round(&mut self) -> Option<Ending> {
        let now = self.clock.monotonic();
        let is_first = self.rounds == 1;
        let round = self.round.as_ref()?;
        let busy = !self.dirty.is_empty()
            || self.applying.is_some()
            || self.scanning.is_some()
            || self.rescan
            || !self.resolver.is_idle();
        let patient = now < round.deadline && self.resolver.may_improve_before(round.deadline);
        if patient || (busy && (!is_first || now < round.deadline)) {
            return None;
        }
        self.give_up_waiting();
        if self.fall_back_to_templates() {
            return None;
        }
        let round = self.round.take()?;
        self.report(&round);
        self.tell(&round);
        self.write_status();
        let ending = self.ending();
        if self.setup.schedule.mode == Mode::OneShot {
            return Some(Ending {
                changed: round.changed.len(),
                ..ending
            });
        }
        let must_succeed = self.outputs.iter().any(|(_, output)| {
            output.found.settings.on_error == OnError::Error
                && is_unresolved(output.standing, &output.troubles)
        });
        (is_first && must_succeed).then_some(ending)
    }

    /// The round is over for outputs whose answers never came.
    fn give_up_waiting(&mut self) {
        for target in &self.waiting {
            let Some(output) = self.outputs.get_mut(target) else {
                continue;
            };
            let Ok(parsed) = &output.found.template else {
                continue;
            };
            let awaited = parsed.template.references().iter().zip(&parsed.keys);
            output.troubles = awaited
                .filter(|(_, key)| self.resolver.is_awaited(key))
                .map(|(reference, _)| Trouble {
                    reference: Some(reference.to_string()),
                    reason: "no answer came in time".to_owned(),
                    hint: Some("Check that the provider is reachable, or raise `--deadline`.".to_owned()),
                    kind: match output.standing {
                        Standing::Good => TroubleKind::Stale,
                        _ => TroubleKind::Unresolved,
                    },
                })
                .collect();
        }
    }

    /// `passthrough`: puts the template's own text where nothing good is. Whether there was something to do.
    fn fall_back_to_templates(&mut self) -> bool {
        let Some(applier) = self.applier.take() else {
            return false;
        };
        let mut jobs = Vec::new();
        for (target, output) in self.outputs.iter_mut() {
            let Ok(parsed) = &output.found.template else {
                continue;
            };
            if output.found.settings.on_error == OnError::Passthrough
                && output.standing == Standing::Unknown
                && matches!(output.stage, Stage::Settled | Stage::Waiting)
                && is_unresolved(output.standing, &output.troubles)
            {
                output.stage = Stage::Applying;
                // One try a round, whatever comes of it.
                output.standing = Standing::Passthrough;
                jobs.push(Job {
                    target: target.clone(),
                    settings: output.found.settings.clone(),
                    work: Work::Passthrough {
                        parsed: parsed.clone(),
                    },
                    stale: Vec::new(),
                });
            }
        }
        if jobs.is_empty() {
            self.applier = Some(applier);
            return false;
        }
        self.applying = Some(self.visit(applier, jobs));
        true
    }

    fn report(&mut self, round: &Round) {
        warn_about_unlocked_memory();
        let mut news = false;
        for (target, output) in self.outputs.iter_mut() {
            if output.troubles == output.reported {
                continue;
            }
            news = true;
            let path = target.path();
            let shown = path.display();
            if output.troubles.is_empty() {
                tracing::info!("{shown} is confirmed again");
            }
            for trouble in &output.troubles {
                let about = trouble
                    .reference
                    .as_deref()
                    .map(|name| format!("{name}: "))
                    .unwrap_or_default();
                let hint = trouble
                    .hint
                    .as_deref()
                    .map(|hint| format!(" {hint}"))
                    .unwrap_or_default();
                let what = match (trouble.kind, output.standing, output.found.settings.on_error) {
                    (_, _, OnError::Ignore) => "is optional and left out",
                    (TroubleKind::Stale, ..) | (_, Standing::Good | Standing::Earlier, _) => {
                        "keeps its last good value"
                    }
                    (_, Standing::Passthrough, _) => "holds its template's own text",
                    (TroubleKind::Unwritten, ..) => "is not written",
                    _ => "is not in place",
                };
                tracing::warn!("{shown} {what}: {about}{}.{hint}", trouble.reason);
            }
            output.reported.clone_from(&output.troubles);
        }
        let took = self.clock.monotonic().saturating_sub(round.started);
        let failing = self
            .outputs
            .iter()
            .filter(|(_, output)| !output.troubles.is_empty())
            .count();
        if failing == 0 {
            self.last_success = Some(self.clock.wall());
        }
        let calls = self.resolver.calls() - round.calls_before;
        if round.why == "retry" && round.written == 0 && !news {
            return;
        }
        tracing::info!(
            "{}: {} outputs, {} written, {} unchanged, {failing} failing; {calls} provider calls in {}",
            round.why,
            self.outputs.len(),
            round.written,
            round.unchanged,
            humantime::format_duration(Duration::from_millis(took.as_millis() as u64)),
        );
    }

    // ---- consumers ----

    /// Tells what an earlier process still owed.
    fn repay(&mut self) {
        let overdue = self.journal().overdue(|target| std::fs::read(target).ok());
        for (action, targets) in overdue {
            tracing::info!("{action} is told of a change that an earlier run could not tell it");
            self.start_telling(action, targets.into_iter().collect());
        }
    }

    fn tell(&mut self, round: &Round) {
        let mut consumers: BTreeMap<Action, BTreeSet<PathBuf>> = BTreeMap::new();
        for target in &round.changed {
            let own = self
                .outputs
                .get(target)
                .map(|output| output.found.settings.notify.clone());
            for action in self.setup.actions.iter().cloned().chain(own.unwrap_or_default()) {
                consumers.entry(action).or_default().insert(target.path());
            }
        }
        for (action, paths) in consumers {
            match self.telling.get_mut(&action) {
                // It is being told now and will be told of these afterwards.
                Some(later) => later.extend(paths),
                None => self.start_telling(action, paths),
            }
        }
    }

    fn start_telling(&mut self, action: Action, paths: BTreeSet<PathBuf>) {
        self.telling.insert(action.clone(), BTreeSet::new());
        let notifier = self.setup.notifier.clone();
        self.deliveries
            .push(Box::pin(notifier.tell(action, paths.into_iter().collect())));
    }

    fn on_told(&mut self, action: Action, delivery: Delivery) {
        match delivery {
            Delivery::Told => tracing::info!("told {action}"),
            Delivery::Nobody(reason) => tracing::warn!("{action} is not told: {reason}"),
            Delivery::Failed(reason) => tracing::error!("{action} was not told: {reason}"),
        }
        let later = self.telling.remove(&action).unwrap_or_default();
        if later.is_empty() {
            self.journal().keep(&action);
        } else {
            self.start_telling(action, later);
        }
    }

    fn journal(&self) -> std::sync::MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ---- what others see ----

    fn ending(&self) -> Ending {
        let mut ending = Ending::default();
        for (target, output) in self.outputs.iter() {
            if output.found.settings.on_error == OnError::Ignore {
                continue;
            }
            if output
                .troubles
                .iter()
                .any(|trouble| trouble.kind == TroubleKind::Unwritten)
            {
                ending.unwritten.push(target.path());
            } else if is_unresolved(output.standing, &output.troubles) {
                ending.unresolved.push(target.path());
            }
        }
        ending.unresolved.sort();
        ending.unwritten.sort();
        ending
    }

    fn write_status(&mut self) {
        let status = self.status();
        if let Some(file) = &mut self.status {
            file.write(&status);
        }
    }

    fn status(&self) -> Status {
        let seconds = |time: SystemTime| {
            time.duration_since(SystemTime::UNIX_EPOCH)
                .map_or(0, |since| since.as_secs())
        };
        let mut failing: Vec<Failing> = Vec::new();
        let mut missing = false;
        for (target, output) in self.outputs.iter() {
            if output.found.settings.on_error == OnError::Ignore {
                continue;
            }
            let in_place = matches!(output.standing, Standing::Good | Standing::Earlier);
            missing |= !in_place && output.gone_since.is_none();
            for trouble in &output.troubles {
                failing.push(Failing {
                    target: target.path(),
                    reference: trouble.reference.clone(),
                    reason: trouble.reason.clone(),
                    last_success: output.last_success.filter(|_| in_place).map(seconds),
                });
            }
        }
        failing.sort();
        let state = match (
            self.rounds <= 1 && self.round.is_some() || self.rounds == 0,
            missing,
        ) {
            (true, _) => State::Starting,
            (false, true) => State::Failed,
            (false, false) if !failing.is_empty() => State::Stale,
            (false, false) if self.setup.schedule.mode == Mode::OneShot => State::Done,
            (false, false) => State::Ready,
        };
        Status {
            state,
            pid: std::process::id(),
            started: seconds(self.started),
            last_success: self.last_success.map(seconds),
            outputs: self.outputs.len(),
            failing,
        }
    }

    /// Lets what is being written come to its end, and consumers that were to be told be told.
    async fn end(mut self, ending: Ending) -> Ending {
        if let Some(applying) = self.applying.take() {
            // The result is of no use any more; that it is complete is.
            drop(applying.await);
        }
        // Whoever stops the agent waits for it; what is still owed is kept in the journal.
        let patience = if ending.was_stopped {
            STOP_PATIENCE
        } else {
            self.setup.notifier.timeout
        };
        let give_up = self.clock.monotonic() + patience;
        while let Some(left) = give_up.checked_sub(self.clock.monotonic())
            && let Ok(Some((action, delivery))) = tokio::time::timeout(left, self.deliveries.next()).await
        {
            self.on_told(action, delivery);
        }
        self.write_status();
        ending
    }
}

/// Whether an output that matters has no good value in place.
fn is_unresolved(standing: Standing, troubles: &[Trouble]) -> bool {
    match standing {
        Standing::Passthrough => true,
        _ => troubles.iter().any(|trouble| trouble.kind != TroubleKind::Stale),
    }
}

fn notifies(setup: &Setup) -> bool {
    let plan = &setup.plan;
    let own = plan
        .maps
        .iter()
        .map(|map| &map.settings)
        .chain(plan.secrets.iter().map(|secret| &secret.settings));
    !setup.actions.is_empty() || own.into_iter().any(|settings| !settings.notify.is_empty())
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

/// Evenly distributed in `0.0..1.0`.
fn fraction() -> f64 {
    getrandom::u32().map_or(0.5, |bits| f64::from(bits) / f64::from(u32::MAX))
}
