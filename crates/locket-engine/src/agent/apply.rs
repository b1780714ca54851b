//! Rendering and writing, on a thread that may block.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use locket_core::filter::HashMemo;
use locket_core::plan::{Equal, OnError, OutputSettings, Plan};
use locket_core::template::{Problem, RenderCx, RenderError, Rendered, Resolution};
use locket_core::words::counted;
use locket_core::{Action, Schemes, SecretBytes};
use rustc_hash::{FxHashMap, FxHashSet};

use super::outputs::modified;
use super::report::{Trouble, TroubleKind};
use crate::notify::{Fingerprint, Journal, Promise};
use crate::sink::{Applied, Approach, Generation, Removed, Sink, SinkError, Stamp, Swept, Written, place};
use crate::sources::{Parsed, Target};
use crate::tasks;
use crate::telemetry::Fingerprints;

/// A present output larger than this is not searched for password hashes.
pub(super) const PRESENT_LIMIT: u64 = 64 << 20;

/// Outputs that are written at once: each may hold a file open until a disk has it.
const MOST_AT_ONCE: usize = 128;

/// Renders and writes outputs, and remembers what it wrote.
#[derive(Debug)]
pub(super) struct Applier {
    journal: Arc<Mutex<Journal>>,
    pub(super) memo: HashMemo,
    /// What this process wrote or found equal: only that is ever removed.
    pub(super) stamps: FxHashMap<Target, Stamp>,
    /// Outputs that were told to be mount points.
    mounted: FxHashSet<Target>,
    /// The same of directories that are switched as a whole.
    pub(super) generations: FxHashMap<Arc<Path>, Generation>,
    /// What such directories do not hold any more, and nobody was told of.
    pub(super) left: Vec<Target>,
    /// What digests of outputs are made with, where they are written down.
    fingerprints: Option<Arc<Fingerprints>>,
    /// Directories in which the leftovers of a killed run were looked for, by root and path below it, and whether
    /// nothing else was there.
    swept: FxHashMap<Arc<Path>, FxHashMap<PathBuf, bool>>,
    /// The same of directories that are switched as a whole.
    pub(super) swept_whole: FxHashSet<Arc<Path>>,
    /// The values of variables.
    pub(super) variables: BTreeMap<Target, Arc<SecretBytes>>,
    /// Destinations of directories, to be searched with all below them: a template of the killed run may be gone.
    unswept: Vec<Arc<Path>>,
    /// Whether nothing more is to be begun.
    is_stopping: Arc<AtomicBool>,
}

/// One output to be put in place.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) target: Target,
    pub(super) settings: Arc<OutputSettings>,
    pub(super) work: Work,
    /// The last good values that stand in for unconfirmed ones; given back when it succeeds.
    pub(super) stale: Vec<Trouble>,
}

/// What is put in place.
#[derive(Debug)]
pub(super) enum Work {
    /// The rendered template.
    Render {
        parsed: Arc<Parsed>,
        resolutions: Vec<Resolution>,
        now: SystemTime,
    },
    /// The template's own text, where there is nothing.
    Passthrough { parsed: Arc<Parsed> },
    /// Nothing: the template has a mistake, and what is in place stays.
    Leave,
}

/// What became of a job.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) target: Target,
    pub(super) result: Result<Outcome, Vec<Trouble>>,
    /// Keyed digest of what was written, where an audit log wants it.
    pub(super) fingerprint: Option<String>,
    pub(super) stale: Vec<Trouble>,
    /// When the bytes will differ without any secret having changed.
    pub(super) valid_until: Option<SystemTime>,
    /// When what is in place was written, where the job failed and something is.
    pub(super) earlier: Option<SystemTime>,
}

/// What was put in place.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) applied: Applied,
    /// Whether consumers should know: more than what the time alone changes.
    pub(super) is_change: bool,
    /// What the journal promises about it.
    pub(super) promised: Option<Fingerprint>,
    pub(super) is_passthrough: bool,
}

