//! What this process knows about password hashes, so that a value keeps its hash even where the present output does
//! not show it (a moment before it is written, say), and no hash is verified twice. It holds no value, only keyed digests of them.

use std::collections::{HashMap, HashSet};
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::apply::FilterError;

/// A digest under a key that never leaves this process.
pub(super) type Digest = [u8; 32];

/// Password hashes made or verified by this process.
#[derive(Default)]
pub struct HashMemo {
    key: Option<Zeroizing<[u8; 32]>>,
    /// The first hash known of each value.
    made: HashMap<Digest, Zeroizing<String>>,
    /// Whose hash it is, for each hash that was made or verified.
    owners: HashMap<Digest, Digest>,
    /// Pairs of value and hash that did not verify.
    pub(super) refuted: HashSet<Digest>,
}

impl HashMemo {
    /// Pairs remembered as not belonging together; past them all is forgotten and would be verified again.
    const MAX_REFUTED: usize = 65_536;

    /// The digest of these parts, each apart from the next.
    pub(super) fn digest(&mut self, parts: &[&[u8]]) -> Result<Digest, FilterError> {
        if self.key.is_none() {
            let mut key = Zeroizing::new([0; 32]);
            getrandom::fill(key.as_mut_slice()).map_err(|_| no_key())?;
            self.key = Some(key);
        }
        let key = self.key.as_ref().ok_or_else(no_key)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).map_err(|_| no_key())?;
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        Ok(mac.finalize().into_bytes().into())
    }

    /// The hash that the value with this digest had first.
    pub(super) fn made(&self, value: &Digest) -> Option<&str> {
        self.made.get(value).map(|hash| hash.as_str())
    }

    /// The digest of the value that `hash` is known to be of.
    pub(super) fn owner(&mut self, hash: &str) -> Result<Option<Digest>, FilterError> {
        let hash = self.digest(&[hash.as_bytes()])?;
        Ok(self.owners.get(&hash).copied())
    }

    /// Notes that `hash` is of this value.
    pub(super) fn claim(&mut self, value: Digest, hash: &str) -> Result<(), FilterError> {
        let owned = self.digest(&[hash.as_bytes()])?;
        self.owners.insert(owned, value);
        self.made
            .entry(value)
            .or_insert_with(|| Zeroizing::new(hash.to_owned()));
        Ok(())
    }

    /// Whether `hash` is known not to be of this value.
    pub(super) fn is_refuted(&mut self, value: &Digest, hash: &str) -> Result<bool, FilterError> {
        let pair = self.digest(&[value, hash.as_bytes()])?;
        Ok(self.refuted.contains(&pair))
    }

    /// Notes that `hash` is not of this value.
    pub(super) fn refute(&mut self, value: &Digest, hash: &str) -> Result<(), FilterError> {
        let pair = self.digest(&[value, hash.as_bytes()])?;
        if self.refuted.len() >= Self::MAX_REFUTED {
            self.refuted.clear();
        }
        self.refuted.insert(pair);
        Ok(())
    }
}

impl fmt::Debug for HashMemo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashMemo")
            .field("made", &self.made.len())
            .finish_non_exhaustive()
    }
}

fn no_key() -> FilterError {
    FilterError::Value("the system gave no random key".into())
}
