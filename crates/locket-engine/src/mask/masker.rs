//! A stream of bytes in, the same stream out with stars for secrets. It holds back what may be the beginning of one.

use std::collections::HashMap;
use std::sync::Arc;

use aho_corasick::automaton::Automaton;
use aho_corasick::nfa::contiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use locket_core::SecretBytes;
use zeroize::{Zeroize, Zeroizing};

use super::forms;
use super::sieve::Sieve;

/// What stands for a secret.
pub const STARS: &[u8] = b"********";

/// Encoded forms of fewer bytes are not hidden.
const SHORTEST_FORM: usize = 4;

/// What is hidden: every form of every secret, ready for the search.
pub struct Masks {
    search: NFA,
    sieve: Option<Sieve>,
    /// How many bytes of a form have been seen, where any have, by the state of the search.
    depths: HashMap<aho_corasick::automaton::StateID, usize>,
}

/// Hides secrets in one stream.
pub struct Masker {
    masks: Arc<Masks>,
    state: aho_corasick::automaton::StateID,
    start: aho_corasick::automaton::StateID,
    /// What has not been put out yet.
    held: Zeroizing<Vec<u8>>,
    /// What of it is to be hidden: pairs of begin and end, apart and rising.
    hidden: Vec<(usize, usize)>,
    /// Whether what was put out last was hidden, so that what continues it gets no stars of its own.
    is_hiding: bool,
}

impl Masks {
    /// What hides `secrets`.
    ///
    /// # Errors
    /// The secrets are too many for one search, in words.
    pub fn of<'s>(secrets: impl IntoIterator<Item = &'s SecretBytes>) -> Result<Self, String> {
        let mut all: Vec<Zeroizing<Vec<u8>>> = Vec::new();
        for secret in secrets {
            #[expect(
                clippy::disallowed_methods,
                reason = "what is to be hidden has to be searched for"
            )]
            let value = secret.expose();
            // A line break at the end is often lost on the way.
            let bare = value.trim_ascii_end();
            for value in [value, bare] {
                // A short form of a short secret would hide what is none.
                let is_telling = |form: &Zeroizing<Vec<u8>>| {
                    form.as_slice() == value || form.len() >= value.len().max(SHORTEST_FORM)
                };
                if !value.is_empty() {
                    all.extend(forms::of(value).into_iter().filter(is_telling));
                }
            }
        }
        all.sort_by(|one, other| one.as_slice().cmp(other.as_slice()));
        all.dedup();
        let search = NFA::builder()
            .match_kind(MatchKind::Standard)
            .build(all.iter().map(|form| form.as_slice()))
            .map_err(|error| error.to_string())?;
        let mut depths = HashMap::new();
        for form in &all {
            let mut state = search
                .start_state(Anchored::No)
                .map_err(|error| error.to_string())?;
            for (at, byte) in form.iter().enumerate() {
                state = search.next_state(Anchored::No, state, *byte);
                depths.insert(state, at + 1);
            }
        }
        Ok(Self {
            sieve: Sieve::of(all.iter().map(|form| form.as_slice())),
            search,
            depths,
        })
    }
}

impl std::fmt::Debug for Masks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masks(…)")
    }
}

impl std::fmt::Debug for Masker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Masker(…)")
    }
}

impl Masker {
    /// A stream of its own.
    pub fn new(masks: Arc<Masks>) -> Self {
        // The search was built for both kinds of start.
        let start = masks.search.start_state(Anchored::No).unwrap_or_default();
        Self {
            masks,
            state: start,
            start,
            held: Zeroizing::default(),
            hidden: Vec::new(),
            is_hiding: false,
        }
    }

    /// Hides by `masks` from now on, and what is held back, too; they hide all that the ones before did.
    pub fn turn_to(&mut self, masks: &Arc<Masks>, out: &mut Vec<u8>) {
        if Arc::ptr_eq(&self.masks, masks) {
            return;
        }
        let held = std::mem::take(&mut self.held);
        // A secret whose beginning was put out as stars is not found again.
        self.hidden.retain(|(begin, _)| *begin == 0);
        self.start = masks.search.start_state(Anchored::No).unwrap_or_default();
        self.state = self.start;
        self.masks = masks.clone();
        self.feed(&held, out);
    }

    /// Whether anything is held back.
    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Takes a piece of the stream, and appends to `out` what can be told to be no part of a secret, and stars.
    pub fn feed(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let masks = self.masks.clone();
        let search = &masks.search;
        let before = self.held.len();
        let mut state = self.state;
        let mut at = 0;
        let mut sober = 0;
        while let Some(byte) = piece.get(at) {
            if state == self.start
                && at >= sober
                && let Some(sieve) = &masks.sieve
            {
                let skipped = sieve.skip(&piece[at..]);
                at += skipped;
                sober = at + sieve.window();
                if skipped > 0 {
                    continue;
                }
            }
            state = search.next_state(Anchored::No, state, *byte);
            at += 1;
            if search.is_special(state) && search.is_match(state) {
                // The longest form that ends here is the first of the state.
                let length = search.pattern_len(search.match_pattern(state, 0));
                self.hide((before + at).saturating_sub(length), before + at);
            }
        }
        self.state = state;
        if before == 0 && self.hidden.is_empty() && state == self.start {
            self.is_hiding &= piece.is_empty();
            out.extend_from_slice(piece);
            return;
        }
        push_wiping(&mut self.held, piece);
        let open = masks.depths.get(&state).copied().unwrap_or(0);
        self.release(self.held.len().saturating_sub(open), out);
    }

    /// Gives up whatever is held back: it is no secret, or nobody will know.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.release(self.held.len(), out);
        self.state = self.start;
    }

    fn hide(&mut self, begin: usize, end: usize) {
        let (mut begin, mut end) = (begin, end);
        while let Some((first, last)) = self.hidden.last().copied()
            && last >= begin
        {
            (begin, end) = (begin.min(first), end.max(last));
            self.hidden.pop();
        }
        self.hidden.push((begin, end));
    }

    /// Puts out the first `count` bytes that are held.
    fn release(&mut self, count: usize, out: &mut Vec<u8>) {
        let mut at = 0;
        let mut left = Vec::new();
        for (begin, end) in std::mem::take(&mut self.hidden) {
            if begin >= count {
                left.push((begin - count, end - count));
                continue;
            }
            if begin > at {
                out.extend_from_slice(&self.held[at..begin]);
                self.is_hiding = false;
            }
            if !self.is_hiding {
                out.extend_from_slice(STARS);
            }
            self.is_hiding = true;
            at = end.min(count);
            if end > count {
                left.push((0, end - count));
            }
        }
        if at < count {
            out.extend_from_slice(&self.held[at..count]);
            self.is_hiding = false;
        }
        self.hidden = left;
        let rest = self.held.len() - count;
        self.held.copy_within(count.., 0);
        self.held[rest..].zeroize();
        self.held.truncate(rest);
    }
}

/// Appends without leaving a copy behind when the memory has to grow.
fn push_wiping(held: &mut Zeroizing<Vec<u8>>, piece: &[u8]) {
    if held.capacity() - held.len() < piece.len() {
        let mut grown = Zeroizing::new(Vec::with_capacity((held.len() + piece.len()) * 2));
        grown.extend_from_slice(held);
        *held = grown;
    }
    held.extend_from_slice(piece);
}
