//! The outputs of the present plan and how far each has come.

use std::collections::BTreeSet;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use locket_core::plan::Source;
use locket_core::template::Resolution;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use super::report::{Trouble, TroubleKind};
use crate::once::resolution;
use crate::resolve::{Answer, Resolver, SecretKey};
use crate::sink::place;
use crate::sources::{Found, Role, Scan, Target};

/// Every output, by its target.
#[derive(Debug, Default)]
pub(super) struct Outputs {
    table: FxHashMap<Target, Output>,
    by_key: FxHashMap<SecretKey, Vec<Target>>,
}

/// One output.
#[derive(Debug)]
pub(super) struct Output {
    pub(super) found: Found,
    pub(super) stage: Stage,
    pub(super) standing: Standing,
    pub(super) troubles: Vec<Trouble>,
    /// What was last told about the troubles.
    pub(super) reported: Vec<Trouble>,
    /// When everything about it was last confirmed.
    pub(super) last_success: Option<SystemTime>,
    /// From when until when its bytes are right, where the time alone changes them.
    pub(super) valid: Option<Range<SystemTime>>,
    /// Since when its template is gone, on the monotonic clock.
    pub(super) gone_since: Option<Duration>,
    /// Why its template cannot be looked at, which may be there all the same.
    pub(super) unseen: Option<Trouble>,
    /// Whether what is in place is older than its template or its secrets, so that it holds what was replaced.
    pub(super) is_behind: bool,
}

/// What is to be done about an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Answers are on their way.
    Waiting,
    /// It is to be rendered and applied.
    Dirty,
    /// It is being applied.
    Applying,
    /// It is being applied, and again afterwards.
    ApplyingDirty,
    /// Nothing.
    Settled,
}

/// What is in place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing that this process knows of.
    Unknown,
    /// A good output.
    Good,
    /// What an earlier run wrote.
    Earlier,
    /// The template's own text.
    Passthrough,
}

/// What a scan changed.
#[derive(Debug, Default)]
pub(super) struct Difference {
    /// Outputs that are new or whose template or settings changed.
    pub(super) changed: Vec<Target>,
    /// Outputs whose template is gone since this scan.
    pub(super) gone: usize,
    /// Variables that are gone, and forgotten at once: there is no file to be careful with.
    pub(super) dropped: usize,
    /// Whether any template went out of sight, or came back into it.
    pub(super) sight_changed: bool,
    /// Whether other secrets are wanted than before.
    pub(super) wants_others: bool,
}

impl Outputs {
    /// How many there are; a wildcard is none.
    pub(super) fn len(&self) -> usize {
        let files = self.table.values();
        files
            .filter(|output| !matches!(output.found.role, Role::Listing(_)))
            .count()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&Target, &Output)> {
        self.table.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&Target, &mut Output)> {
        self.table.iter_mut()
    }

    pub(super) fn get(&self, target: &Target) -> Option<&Output> {
        self.table.get(target)
    }

    pub(super) fn get_mut(&mut self, target: &Target) -> Option<&mut Output> {
        self.table.get_mut(target)
    }

    pub(super) fn remove(&mut self, target: &Target) {
        self.table.remove(target);
    }

