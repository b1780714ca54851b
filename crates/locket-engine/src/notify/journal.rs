//! What consumers are still owed, across a crash. Holds names and keyed digests, never a value.
//!
//! Several processes may keep theirs in one directory: each tells of its own outputs, and leaves what the others owe.

use std::collections::{BTreeMap, BTreeSet};
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
    owed: Owed,
    /// Whatever this process has owed to anybody: in the file, that alone is its own.
    own: BTreeSet<(Action, PathBuf)>,
}

/// For each output what it held, holds or may hold, the newest last.
type Owed = BTreeMap<(Action, PathBuf), Vec<Fingerprint>>;

#[derive(Debug)]
struct Home {
    file: PathBuf,
    key: SecretBytes,
}

const FILE: &str = "notify.json";
const LOCK: &str = "notify.lock";
const KEY: &str = "fingerprint.key";

impl Journal {
    /// The journal kept in `directory`, with what an earlier process still owed for outputs that are ours now; in memory
    /// only when the directory cannot be used.
    pub fn open(directory: &Path, is_ours: impl Fn(&Path) -> bool) -> Self {
        match Self::try_open(directory, is_ours) {
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

    fn try_open(directory: &Path, is_ours: impl Fn(&Path) -> bool) -> std::io::Result<Self> {
        crate::state_dir::make(directory)?;
        let _lock = crate::state_dir::lock(directory, LOCK)?;
        let key = crate::state_dir::key(directory, KEY)?;
        let file = directory.join(FILE);
        let mut owed = read(&file)?;
        owed.retain(|(_, target), _| is_ours(target));
        Ok(Self {
            home: Some(Home { file, key }),
            own: owed.keys().cloned().collect(),
            owed,
        })
    }

    /// Where it is kept; `None` in memory only.
    pub fn directory(&self) -> Option<&Path> {
        self.home.as_ref()?.file.parent()
    }

    /// Takes over what `earlier` owes, which keeps nothing from then on. `present` gives what an output holds now.
    pub fn take_over(&mut self, mut earlier: Self, present: impl Fn(&Path) -> Option<Vec<u8>>) {
        let owed = std::mem::take(&mut earlier.owed);
        if owed.is_empty() {
            return;
        }
        for ((action, target), mut fingerprints) in owed {
            // A later process knows the content by this key's digest, and who is being told now by the one before it.
            if let Some(bytes) = present(&target) {
                let in_place = earlier.fingerprint(&bytes);
                if let Some(at) = fingerprints.iter().position(|owed| *owed == in_place) {
                    fingerprints.insert(at, self.fingerprint(&bytes));
                }
            }
            self.own.insert((action.clone(), target.clone()));
            self.owed
                .entry((action, target))
                .or_default()
                .extend(fingerprints);
        }
        self.save();
        earlier.save();
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
            let key = (promise.action, promise.target);
            self.own.insert(key.clone());
            let owed = self.owed.entry(key).or_default();
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
        if let Err(error) = self.try_save(&home.file) {
            tracing::warn!("{} cannot be written: {error}", home.file.display());
        }
    }

    fn try_save(&self, file: &Path) -> std::io::Result<()> {
        let directory = file.parent().unwrap_or(Path::new("."));
        let _lock = crate::state_dir::lock(directory, LOCK)?;
        let mut all = read(file)?;
        all.retain(|key, _| !self.own.contains(key));
        all.extend(self.owed.clone());
        let promises = all.into_iter().flat_map(|((action, target), fingerprints)| {
            let promise = move |fingerprint| Promise {
                action: action.clone(),
                target: target.clone(),
                fingerprint,
                replaces: None,
            };
            fingerprints.into_iter().map(promise)
        });
        let bytes = serde_json::to_vec(&promises.collect::<Vec<_>>())?;
        crate::state_dir::write(file, &bytes)
    }
}

/// What is written down, whoever owes it.
fn read(file: &Path) -> std::io::Result<Owed> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Owed::new()),
        Err(error) => return Err(error),
    };
    let promises = serde_json::from_slice::<Vec<Promise>>(&bytes).unwrap_or_else(|error| {
        tracing::warn!("{} is damaged and begun anew: {error}", file.display());
        Vec::new()
    });
    let mut owed = Owed::new();
    for promise in promises {
        let key = (promise.action, promise.target);
        owed.entry(key).or_default().push(promise.fingerprint);
    }
    Ok(owed)
}
