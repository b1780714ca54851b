//! Lines out of a stream, as long as they may be and no longer, with no copy left behind.

use std::ops::Range;

use tokio::io::{AsyncRead, AsyncReadExt};
use zeroize::{Zeroize, Zeroizing};

/// Bytes read at once.
const CHUNK: usize = 16 << 10;

/// Why there is no further line.
#[derive(Debug)]
pub(super) enum LineError {
    /// A line is longer than the limit.
    TooLong,
    /// The stream failed, as that of a process does when it is gone.
    Failed,
}

/// What was read and is not taken yet. All of it is wiped.
pub(super) struct LineBuffer {
    bytes: Zeroizing<Vec<u8>>,
    /// Where the next line starts.
    start: usize,
    /// Up to here no line end was found.
    searched: usize,
    limit: usize,
}

impl LineBuffer {
    /// An empty buffer for lines of up to `limit` bytes.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            bytes: Zeroizing::new(Vec::new()),
            start: 0,
            searched: 0,
            limit,
        }
    }

    /// Adds what was read.
    pub(super) fn push(&mut self, read: &[u8]) {
        if self.bytes.len() + read.len() > self.bytes.capacity() {
            let rest = &self.bytes[self.start..];
            let mut grown = Vec::with_capacity((rest.len() + read.len()).next_power_of_two());
            grown.extend_from_slice(rest);
            self.bytes = Zeroizing::new(grown);
            self.searched -= self.start;
            self.start = 0;
        }
        self.bytes.extend_from_slice(read);
    }

    /// The place of the next whole line, without its end.
    ///
    /// # Errors
    /// The line is too long, whether its end was read or not.
    pub(super) fn next(&mut self) -> Result<Option<Range<usize>>, LineError> {
        let end = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n');
        let (end, next) = match end {
            Some(at) => (self.searched + at, self.searched + at + 1),
            None => (self.bytes.len(), self.bytes.len()),
        };
        self.searched = next;
        if end - self.start > self.limit {
            return Err(LineError::TooLong);
        }
        if end == next {
            return Ok(None);
        }
        let line = self.start..end;
        self.start = next;
        Ok(Some(line))
    }

    /// What follows the last line end.
    pub(super) fn rest(&self) -> Range<usize> {
        self.start..self.bytes.len()
    }

    /// The bytes at a place.
    pub(super) fn get(&self, place: Range<usize>) -> &[u8] {
        self.bytes.get(place).unwrap_or_default()
    }

    /// Wipes what was taken; what follows the last line end stays.
    pub(super) fn wipe_taken(&mut self) {
        let rest = self.bytes.len() - self.start;
        self.bytes.copy_within(self.start.., 0);
        self.bytes[rest..].zeroize();
        self.bytes.truncate(rest);
        self.searched -= self.start;
        self.start = 0;
    }
}

/// The place of the next line of `stream`; `None` at its end.
pub(super) async fn next_line(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut LineBuffer,
) -> Result<Option<Range<usize>>, LineError> {
    let mut chunk = Zeroizing::new([0; CHUNK]);
    loop {
        if let Some(line) = buffer.next()? {
            return Ok(Some(line));
        }
        match stream.read(chunk.as_mut_slice()).await {
            Ok(0) => return Ok(None),
            Ok(count) => buffer.push(&chunk[..count]),
            Err(_) => return Err(LineError::Failed),
        }
    }
}
