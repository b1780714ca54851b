//! Any bytes as what a helper writes.

use std::time::SystemTime;

use locket_core::ProviderError;

use super::exchange::{Exchange, Flow};
use super::lines::LineBuffer;

/// Lines longer than this are refused here, so that it happens.
const LINE: usize = 256;

/// Every item gets one answer; cutting the stream elsewhere changes none; and no error tells what it does not
/// understand.
///
/// The first byte says how many items there are, the second where the stream is cut.
pub fn exec_answers(data: &[u8]) {
    let [count, cut, stream @ ..] = data else {
        return;
    };
    let (count, cut) = (usize::from(count % 8) + 1, usize::from(*cut) + 1);
    let whole = played(count, stream.chunks(stream.len().max(1)));
    let pieces = played(count, stream.chunks(cut));
    assert_eq!(whole, pieces, "what is read depends on how it arrives");
    assert_eq!(whole.answers.len(), count);
    let told = whole.errors.iter().any(|error| error.contains("canary-4f7a"));
    // What a message says is the helper's own word.
    assert!(
        !told || contains(stream, b"message"),
        "an error tells what a line holds: {:?}",
        whole.errors
    );
}

/// What came of a stream.
#[derive(Debug, PartialEq)]
struct Outcome {
    answers: Vec<Option<usize>>,
    errors: Vec<String>,
    flow: Flow,
    is_sound: bool,
}

fn played<'a>(count: usize, chunks: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut exchange = Exchange::new("fuzzed".into(), count);
    exchange.sent(1);
    let mut buffer = LineBuffer::new(LINE);
    let mut flow = Flow::More;
    'stream: for chunk in chunks {
        buffer.push(chunk);
        loop {
            match buffer.next() {
                Ok(None) => break,
                Ok(Some(line)) => flow = exchange.line(buffer.get(line), SystemTime::UNIX_EPOCH),
                Err(_) => flow = Flow::Broken(exchange.line_too_long(LINE)),
            }
            if flow != Flow::More {
                break 'stream;
            }
        }
    }
    let is_sound = exchange.is_sound();
    assert!(!is_sound || flow == Flow::Done);
    let finished = exchange.finish(&ProviderError::unavailable("it is over"));
    let errors = finished.iter().filter_map(|answer| answer.as_ref().err());
    Outcome {
        errors: errors.map(|error| format!("{error} {:?}", error.hint)).collect(),
        answers: finished
            .iter()
            .map(|answer| answer.as_ref().ok().map(|fetched| fetched.value.len()))
            .collect(),
        flow,
        is_sound,
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