    /// Takes over what a scan found.
    pub(super) fn merge(&mut self, scan: Scan, now: Duration) -> Difference {
        let mut difference = Difference::default();
        let mut present = FxHashSet::with_capacity_and_hasher(scan.found.len(), FxBuildHasher);
        self.table
            .reserve(scan.found.len().saturating_sub(self.table.len()));
        for found in scan.found {
            present.insert(found.target.clone());
            match self.table.get_mut(&found.target) {
                Some(output) => {
                    output.gone_since = None;
                    difference.sight_changed |= output.lose_sight(None);
                    if !same(&output.found, &found) {
                        difference.changed.push(found.target.clone());
                    }
                    output.found = found;
                }
                None => {
                    difference.changed.push(found.target.clone());
                    self.table.insert(found.target.clone(), Output::new(found));
                }
            }
        }
        let before = self.table.len();
        self.table
            .retain(|target, _| !target.is_variable() || present.contains(target));
        difference.dropped = before - self.table.len();
        for (target, output) in &mut self.table {
            if present.contains(target) {
                continue;
            }
            let unseen = scan
                .unseen
                .iter()
                .find(|unseen| output.is_made_below(&unseen.path));
            difference.sight_changed |= output.lose_sight(unseen.map(Trouble::of_unseen));
            if unseen.is_some() {
                output.gone_since = None;
                continue;
            }
            if scan.withheld.contains(&target.root) {
                output.gone_since = None;
            } else if output.gone_since.is_none() {
                output.gone_since = Some(now);
                difference.gone += 1;
            }
        }
        difference.wants_others = !difference.changed.is_empty() || difference.dropped > 0;
        if difference.wants_others {
            self.index();
        }
        difference
    }

    /// Takes over outputs whose templates alone may have changed.
    pub(super) fn renew(&mut self, found: Vec<Found>) -> Difference {
        let mut difference = Difference::default();
        for found in found {
            if let Some(output) = self.table.get_mut(&found.target)
                && !same(&output.found, &found)
            {
                difference.changed.push(found.target.clone());
                difference.wants_others |= output.found.keys() != found.keys();
                output.found = found;
            }
        }
        if difference.wants_others {
            self.index();
        }
        difference
    }

    /// The outputs of templates that are in these files.
    pub(super) fn of_sources(&self, paths: &BTreeSet<PathBuf>) -> Vec<Found> {
        let found = self.table.values().map(|output| &output.found);
        found
            .filter(|found| matches!(&found.source, Source::File(path) if paths.contains(path)))
            .cloned()
            .collect()
    }

    /// Whether anything in place holds what was replaced: it is in use until it is replaced there, too.
    pub(super) fn are_behind(&self) -> bool {
        self.table.values().any(|output| output.is_behind)
    }

    /// Whether some output wants the secret.
    pub(super) fn is_wanted(&self, key: &SecretKey) -> bool {
        self.by_key.contains_key(key)
    }

    /// The outputs that want a secret.
    pub(super) fn wanting(&self, key: &SecretKey) -> &[Target] {
        self.by_key.get(key).map_or(&[], Vec::as_slice)
    }

    /// Forgets what only outputs wanted that are gone for good.
    pub(super) fn index(&mut self) {
        self.by_key.clear();
        for (target, output) in &self.table {
            for key in output.found.keys() {
                match self.by_key.get_mut(key) {
                    Some(wanting) if wanting.last() == Some(target) => {}
                    Some(wanting) => wanting.push(target.clone()),
                    None => {
                        self.by_key.insert(key.clone(), vec![target.clone()]);
                    }
                }
            }
        }
    }
}

impl Output {
    fn new(found: Found) -> Self {
        Self {
            found,
            stage: Stage::Settled,
            standing: Standing::Unknown,
            troubles: Vec::new(),
            reported: Vec::new(),
            last_success: None,
            valid: None,
            gone_since: None,
            unseen: None,
            is_behind: false,
        }
    }

    /// Whether every answer that the template needs is there, good or bad.
    pub(super) fn is_answered(&self, resolver: &Resolver) -> bool {
        match &self.found.template {
            // Answers come about in the order of the keys: the last tells soonest that one is missing.
            Ok(parsed) => parsed.keys.iter().rev().all(|key| !resolver.is_awaited(key)),
            Err(_) => true,
        }
    }

