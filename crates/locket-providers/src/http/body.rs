//! A response body: bounded, and wiped when dropped.

use zeroize::Zeroizing;

/// The most that a response may hold. The largest secret of any provider is far below.
pub(crate) const LIMIT: usize = 16 << 20;

/// The bytes of one response. Never printed: they hold secrets.
pub(crate) struct Body(Zeroizing<Vec<u8>>);

impl Body {
    /// The most that one may hold.
    pub(crate) const LIMIT: usize = LIMIT;

    /// An empty body with room for what the server announced.
    pub(crate) fn with_capacity(announced: Option<u64>) -> Self {
        let room = announced.map_or(4096, |length| usize::try_from(length).unwrap_or(LIMIT).min(LIMIT));
        Self(Zeroizing::new(Vec::with_capacity(room)))
    }

    /// Appends a chunk; `false` when the body would pass [`LIMIT`]. Memory that is outgrown is wiped.
    pub(crate) fn extend(&mut self, chunk: &[u8]) -> bool {
        let needed = self.0.len() + chunk.len();
        if needed > LIMIT {
            return false;
        }
        if needed > self.0.capacity() {
            let mut grown = Zeroizing::new(Vec::with_capacity(needed.max(self.0.capacity() * 2)));
            grown.extend_from_slice(&self.0);
            self.0 = grown;
        }
        self.0.extend_from_slice(chunk);
        true
    }

    /// Another one with the same bytes.
    pub(crate) fn copy(&self) -> Self {
        Self(self.0.clone())
    }

    /// The bytes, for the provider's wire code.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Body {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Body({} bytes)", self.0.len())
    }
}
