//! What consumers are still owed, across a crash. Holds names and keyed digests, never a value.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use locket_core::{Action, SecretBytes};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// An output that is about to change, and who is to be told once it has.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Promise {
    /// Who is told.
    pub action: Action,
    /// The output.
    pub target: PathBuf,
    /// Of what it will hold; tells after a crash whether the change took place.
    pub fingerprint: Fingerprint,
    /// Of what it holds until then. What is owed for that stays owed: the change may not come about.
    #[serde(skip)]
    pub replaces: Option<Fingerprint>,
}

/// Keyed digest of an output. Empty where there is no key, since nothing outlives the process then.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Fingerprint(String);

/// The outputs that a consumer is told of, and what of each; `None` where nothing was promised.
pub type Word = BTreeMap<PathBuf, Option<Fingerprint>>;

/// The promises not yet kept, on disk when there is a state directory.
#[derive(Debug, Default)]
pub struct Journal {
    home: Option<Home>,
    /// For each output what it held, holds or may hold, the newest last.
    owed: BTreeMap<(Action, PathBuf), Vec<Fingerprint>>,
}

#[derive(Debug)]
struct Home {
    file: PathBuf,
    key: SecretBytes,
}

const FILE: &str = "notify.json";
const KEY: &str = "fingerprint.key";

impl Journal {
    /// The journal kept in `directory`, with what an earlier process still owed; in memory only when the directory
    /// cannot be used.
    pub fn open(directory: &Path) -> Self {
        match Self::try_open(directory) {
            Ok(journal) => journal,
            Err(error) => {
                tracing::info!(
                    "the state directory {} cannot be used ({error}): a notification that a crash interrupts is \
                     not repeated. Set `--state-dir` to a directory that outlives the process.",
                    directory.display()
                );
                Self::default()
            }
        }
    }

    fn try_open(directory: &Path) -> std::io::Result<Self> {
        let key = crate::state_dir::key(directory, KEY)?;
        let file = directory.join(FILE);
        let owed = match std::fs::read(&file) {
            Ok(bytes) => match serde_json::from_slice::<Vec<Promise>>(&bytes) {
                Ok(promises) => {
                    let mut owed: BTreeMap<_, Vec<_>> = BTreeMap::new();
                    for promise in promises {
                        let key = (promise.action, promise.target);
                        owed.entry(key).or_default().push(promise.fingerprint);
                    }
                    owed
                }
                Err(error) => {
                    tracing::warn!("{} is damaged and begun anew: {error}", file.display());
                    BTreeMap::new()
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Self {
            home: Some(Home { file, key }),
            owed,
        })
    }

    /// The digest by which a later process recognises these bytes.
    pub fn fingerprint(&self, bytes: &[u8]) -> Fingerprint {
        let Some(home) = &self.home else {
            return Fingerprint(String::new());
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the key of the fingerprints goes into the HMAC"
        )]
        let key = home.key.expose();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return Fingerprint(String::new());
        };
        mac.update(bytes);
        Fingerprint(HEXLOWER.encode(&mac.finalize().into_bytes()))
    }

    /// Writes down what is about to be owed, before the outputs change.
    pub fn promise(&mut self, promises: impl IntoIterator<Item = Promise>) {
        let mut changed = false;
        for promise in promises {
            let owed = self.owed.entry((promise.action, promise.target)).or_default();
            let before = owed.clone();
            owed.retain(|earlier| promise.replaces.as_ref() == Some(earlier));
            owed.push(promise.fingerprint);
            owed.dedup();
            changed |= *owed != before;
        }
        if changed {
            self.save();
        }
    }

    /// A consumer was told of these outputs as they were promised, or there is nobody to be told. What was promised
    /// since stays owed.
    pub fn keep(&mut self, action: &Action, word: &Word) {
        let mut changed = false;
        for (target, told) in word {
            let key = (action.clone(), target.clone());
            let Some(owed) = self.owed.get_mut(&key) else {
                continue;
            };
            if let Some(at) = owed.iter().position(|owed| Some(owed) == told.as_ref()) {
                owed.drain(..=at);
                changed = true;
            }
            if owed.is_empty() {
                self.owed.remove(&key);
            }
        }
        if changed {
            self.save();
        }
    }

    /// What an earlier process owed for changes that did take place, by consumer. `present` gives what an output
    /// holds now. The other promises are forgotten: their change never came about.
    pub fn overdue(&mut self, present: impl Fn(&Path) -> Option<Vec<u8>>) -> BTreeMap<Action, Word> {
        let mut overdue: BTreeMap<Action, Word> = BTreeMap::new();
        let owed = std::mem::take(&mut self.owed);
        let before = owed.clone();
        for ((action, target), fingerprints) in owed {
            let in_place = present(&target).map(|bytes| self.fingerprint(&bytes));
            if let Some(in_place) = in_place.filter(|in_place| fingerprints.contains(in_place)) {
                let word = overdue.entry(action.clone()).or_default();
                word.insert(target.clone(), Some(in_place.clone()));
                self.owed.insert((action, target), vec![in_place]);
            }
        }
        if self.owed != before {
            self.save();
        }
        overdue
    }

    fn save(&self) {
        let Some(home) = &self.home else { return };
        let promises: Vec<_> = self
            .owed
            .iter()
            .flat_map(|((action, target), fingerprints)| {
                fingerprints.iter().map(|fingerprint| Promise {
                    action: action.clone(),
                    target: target.clone(),
                    fingerprint: fingerprint.clone(),
                    replaces: None,
                })
            })
            .collect();
        let result = serde_json::to_vec(&promises)
            .map_err(std::io::Error::from)
            .and_then(|bytes| crate::state_dir::write(&home.file, &bytes));
        if let Err(error) = result {
            tracing::warn!("{} cannot be written: {error}", home.file.display());
        }
    }
}
