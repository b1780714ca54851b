//! Skips over text in which no secret can begin: most of it, at a glance every few bytes.

/// Looks at four bytes at a time.
const GRAM: usize = 4;

/// No more than so many first bytes of each form are known: further apart, looks cost the same.
const WINDOW: usize = 24;

const BITS: u32 = 18;

/// Which groups of four bytes occur in the first bytes of any form.
#[derive(Debug)]
pub(super) struct Sieve {
    grams: Box<[u64]>,
    /// So many first bytes of every form are known.
    window: usize,
}

impl Sieve {
    /// A sieve for `forms`; `None` when one of them is too short for it.
    pub(super) fn of<'a>(forms: impl Iterator<Item = &'a [u8]> + Clone) -> Option<Self> {
        let window = forms.clone().map(<[u8]>::len).min()?.min(WINDOW);
        if window < GRAM {
            return None;
        }
        let mut grams = vec![0_u64; 1 << (BITS - 6)].into_boxed_slice();
        for form in forms {
            for gram in form[..window].windows(GRAM) {
                let bit = index(gram);
                grams[bit >> 6] |= 1 << (bit & 63);
            }
        }
        Some(Self { grams, window })
    }

    /// How many bytes at the start of `text` no form begins in.
    pub(super) fn skip(&self, text: &[u8]) -> usize {
        let mut at = 0;
        while let Some(gram) = text.get(at + self.window - GRAM..at + self.window) {
            let bit = index(gram);
            if self.grams[bit >> 6] & (1 << (bit & 63)) != 0 {
                break;
            }
            // Every form that begins before here would hold these four bytes among its first.
            at += self.window - GRAM + 1;
        }
        at
    }

    /// So many bytes are looked at one by one before the next look.
    pub(super) fn window(&self) -> usize {
        self.window
    }
}

fn index(gram: &[u8]) -> usize {
    let word = match gram {
        [a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    };
    (word.wrapping_mul(0x9E37_79B1) >> (32 - BITS)) as usize
}