/// Bytes that are ready to be written.
pub(super) struct Ready {
    pub(super) job: Job,
    pub(super) bytes: SecretBytes,
    pub(super) valid_until: Option<SystemTime>,
    /// Known before writing where somebody is to be told, or where a part depends on the time.
    pub(super) is_change: Option<bool>,
    is_passthrough: bool,
    /// What is in place, where somebody is to be told that it changes.
    replaces: Option<Fingerprint>,
    pub(super) promised: Option<Fingerprint>,
}

impl Outcome {
    /// Whether the file's content was written.
    pub(super) fn is_written(&self) -> bool {
        !matches!(self.applied, Applied::Unchanged | Applied::Access)
    }
}

impl Applier {
    pub(super) fn new(
        journal: Arc<Mutex<Journal>>,
        plan: &Plan,
        fingerprints: Option<Arc<Fingerprints>>,
        is_stopping: Arc<AtomicBool>,
    ) -> Self {
        let directories = plan.maps.iter().filter(|map| map.source.is_dir());
        let destinations = directories.map(|map| map.destination.as_path());
        // What has a path of its own stands in a directory that may be anybody's: that one alone is looked at.
        let out = plan.writes_to_out().then_some(plan.out.as_path());
        Self {
            journal,
            fingerprints,
            memo: HashMemo::default(),
            stamps: FxHashMap::default(),
            mounted: FxHashSet::default(),
            generations: FxHashMap::default(),
            left: Vec::new(),
            swept: FxHashMap::default(),
            swept_whole: FxHashSet::default(),
            variables: BTreeMap::new(),
            unswept: destinations.chain(out).map(Arc::from).collect(),
            is_stopping,
        }
    }

    /// Makes digests of outputs with this from now on.
    pub(super) fn set_fingerprints(&mut self, fingerprints: Option<Arc<Fingerprints>>) {
        self.fingerprints = fingerprints;
    }

    /// The digest of an output that was written.
    pub(super) fn fingerprint(
        &self,
        bytes: &SecretBytes,
        result: &Result<Outcome, Vec<Trouble>>,
    ) -> Option<String> {
        let is_noted = result
            .as_ref()
            .is_ok_and(|outcome| outcome.applied != Applied::Unchanged);
        let fingerprints = self.fingerprints.as_ref().filter(|_| is_noted)?;
        Some(fingerprints.of(bytes))
    }