    /// What became of each reference of the template, and which last good values stand in.
    pub(super) fn resolutions(&self, resolver: &Resolver) -> (Vec<Resolution>, Vec<Trouble>) {
        let Ok(parsed) = &self.found.template else {
            return Default::default();
        };
        let mut stale = Vec::new();
        let resolutions = parsed
            .template
            .references()
            .iter()
            .zip(resolver.answers(&parsed.keys))
            .map(|(reference, answer)| {
                if let Answer::Stale(_, error) = &answer {
                    stale.push(Trouble {
                        reference: Some(reference.to_string()),
                        reason: error.to_string(),
                        hint: error.hint.clone(),
                        kind: TroubleKind::Stale,
                    });
                }
                resolution(self.found.role.answer(answer))
            })
            .collect();
        (resolutions, stale)
    }

    /// Whether it was to be written last and could not be.
    pub(super) fn is_unwritten(&self) -> bool {
        let mut kinds = self.troubles.iter().map(|trouble| trouble.kind);
        kinds.any(|kind| kind == TroubleKind::Unwritten)
    }

    /// Whether its template is at `path` or below it.
    fn is_made_below(&self, path: &Path) -> bool {
        matches!(&self.found.source, Source::File(template) if template.starts_with(path))
    }

    /// Takes in why its template cannot be looked at, if it cannot. Whether that is news.
    fn lose_sight(&mut self, unseen: Option<Trouble>) -> bool {
        if self.unseen == unseen {
            return false;
        }
        let before = std::mem::replace(&mut self.unseen, unseen);
        let mut troubles = std::mem::take(&mut self.troubles);
        troubles.retain(|trouble| before.as_ref() != Some(trouble));
        self.trouble(troubles);
        true
    }

    /// Takes in what stands in its way, beside what hides its template.
    pub(super) fn trouble(&mut self, troubles: Vec<Trouble>) {
        self.troubles = troubles;
        self.troubles.extend(self.unseen.clone());
    }

    /// It was to be rendered and could not be: what is in place stays.
    pub(super) fn fall_behind(&mut self) {
        self.is_behind = matches!(self.standing, Standing::Good | Standing::Earlier);
    }

    /// Takes in what is in place of an output that could not be written: since when a file is, if one is.
    pub(super) fn notice(&mut self, earlier: Option<SystemTime>) {
        match (self.standing, earlier) {
            (Standing::Unknown, Some(modified)) => {
                self.standing = Standing::Earlier;
                self.last_success = Some(modified);
            }
            // Somebody took away what was there.
            (Standing::Good | Standing::Earlier, None) => self.standing = Standing::Unknown,
            _ => {}
        }
    }

    /// Something changed: it is rendered again as soon as its answers are there.
    pub(super) fn touch(&mut self, resolver: &Resolver) {
        if self.found.template.is_err() {
            self.stage = Stage::Settled;
            // Nothing will be written, so nobody else notices what became of the file.
            self.notice(modified(&self.found.target, self.found.settings.atomic));
            return;
        }
        self.stage = match self.stage {
            Stage::Applying | Stage::ApplyingDirty => Stage::ApplyingDirty,
            _ if self.is_answered(resolver) => Stage::Dirty,
            _ => Stage::Waiting,
        };
    }
}

/// When the file at `target` was last written, if there is one.
pub(super) fn modified(target: &Target, is_switched: bool) -> Option<SystemTime> {
    if target.is_variable() {
        return None;
    }
    let metadata = std::fs::symlink_metadata(place(target, is_switched).path()).ok()?;
    metadata.is_file().then(|| metadata.modified().ok()).flatten()
}

/// Whether two scans found the same output with the same template and settings.
fn same(one: &Found, other: &Found) -> bool {
    let template = match (&one.template, &other.template) {
        // After a reload everything was parsed anew; what came of it is what counts.
        (Ok(one), Ok(other)) => {
            Arc::ptr_eq(one, other)
                || (one.keys == other.keys && one.template.source() == other.template.source())
        }
        (Err(one), Err(other)) => one == other,
        _ => false,
    };
    template && one.source == other.source && one.settings == other.settings && one.role == other.role
}
