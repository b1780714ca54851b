//! The secrets of a run that are hidden, those that were replaced, too. Whoever puts one in place notes it first, and
//! whoever relays output asks for the masks behind each read: what was read cannot hold a secret that they do not know.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use locket_core::SecretBytes;

use super::masker::Masks;

/// Secrets that were replaced are hidden until so many others were since.
const MOST_FORMER: usize = 1024;

/// The secrets of a run that are hidden.
pub struct Hidden {
    shortest: usize,
    noted: Mutex<Noted>,
}

#[derive(Default)]
struct Noted {
    /// By their bytes, each with the generation that it was last part of.
    secrets: Vec<(Arc<SecretBytes>, u64)>,
    generation: u64,
    /// Made when they are asked for, and again when another secret was noted since.
    masks: Option<Arc<Masks>>,
}

impl Hidden {
    /// Secrets of fewer bytes occur in ordinary text.
    pub const SHORTEST: usize = 6;

    /// Hides nothing yet, and no secret of fewer bytes than `shortest` ever.
    pub fn new(shortest: usize) -> Self {
        Self {
            shortest,
            noted: Mutex::default(),
        }
    }

    /// Whether a secret is too short to be hidden.
    pub fn is_too_short(&self, secret: &SecretBytes) -> bool {
        !secret.is_empty() && secret.len() < self.shortest
    }

    /// Hides `secrets` from now on.
    pub fn note(&self, secrets: impl IntoIterator<Item = Arc<SecretBytes>>) {
        let mut noted = self.noted();
        let generation = noted.generation;
        for secret in secrets {
            if secret.is_empty() || self.is_too_short(&secret) {
                continue;
            }
            #[expect(clippy::disallowed_methods, reason = "a secret is looked for among others")]
            let place = noted
                .secrets
                .binary_search_by(|(known, _)| known.expose().cmp(secret.expose()));
            match place {
                Ok(at) => noted.secrets[at].1 = generation,
                Err(at) => {
                    noted.secrets.insert(at, (secret, generation));
                    noted.masks = None;
                }
            }
        }
    }

    /// All that is in use was noted: of what is in use no more, the oldest is forgotten.
    pub fn end_generation(&self) {
        let mut noted = self.noted();
        let former = noted.secrets.iter().map(|(_, last)| *last);
        let mut former: Vec<u64> = former.filter(|last| *last < noted.generation).collect();
        if let Some(excess) = former.len().checked_sub(MOST_FORMER) {
            former.sort_unstable();
            let oldest = former.get(excess).copied().unwrap_or_default();
            noted.secrets.retain(|(_, last)| *last >= oldest);
            noted.masks = None;
        }
        noted.generation += 1;
    }

    /// What hides everything that was noted.
    ///
    /// # Errors
    /// The secrets are too many for one search, in words.
    pub fn masks(&self) -> Result<Arc<Masks>, String> {
        let mut noted = self.noted();
        if let Some(masks) = &noted.masks {
            return Ok(masks.clone());
        }
        let secrets = noted.secrets.iter().map(|(secret, _)| &**secret);
        let masks = Arc::new(Masks::of(secrets)?);
        noted.masks = Some(masks.clone());
        Ok(masks)
    }

    fn noted(&self) -> MutexGuard<'_, Noted> {
        self.noted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hidden")
            .field("shortest", &self.shortest)
            .finish_non_exhaustive()
    }
}