    /// Whether what is not rendered yet is left.
    pub(super) fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// Puts outputs in place; those that it does not come to before the end are left out. `actions` are told of every
    /// change.
    pub(super) fn apply(&mut self, jobs: Vec<Job>, schemes: &Schemes, actions: &[Action]) -> Vec<Done> {
        let mut done = Vec::with_capacity(jobs.len());
        let (variables, jobs): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.target.is_variable());
        done.extend(self.set_variables(variables, schemes));
        let (whole, single): (Vec<_>, Vec<_>) = jobs.into_iter().partition(|job| job.settings.atomic);
        let mut directories: BTreeMap<Arc<Path>, Vec<Job>> = BTreeMap::new();
        for job in whole {
            directories.entry(job.target.root.clone()).or_default().push(job);
        }
        for (root, jobs) in directories {
            done.extend(self.apply_directory(&root, jobs, schemes, actions));
        }
        done.extend(self.apply_each(single, schemes, actions));
        done
    }

    fn apply_each(&mut self, jobs: Vec<Job>, schemes: &Schemes, actions: &[Action]) -> Vec<Done> {
        let mut sink = Sink::new();
        let mut done = Vec::with_capacity(jobs.len());
        let mut ready = Vec::with_capacity(jobs.len());
        self.sweep_destinations(&mut sink);
        for job in jobs {
            if self.is_stopping() {
                break;
            }
            self.sweep(&mut sink, &job.target);
            let is_told = !actions.is_empty() || !job.settings.notify.is_empty();
            match self.render(&mut sink, job, schemes, is_told) {
                Ok(bytes) => ready.push(bytes),
                Err(failed) => done.push(*failed),
            }
        }
        self.promise(&mut ready, actions);
        let (results, failures) = self.write(sink, &ready);
        for (ready, result) in ready.into_iter().zip(results) {
            let Ready { job, bytes, .. } = ready;
            let result = result.map_err(|error| vec![unwritten(&error)]).map(|written| {
                self.stamps.insert(job.target.clone(), written.stamp);
                if written.is_mounted && self.mounted.insert(job.target.clone()) {
                    tracing::warn!(
                        "{} is itself a mount point: it is written in place, where a kill can leave it torn. Mount \
                         its directory instead of the single file.",
                        job.target.shown()
                    );
                }
                let is_new = !matches!(written.applied, Applied::Unchanged | Applied::Access);
                Outcome {
                    applied: written.applied,
                    is_change: is_new && ready.is_change.unwrap_or(true),
                    promised: ready.promised,
                    is_passthrough: ready.is_passthrough,
                }
            });
            let earlier = if result.is_err() {
                modified(&job.target, false)
            } else {
                None
            };
            done.push(Done {
                target: job.target,
                fingerprint: self.fingerprint(&bytes, &result),
                result,
                stale: job.stale,
                valid_until: ready.valid_until,
                earlier,
            });
        }
        if failures.is_empty() {
            return done;
        }
        let applied = done.iter().enumerate().filter(|(_, done)| done.result.is_ok());
        let applied: FxHashMap<_, _> = applied.map(|(index, done)| (done.target.path(), index)).collect();
        for error in failures {
            match applied.get(&error.target).and_then(|index| done.get_mut(*index)) {
                Some(failed) => {
                    failed.result = Err(vec![unwritten(&error)]);
                    failed.earlier = modified(&failed.target, false);
                    self.stamps.remove(&failed.target);
                }
                None => tracing::warn!("{error}. {}", error.hint()),
            }
        }
        done
    }

    /// Writes what is ready, much of it side by side, and gives what came of each, and what went wrong after that.
    fn write(&self, sink: Sink, ready: &[Ready]) -> (Vec<Result<Written, SinkError>>, Vec<SinkError>) {
        let approaches = ready.iter().map(|ready| (ready, self.approach(&ready.job)));
        let approaches: Vec<_> = approaches.collect();
        let write = |sink: &mut Sink, (ready, approach): &(&Ready, Approach)| {
            let job = &ready.job;
            sink.apply_by(&job.target, &ready.bytes, &job.settings.access, *approach)
        };
        let mut results = Vec::with_capacity(ready.len());
        let mut failures = Vec::new();
        let (mut own, mut were_several) = (Some(sink), false);
        for some in approaches.chunks(MOST_AT_ONCE) {
            let (written, sinks) =
                tasks::side_by_side(some, own.take().unwrap_or_default(), Sink::new, write);
            results.extend(written);
            were_several |= sinks.len() > 1;
            let mut sinks = sinks.into_iter();
            own = sinks.next();
            failures.extend(sinks.flat_map(Sink::finish));
        }
        failures.extend(own.into_iter().flat_map(Sink::finish));
        if were_several && results.iter().any(Result::is_err) {
            // Threads may have been in each other's way: old and new content of each one's output want space at once,
            // and not every file system makes a directory for two. Now there is one alone.
            let mut sink = Sink::new();
            for (result, item) in results.iter_mut().zip(&approaches) {
                if result.is_err() {
                    *result = write(&mut sink, item);
                }
            }
            failures.extend(sink.finish());
        }
        (results, failures)
    }

    fn approach(&self, job: &Job) -> Approach {
        match job.settings.equal {
            Equal::Keep if self.is_new(&job.target) => Approach::Create,
            Equal::Keep => Approach::Compare,
            Equal::Replace => Approach::Replace,
        }
    }

    /// Removes an output that this process wrote.
    pub(super) fn remove(&mut self, target: &Target) -> Result<Removed, SinkError> {
        let Some(stamp) = self.stamps.remove(target) else {
            return Ok(Removed::Foreign);
        };
        let mut sink = Sink::new();
        let removed = sink.remove(target, stamp)?;
        match sink.finish().into_iter().next() {
            Some(error) => Err(error),
            None => Ok(removed),
        }
    }

    /// Looks for leftovers everywhere below the destinations, once. Links are not followed, and what is mounted there
    /// is somebody else's.
    fn sweep_destinations(&mut self, sink: &mut Sink) {
        for root in std::mem::take(&mut self.unswept) {
            let device = |path: &Path| std::fs::symlink_metadata(path).map(|metadata| metadata.dev());
            let Ok(own) = device(&root) else { continue };
            let mut open = vec![PathBuf::new()];
            while let Some(directory) = open.pop() {
                let target = Target {
                    root: root.clone(),
                    relative: directory.join("any").into(),
                };
                self.sweep(sink, &target);
                let Ok(entries) = std::fs::read_dir(root.join(&directory)) else {
                    continue;
                };
                let below = entries.flatten().filter(|entry| {
                    entry.file_type().is_ok_and(|kind| kind.is_dir())
                        && device(&entry.path()).is_ok_and(|device| device == own)
                });
                open.extend(below.map(|entry| directory.join(entry.file_name())));
            }
        }
    }

    /// Removes everything that this process wrote and that is as it wrote it, and counts it.
    pub(super) fn clean_up(&mut self) -> usize {
        let mut sink = Sink::new();
        let mut count = 0;
        let mut told = |what: &Path, removed: Result<Removed, SinkError>| match removed {
            Ok(Removed::Removed) => count += 1,
            Ok(Removed::Absent) => {}
            Ok(Removed::Foreign) => {
                tracing::warn!("{} was changed by another; it stays", what.display());
            }
            Err(error) => tracing::warn!("{error}. {}", error.hint()),
        };
        for (target, stamp) in std::mem::take(&mut self.stamps) {
            told(&target.path(), sink.remove(&target, stamp));
        }
        for (root, generation) in std::mem::take(&mut self.generations) {
            told(&root, sink.remove_directory(&root, &generation));
        }
        for error in sink.finish() {
            tracing::warn!("{error}. {}", error.hint());
        }
        count
    }

    fn sweep(&mut self, sink: &mut Sink, target: &Target) {
        if self.was_empty(target).is_some() {
            return;
        }
        let parent = target.relative.parent().unwrap_or(Path::new(""));
        let swept = match sink.sweep(target) {
            Ok(swept) => swept,
            Err(error) => {
                tracing::warn!("{error}. {}", error.hint());
                Swept::default()
            }
        };
        match swept.removed {
            0 => {}
            count => tracing::info!(
                "removed {} of an earlier run in {}",
                counted(count, "unfinished file"),
                target.root.join(parent).display()
            ),
        }
        let below = self.swept.entry(target.root.clone()).or_default();
        below.insert(parent.to_owned(), swept.is_empty);
    }

    /// Whether nothing was in the directory of an output when it was swept; `None` before.
    fn was_empty(&self, target: &Target) -> Option<bool> {
        let parent = target.relative.parent().unwrap_or(Path::new(""));
        self.swept.get(&target.root)?.get(parent).copied()
    }

    /// Whether the output is likely not to be there: nothing was in its directory, and it was not written since.
    fn is_new(&self, target: &Target) -> bool {
        self.was_empty(target) == Some(true) && !self.stamps.contains_key(target)
    }

    pub(super) fn render(
        &mut self,
        sink: &mut Sink,
        job: Job,
        schemes: &Schemes,
        is_told: bool,
    ) -> Result<Ready, Box<Done>> {
        let fail = |job: Job, troubles: Vec<Trouble>| {
            let earlier = modified(&job.target, job.settings.atomic);
            Done {
                target: job.target,
                result: Err(troubles),
                fingerprint: None,
                stale: job.stale,
                valid_until: None,
                earlier,
            }
        };
        match &job.work {
            Work::Leave => Err(Box::new(fail(job, Vec::new()))),
            Work::Passthrough { parsed } => {
                let bytes = SecretBytes::copy_from(parsed.template.source());
                match sink.read(&job.target, PRESENT_LIMIT) {
                    // Whatever is there is better than a placeholder.
                    Ok(Some(present)) if present != bytes => {
                        let trouble = Trouble {
                            reference: None,
                            reason: "the output of an earlier run stays".into(),
                            hint: None,
                            kind: TroubleKind::Unresolved,
                        };
                        Err(Box::new(fail(job, vec![trouble])))
                    }
                    Ok(present) => Ok(Ready {
                        job,
                        bytes,
                        valid_until: None,
                        is_change: Some(present.is_none()),
                        is_passthrough: true,
                        replaces: None,
                        promised: None,
                    }),
                    Err(error) => {
                        let troubles = vec![unwritten(&error)];
                        Err(Box::new(fail(job, troubles)))
                    }
                }
            }
            Work::Render {
                parsed,
                resolutions,
                now,
            } => {
                // Reading it only to compare is the sink's business, which does it without a copy.
                let place = place(&job.target, job.settings.atomic);
                let mut read = || sink.read(&place, PRESENT_LIMIT).ok().flatten();
                let mut present = if is_told || parsed.template.is_slow() {
                    read()
                } else {
                    None
                };
                #[expect(
                    clippy::disallowed_methods,
                    reason = "password hashes in the present output are kept"
                )]
                let shown = present.as_ref().map(SecretBytes::expose);
                let mut cx = RenderCx {
                    schemes,
                    now: *now,
                    present: shown,
                    memo: &mut self.memo,
                };
                let rendered = match parsed.template.render(resolutions, &mut cx) {
                    Ok(rendered) => rendered,
                    Err(errors) => {
                        let troubles = RenderError::distinct(errors)
                            .into_iter()
                            .map(|e| unresolved(e, parsed))
                            .collect();
                        let is_placeholder = job.settings.on_error == OnError::Passthrough
                            && read().is_some_and(|present| present.matches(parsed.template.source()));
                        let mut failed = fail(job, troubles);
                        if is_placeholder {
                            // An earlier run put the template's text there: nothing good is in place.
                            failed.earlier = None;
                        }
                        return Err(Box::new(failed));
                    }
                };
                if present.is_none() && !rendered.volatile.is_empty() {
                    present = read();
                }
                let is_drill = job.settings.equal == Equal::Replace;
                let is_change = (is_told || !rendered.volatile.is_empty())
                    .then(|| is_drill || differs(&rendered, present.as_ref()));
                #[expect(
                    clippy::disallowed_methods,
                    reason = "the journal takes a keyed digest of the output"
                )]
                let replaces = present
                    .filter(|_| is_change == Some(true))
                    .map(|present| self.journal().fingerprint(present.expose()));
                let Rendered {
                    bytes, valid_until, ..
                } = rendered;
                Ok(Ready {
                    job,
                    bytes,
                    valid_until,
                    is_change,
                    is_passthrough: false,
                    replaces,
                    promised: None,
                })
            }
        }
    }

    /// Writes down who is owed a word about what is about to change.
    pub(super) fn promise(&self, ready: &mut [Ready], actions: &[Action]) {
        let mut journal = self.journal();
        let mut promises = Vec::new();
        for ready in ready.iter_mut().filter(|ready| ready.is_change == Some(true)) {
            #[expect(
                clippy::disallowed_methods,
                reason = "the journal takes a keyed digest of the output"
            )]
            let fingerprint = journal.fingerprint(ready.bytes.expose());
            for action in actions.iter().chain(&ready.job.settings.notify) {
                promises.push(Promise {
                    action: action.clone(),
                    target: ready.job.target.path(),
                    fingerprint: fingerprint.clone(),
                    replaces: ready.replaces.clone(),
                });
            }
            ready.promised = Some(fingerprint);
        }
        journal.promise(promises);
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn differs(rendered: &Rendered, present: Option<&SecretBytes>) -> bool {
    #[expect(
        clippy::disallowed_methods,
        reason = "compares the output with the one in place"
    )]
    present.is_none_or(|present| rendered.differs_from(present.expose()))
}

pub(super) fn unwritten(error: &SinkError) -> Trouble {
    Trouble {
        reference: None,
        reason: error.to_string(),
        hint: Some(error.hint()),
        kind: TroubleKind::Unwritten,
    }
}

pub(super) fn unresolved(error: RenderError, parsed: &Parsed) -> Trouble {
    let (line, column) = error.span.line_column(parsed.template.source());
    let (reason, hint) = match error.problem {
        Problem::Unresolved(error) => (error.to_string(), error.hint.clone()),
        Problem::Unsuitable(reason) => (format!("{reason} (line {line}, column {column})"), None),
    };
    Trouble {
        reference: Some(error.reference),
        reason,
        hint,
        kind: TroubleKind::Unresolved,
    }
}
