//! Directories that are switched as a whole: all their outputs are rendered and put in place together, or none is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use locket_core::plan::OnError;
use locket_core::words::counted;
use locket_core::{Action, Schemes, SecretBytes};
use rustc_hash::FxHashSet;

use super::apply::{Applier, Done, Job, Outcome, PRESENT_LIMIT, Ready, Work, unwritten};
use super::dispatch::Agent;
use super::outputs::{Output, Stage, modified};
use super::report::{Trouble, TroubleKind};
use crate::sink::{Applied, Generation, LINK, Member, Removed, Sink, place};
use crate::sources::Target;

impl Agent {
    /// The work on the whole directory that `target` is in; nothing while answers for one of its outputs are awaited,
    /// which will bring this up again.
    pub(super) fn whole(&mut self, target: &Target) -> Vec<Job> {
        let of_directory = |other: &Target| other.root == target.root;
        let outputs = self.outputs.iter();
        let members: Vec<_> = outputs
            .filter(|(other, output)| output.found.settings.atomic && of_directory(other))
            .collect();
        if members.iter().any(|(_, output)| output.stage == Stage::Waiting) {
            return Vec::new();
        }
        let is_mistaken = |output: &Output| output.found.template.is_err();
        let members = members.into_iter();
        let mut members: Vec<_> = members
            .map(|(target, output)| (target.clone(), is_mistaken(output)))
            .collect();
        members.sort();
        let mut jobs = Vec::with_capacity(members.len());
        for (target, is_mistaken) in members {
            self.dirty.remove(&target);
            jobs.extend(match is_mistaken {
                true => self.leave_in_place(&target),
                false => self.job(&target),
            });
        }
        jobs
    }

    /// The part of an output whose template has a mistake: nothing is rendered, and the directory is not to lose it.
    fn leave_in_place(&self, target: &Target) -> Option<Job> {
        let output = self.outputs.get(target)?;
        Some(Job {
            target: target.clone(),
            settings: output.found.settings.clone(),
            work: Work::Leave,
            stale: Vec::new(),
        })
    }

    /// Outputs of the directory at `root` go with their templates: it is switched to what is left.
    pub(super) fn switch_to_the_rest(&mut self, root: &Path) {
        let mut left = self.outputs.iter();
        let left = left.find(|(target, output)| *target.root == *root && output.found.settings.atomic);
        if let Some((target, _)) = left {
            // Any of them brings up all.
            self.dirty.insert(target.clone());
            return;
        }
        let mut applier = self.applier.iter();
        if applier.all(|applier| !applier.generations.contains_key(root)) {
            tracing::info!(
                "the templates of {} are gone; the directory was not switched by this agent and stays",
                root.display()
            );
        }
    }

    /// Removes directories that are not switched any more, and tells of outputs that are gone from theirs.
    pub(super) fn settle_directories(&mut self) {
        let Some(applier) = &mut self.applier else {
            return;
        };
        let outputs = &self.outputs;
        let is_switched = |root: &Path| {
            let mut outputs = outputs.iter();
            outputs.any(|(target, output)| *target.root == *root && output.found.settings.atomic)
        };
        applier.remove_unswitched(is_switched, |target| outputs.get(target).is_some());
        for target in std::mem::take(&mut applier.left) {
            tracing::info!("removed {}: its template is gone", target.path().display());
            self.note_removed(&target);
            self.open_round("removal", Duration::ZERO);
            if let Some(round) = &mut self.round {
                round.changed.push((target, None));
            }
        }
    }
}

