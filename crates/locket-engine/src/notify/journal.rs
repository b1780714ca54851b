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
    /// Keyed digest of what it will hold; tells after a crash whether the change took place.
    pub fingerprint: String,
}

/// The promises not yet kept, on disk when there is a state directory.
#[derive(Debug, Default)]
pub struct Journal {
    home: Option<Home>,
    owed: BTreeMap<(Action, PathBuf), String>,
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
                Ok(promises) => promises
                    .into_iter()
                    .map(|owed| ((owed.action, owed.target), owed.fingerprint))
                    .collect(),
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
    pub fn fingerprint(&self, bytes: &[u8]) -> String {
        let Some(home) = &self.home else {
            return String::new();
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "the key of the fingerprints goes into the HMAC"
        )]
        let key = home.key.expose();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return String::new();
        };
        mac.update(bytes);
        HEXLOWER.encode(&mac.finalize().into_bytes())
    }

    /// Writes down what is about to be owed, before the outputs change.
    pub fn promise(&mut self, promises: impl IntoIterator<Item = Promise>) {
        let before = self.owed.len();
        let mut changed = false;
        for promise in promises {
            let key = (promise.action, promise.target);
            changed |= self.owed.insert(key, promise.fingerprint.clone()) != Some(promise.fingerprint);
        }
        if changed || self.owed.len() != before {
            self.save();
        }
    }

    /// A consumer was told, or there is nobody to be told.
    pub fn keep(&mut self, action: &Action) {
        let before = self.owed.len();
        self.owed.retain(|(owed, _), _| owed != action);
        if self.owed.len() != before {
            self.save();
        }
    }

    /// What an earlier process owed for changes that did take place, by consumer. `present` gives what an output
    /// holds now. The other promises are forgotten: their change never came about.
    pub fn overdue(&mut self, present: impl Fn(&Path) -> Option<Vec<u8>>) -> BTreeMap<Action, Vec<PathBuf>> {
        let mut overdue: BTreeMap<Action, Vec<PathBuf>> = BTreeMap::new();
        let owed = std::mem::take(&mut self.owed);
        let before = owed.len();
        for ((action, target), fingerprint) in owed {
            let is_in_place = present(&target).is_some_and(|bytes| self.fingerprint(&bytes) == fingerprint);
            if is_in_place {
                overdue.entry(action.clone()).or_default().push(target.clone());
                self.owed.insert((action, target), fingerprint);
            }
        }
        if self.owed.len() != before {
            self.save();
        }
        overdue
    }

    fn save(&self) {
        let Some(home) = &self.home else { return };
        let promises: Vec<_> = self
            .owed
            .iter()
            .map(|((action, target), fingerprint)| Promise {
                action: action.clone(),
                target: target.clone(),
                fingerprint: fingerprint.clone(),
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
