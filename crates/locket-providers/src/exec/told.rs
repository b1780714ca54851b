//! What a helper writes to its standard error: for whoever looks for a fault, at the level `debug`.
//!
//! A helper may print what it should not. So its lines are held back until the values of the answer are known, and a
//! line that holds one of them is left out. Only so much is kept, and it is wiped.

use locket_core::SecretBytes;
use zeroize::Zeroizing;

/// Bytes that are kept of one request's lines.
const KEPT: usize = 8 << 10;

/// Characters of one line that are shown.
const SHOWN: usize = 400;

/// Lines of standard error during one request.
pub(crate) struct Told {
    bytes: Zeroizing<Vec<u8>>,
    left_out: usize,
}

impl Told {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            // It never grows, so that it leaves no copy.
            bytes: Zeroizing::new(Vec::with_capacity(KEPT)),
            left_out: 0,
        }
    }

    /// Takes what the helper wrote.
    pub(crate) fn push(&mut self, written: &[u8]) {
        let room = (KEPT - self.bytes.len()).min(written.len());
        self.bytes.extend_from_slice(&written[..room]);
        self.left_out += written.len() - room;
    }

    /// What is kept of it, for whoever has to tell failures apart by it. Not to be shown.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Puts the lines into the log, without any that holds one of `values`.
    pub(crate) fn log<'a>(&self, name: &str, values: impl Iterator<Item = &'a SecretBytes>) {
        let values: Vec<_> = values.collect();
        // A value with line ends in it stands on several lines: then none is safe.
        let is_told = tells(&self.bytes, &values);
        for line in self
            .bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
        {
            if is_told && (tells(line, &values) || values.iter().any(|value| has_line_end(value))) {
                tracing::debug!(
                    provider = name,
                    "the helper told a value on standard error; the line is left out"
                );
            } else {
                let text = Zeroizing::new(String::from_utf8_lossy(line).into_owned());
                let shown: String = text
                    .chars()
                    .filter(|char| !char.is_control())
                    .take(SHOWN)
                    .collect();
                tracing::debug!(provider = name, "helper: {shown}");
            }
        }
        if self.left_out > 0 {
            tracing::debug!(
                provider = name,
                "{} further bytes of the helper's standard error are left out",
                self.left_out
            );
        }
    }
}

/// Whether one of `values` stands in `text`. One byte stands in everything and tells nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "values are looked for so that they are not shown"
)]
pub(super) fn tells(text: &[u8], values: &[&SecretBytes]) -> bool {
    values.iter().any(|value| {
        let value = value.expose().trim_ascii();
        value.len() > 1 && text.windows(value.len()).any(|window| window == value)
    })
}

#[expect(clippy::disallowed_methods, reason = "only line ends are looked for")]
fn has_line_end(value: &SecretBytes) -> bool {
    value.expose().trim_ascii().contains(&b'\n')
}