impl Applier {
    /// Switches the directory at `root` to the outputs of `jobs`, which are all that it has.
    pub(super) fn apply_directory(
        &mut self,
        root: &Arc<Path>,
        jobs: Vec<Job>,
        schemes: &Schemes,
        actions: &[Action],
    ) -> Vec<Done> {
        let mut sink = Sink::new();
        if self.swept_whole.insert(root.clone()) {
            match sink.sweep_directory(root) {
                Ok(0) => {}
                Ok(count) => {
                    tracing::info!(
                        "removed {} of an earlier run in {}",
                        counted(count, "leftover"),
                        root.display()
                    );
                }
                Err(error) => tracing::warn!("{error}. {}", error.hint()),
            }
        }
        let mut held_by = None;
        let mut done = Vec::with_capacity(jobs.len());
        let mut ready = Vec::with_capacity(jobs.len());
        let mut kept = Vec::new();
        for job in jobs {
            if self.is_stopping() {
                // A part of the directory is none.
                return done;
            }
            let is_told = !actions.is_empty() || !job.settings.notify.is_empty();
            let settings = job.settings.clone();
            let is_mistaken = matches!(job.work, Work::Leave);
            match self.render(&mut sink, job, schemes, is_told) {
                Ok(bytes) => ready.push(bytes),
                Err(failed) => {
                    if settings.on_error != OnError::Ignore {
                        held_by.get_or_insert_with(|| failed.target.path());
                    } else if let Ok(Some(bytes)) = sink.read(&place(&failed.target, true), PRESENT_LIMIT) {
                        kept.push((failed.target.relative.clone(), bytes, settings));
                    }
                    // What became of a template with a mistake was told when it was found.
                    done.extend((!is_mistaken).then_some(*failed));
                }
            }
        }
        if let Some(culprit) = held_by {
            done.extend(ready.into_iter().map(|ready| hold(&mut sink, ready, &culprit)));
            return done;
        }
        // Where nothing is ready, what an earlier process left is as it was.
        let is_ours = self.generations.contains_key(root);
        let present = kept.iter().filter(|_| is_ours).map(|(_, _, settings)| settings);
        let mut settings = ready.iter().map(|ready| &ready.job.settings).chain(present);
        let Some(access) = settings.next().map(|settings| settings.access) else {
            return done;
        };
        self.promise(&mut ready, actions);
        let written = ready.iter().map(|ready| Member {
            relative: &ready.job.target.relative,
            bytes: &ready.bytes,
            access: &ready.job.settings.access,
        });
        let kept = kept.iter().map(|(relative, bytes, settings)| Member {
            relative,
            bytes,
            access: &settings.access,
        });
        let members: Vec<_> = written.chain(kept).collect();
        let applied = sink
            .apply_directory(root, &members, &access)
            .map(|(applied, generation)| {
                self.note_switched(root, generation);
                applied
            });
        done.extend(ready.into_iter().enumerate().map(|(index, ready)| {
            let result = match &applied {
                Ok(applied) => Ok(Outcome {
                    applied: applied[index],
                    is_change: !matches!(applied[index], Applied::Unchanged | Applied::Access)
                        && ready.is_change.unwrap_or(true),
                    promised: ready.promised.clone(),
                    is_passthrough: false,
                }),
                Err(error) => Err(vec![unwritten(error)]),
            };
            let fingerprint = self.fingerprint(&ready.bytes, &result);
            Done {
                fingerprint,
                ..finished(ready, result)
            }
        }));
        for error in sink.finish() {
            tracing::warn!("{error}. {}", error.hint());
        }
        done
    }

    /// The directory at `root` holds `generation` from now on, and nothing else.
    fn note_switched(&mut self, root: &Arc<Path>, generation: Generation) {
        // Links stand where files of their own may have stood.
        self.stamps.retain(|target, _| target.root != *root);
        let held: FxHashSet<_> = generation.members().collect();
        if let Some(earlier) = self.generations.get(root) {
            let left = earlier.members().filter(|relative| !held.contains(relative));
            self.left.extend(left.map(|relative| member(root, relative)));
        }
        self.generations.insert(root.clone(), generation);
    }

    /// Removes the directories at roots that are not switched any more, unless an output that is wanted is still read
    /// through the links.
    fn remove_unswitched(
        &mut self,
        is_switched: impl Fn(&Path) -> bool,
        is_wanted: impl Fn(&Target) -> bool,
    ) {
        let is_read_through = |target: Target| is_wanted(&target) && !self.stamps.contains_key(&target);
        let unswitched = self.generations.iter().filter(|(root, generation)| {
            let mut members = generation.members().map(|relative| member(root, relative));
            !members.any(is_read_through) && !is_switched(root)
        });
        let unswitched: Vec<_> = unswitched.map(|(root, _)| root.clone()).collect();
        let mut sink = Sink::new();
        for root in unswitched {
            let Some(generation) = self.generations.remove(&root) else {
                continue;
            };
            match sink.remove_directory(&root, &generation) {
                Ok(Removed::Removed) => {
                    let members = generation.members().map(|relative| member(&root, relative));
                    self.left
                        .extend(members.filter(|target| !self.stamps.contains_key(target)));
                }
                Ok(Removed::Absent) => {}
                Ok(Removed::Foreign) => tracing::warn!(
                    "{} is not switched as a whole any more, but {LINK} was changed by another; what it leads to stays",
                    root.display()
                ),
                Err(error) => tracing::warn!("{error}. {}", error.hint()),
            }
        }
    }
}

fn member(root: &Arc<Path>, relative: &Path) -> Target {
    Target {
        root: root.clone(),
        relative: relative.into(),
    }
}

/// An output that is ready and waits for another one of its directory.
fn hold(sink: &mut Sink, ready: Ready, culprit: &Path) -> Done {
    let present = sink
        .read(&place(&ready.job.target, true), PRESENT_LIMIT)
        .ok()
        .flatten();
    let is_equal = |present: &SecretBytes| *present == ready.bytes;
    let result = match &present {
        Some(present) if is_equal(present) => Ok(Outcome {
            applied: Applied::Unchanged,
            is_change: false,
            promised: None,
            is_passthrough: false,
        }),
        _ => Err(vec![Trouble {
            reference: None,
            reason: format!(
                "it waits for {}, since their directory is switched as a whole",
                culprit.display()
            ),
            hint: None,
            kind: match present {
                Some(_) => TroubleKind::Stale,
                None => TroubleKind::Unresolved,
            },
        }]),
    };
    finished(ready, result)
}

fn finished(ready: Ready, result: Result<Outcome, Vec<Trouble>>) -> Done {
    let earlier = match &result {
        Ok(_) => None,
        Err(_) => modified(&ready.job.target, true),
    };
    Done {
        target: ready.job.target,
        result,
        fingerprint: None,
        stale: ready.job.stale,
        valid_until: ready.valid_until,
        earlier,
    }
}
