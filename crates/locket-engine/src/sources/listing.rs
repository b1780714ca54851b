//! Wildcards as sources: each is an output of its own that is never written, and an output for each of its keys.
//!
//! Nothing is asked here. The keys are those of the last answer, which the round hands over before a scan.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::plan::{OutputSettings, Plan, Source};
use locket_core::wildcard::Naming;
use locket_core::{Fetched, ProviderError, Template, Wildcard, spec};
use rustc_hash::{FxHashMap, FxHashSet};

use super::error::SourceError;
use super::parse::Parsed;
use super::scan::{Found, Role};
use super::target::Target;
use super::variables;
use crate::instances::Instances;
use crate::resolve::Answer;

/// The keys of each wildcard when it was last read, sorted.
pub type Listed = BTreeMap<Target, Vec<String>>;

/// One wildcard as an output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What is asked for.
    pub wildcard: Wildcard,
    /// Keys that cannot be put in place, and why, each a fragment that names the key.
    pub refused: Vec<String>,
}

/// The wildcards of a plan.
#[derive(Debug, Default)]
pub(super) struct Listings {
    known: Listed,
    parsed: Option<Vec<Entry>>,
}

/// One wildcard, read once.
#[derive(Debug)]
struct Entry {
    /// Its index among the secrets of the plan.
    secret: usize,
    target: Target,
    prefix: String,
    wildcard: Result<(Wildcard, Arc<Parsed>), Arc<SourceError>>,
    /// A template for each key, the same one as long as the key is there.
    keys: FxHashMap<String, Arc<Parsed>>,
}

impl Listings {
    pub(super) fn know(&mut self, listed: Listed) {
        self.known = listed;
    }

    /// Adds the wildcards of `plan` and their keys to what was found. `settings` are those of the plan's secrets.
    pub(super) fn scan(
        &mut self,
        plan: &Plan,
        settings: &[Arc<OutputSettings>],
        instances: &Instances,
        found: &mut Vec<Found>,
    ) {
        let mut entries = match self.parsed.take() {
            Some(entries) => entries,
            None => Entry::all(plan, instances),
        };
        if !entries.is_empty() {
            let mut taken: FxHashSet<_> = found.iter().map(|found| found.target.path()).collect();
            for entry in &mut entries {
                let keys = self.known.get(&entry.target);
                let scanned = entry.scan(plan, settings[entry.secret].clone(), keys, |target| {
                    // Of variables with one name the last counts, and no two files may meet.
                    target.is_variable() || taken.insert(target.path())
                });
                found.extend(scanned);
            }
        }
        self.parsed = Some(entries);
    }
}

impl Role {
    /// What an answer means for an output: of a wildcard's answer the part of its key. The answer of a JSON value stays
    /// whole: its members are found when it is rendered.
    pub(crate) fn answer(&self, answer: Answer) -> Answer {
        let Self::Key { key, .. } = self else {
            return answer;
        };
        let part = |fetched: &Arc<Fetched>| match &fetched.members {
            Some(members) => members.get(key).cloned(),
            None => Some(fetched.clone()),
        };
        let gone = || {
            let error = ProviderError::not_found(format!("the key `{}` is gone", key.escape_debug()));
            Answer::Failed(Arc::new(error))
        };
        match answer {
            Answer::Value(fetched) => part(&fetched).map_or_else(gone, Answer::Value),
            Answer::Stale(fetched, error) => {
                part(&fetched).map_or_else(gone, |part| Answer::Stale(part, error))
            }
            other => other,
        }
    }
}

impl Listing {
    /// The keys in an answer, sorted; `None` where there is no answer with keys.
    pub(crate) fn keys(&self, answer: &Answer) -> Option<Vec<String>> {
        let (Answer::Value(fetched) | Answer::Stale(fetched, _)) = answer else {
            return None;
        };
        let mut keys = self.wildcard.keys(fetched).ok()?;
        keys.sort_unstable();
        Some(keys)
    }
}

impl Entry {
    fn all(plan: &Plan, instances: &Instances) -> Vec<Self> {
        let secrets = plan.secrets.iter().enumerate();
        secrets
            .filter_map(|(secret, described)| {
                let Source::Every { text, prefix } = &described.source else {
                    return None;
                };
                Some(Self {
                    secret,
                    target: Target {
                        relative: PathBuf::from(format!("{prefix}* ({text})")).into(),
                        ..variables::target(described, &plan.out)
                    },
                    prefix: prefix.clone(),
                    wildcard: parse(text, &described.source.shown(), instances),
                    keys: FxHashMap::default(),
                })
            })
            .collect()
    }

    /// The wildcard and its keys; `take` says whether nobody else has a target.
    fn scan(
        &mut self,
        plan: &Plan,
        settings: Arc<OutputSettings>,
        keys: Option<&Vec<String>>,
        mut take: impl FnMut(&Target) -> bool,
    ) -> Vec<Found> {
        let source = plan.secrets[self.secret].source.clone();
        let (wildcard, whole) = match &self.wildcard {
            Ok(parsed) => parsed,
            Err(error) => {
                return vec![Found {
                    target: self.target.clone(),
                    source,
                    settings,
                    template: Err(error.clone()),
                    role: Role::File,
                    rank: self.secret,
                }];
            }
        };
        let naming = Naming {
            prefix: self.prefix.clone(),
            select: settings.select.clone(),
        };
        let keys = keys.into_iter().flatten().map(String::as_str);
        let check = match self.target.is_variable() {
            true => variables::name,
            false => spec::file_name,
        };
        let mut expanded = naming.expand(keys, check);
        let mut found = Vec::with_capacity(expanded.keys.len() + 1);
        let earlier = std::mem::take(&mut self.keys);
        for (name, key) in expanded.keys {
            let target = Target {
                root: self.target.root.clone(),
                relative: Path::new(&name).into(),
            };
            if !take(&target) {
                let reason = format!(
                    "the key `{}`: another output has the name `{name}`",
                    key.escape_debug()
                );
                expanded.refused.push(reason);
                continue;
            }
            let parsed = earlier.get(&key).cloned().unwrap_or_else(|| {
                Arc::new(Parsed {
                    template: Template::of_reference(wildcard.of_key(&key)),
                    keys: whole.keys.clone(),
                })
            });
            self.keys.insert(key.clone(), parsed.clone());
            found.push(Found {
                target,
                source: Source::Inline {
                    name,
                    text: wildcard.of_key(&key).to_string(),
                },
                settings: settings.clone(),
                template: Ok(parsed),
                role: Role::Key {
                    listing: self.target.clone(),
                    key: key.into(),
                },
                rank: self.secret,
            });
        }
        let listing = Listing {
            wildcard: wildcard.clone(),
            refused: expanded.refused,
        };
        found.push(Found {
            target: self.target.clone(),
            source,
            settings,
            template: Ok(whole.clone()),
            role: Role::Listing(Arc::new(listing)),
            rank: self.secret,
        });
        found
    }
}

fn parse(text: &str, name: &str, instances: &Instances) -> Result<(Wildcard, Arc<Parsed>), Arc<SourceError>> {
    let wrong = |found| {
        Arc::new(SourceError::Template {
            name: name.to_owned(),
            text: text.as_bytes().into(),
            found,
        })
    };
    let wildcard = Wildcard::parse(text, instances.schemes()).map_err(wrong)?;
    let key = instances.locate_every(&wildcard).map_err(wrong)?;
    let whole = Parsed {
        template: Template::of_reference(wildcard.reference().clone()),
        keys: vec![key],
    };
    Ok((wildcard, Arc::new(whole)))
}
