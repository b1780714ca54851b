//! Where something stands in a text that a person wrote.

use std::ops::Range;

/// A half-open range of byte offsets into one source text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: usize,
    /// Offset after the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub const fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The same range, `offset` bytes further on: for a text that is a part of a larger one.
    pub const fn shifted(self, offset: usize) -> Self {
        Self {
            start: self.start + offset,
            end: self.end + offset,
        }
    }

    /// The bytes this span covers in `source`; empty when the span lies outside of it.
    pub fn of(self, source: &[u8]) -> &[u8] {
        source.get(self.start..self.end).unwrap_or_default()
    }

    /// Line and column of the start, both from 1; the column counts bytes as compilers do.
    pub fn line_column(self, source: &[u8]) -> (usize, usize) {
        let before = &source[..self.start.min(source.len())];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
        (line, column)
    }
}

impl From<Range<usize>> for Span {
    fn from(range: Range<usize>) -> Self {
        Self::new(range.start, range.end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_and_column_count_from_one() {
        let source = b"one\ntwo three\n";
        assert_eq!(Span::new(0, 1).line_column(source), (1, 1));
        assert_eq!(Span::new(8, 13).line_column(source), (2, 5));
        assert_eq!(Span::new(8, 13).of(source), b"three");
    }

    #[test]
    fn a_span_outside_its_source_is_empty_and_does_not_panic() {
        assert_eq!(Span::new(10, 20).of(b"short"), b"");
        assert_eq!(Span::new(10, 20).line_column(b"short"), (1, 6));
    }
}
