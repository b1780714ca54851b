//! One request and what came of it, line by line. Pure: the process is somebody else's.

use std::sync::Arc;
use std::time::SystemTime;

use locket_core::provider::Lease;
use locket_core::{ErrorKind, Fetched, ProviderError, SecretBytes};

use super::told::tells;
use super::wire::{self, Answer, Content};
use crate::batch::Answers;

/// Characters of a helper's message that are kept.
const MESSAGE: usize = 300;

/// A request under way.
#[derive(Debug)]
pub(super) struct Exchange {
    /// The instance's name.
    name: Arc<str>,
    id: u64,
    answers: Vec<Option<Result<Fetched, ProviderError>>>,
    open: usize,
    lines: usize,
    is_sound: bool,
}

/// What to do after a line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Read on.
    More,
    /// Every item is answered.
    Done,
    /// The helper does not speak the protocol: nothing that it says can be relied on any more.
    Broken(ProviderError),
}

impl Exchange {
    /// A request for so many items.
    pub(super) fn new(name: Arc<str>, count: usize) -> Self {
        Self {
            name,
            id: 0,
            answers: (0..count).map(|_| None).collect(),
            open: count,
            lines: 0,
            is_sound: true,
        }
    }

    /// The request is sent, under this number.
    pub(super) fn sent(&mut self, id: u64) {
        self.id = id;
        self.lines = 0;
    }

    /// Whether the helper said nothing yet that counts.
    pub(super) fn is_untouched(&self) -> bool {
        self.open == self.answers.len() && self.is_sound
    }

    /// Whether the helper kept to the protocol, so that it can be asked again.
    pub(super) fn is_sound(&self) -> bool {
        self.is_sound && self.open == 0
    }

    /// Takes one line, without its end.
    pub(super) fn line(&mut self, line: &[u8], now: SystemTime) -> Flow {
        self.lines += 1;
        if line.trim_ascii().is_empty() {
            return self.flow();
        }
        match wire::answer(line, now) {
            // The rest of an earlier request, which was answered twice.
            Some(answer) if answer.id < self.id => self.flow(),
            Some(answer) if answer.id == self.id && self.has(answer.item) => {
                self.settle(answer);
                self.flow()
            }
            _ => self.broken(line.len()),
        }
    }

    /// The helper wrote a line that is longer than it may be.
    pub(super) fn line_too_long(&mut self, limit: usize) -> ProviderError {
        self.is_sound = false;
        self.blame(&format!("wrote more than {} MiB in one line", limit >> 20))
    }

    /// The values that came so far.
    pub(super) fn values(&self) -> impl Iterator<Item = &SecretBytes> {
        self.answers.iter().filter_map(|answer| match answer {
            Some(Ok(fetched)) => Some(&fetched.value),
            _ => None,
        })
    }

    /// One result for each item; `rest` for those that have none. A message that holds one of the values is replaced.
    pub(super) fn finish(mut self, rest: &ProviderError) -> Answers {
        for index in self.telling() {
            if let Some(Err(error)) = &mut self.answers[index] {
                error.context = plain(&self.name, error.kind);
            }
        }
        let answers = self.answers.into_iter();
        answers
            .map(|answer| answer.unwrap_or_else(|| Err(rest.clone())))
            .collect()
    }

    /// The items whose messages hold a value.
    fn telling(&self) -> Vec<usize> {
        let values: Vec<_> = self.values().collect();
        let is_telling = |answer: &Option<Result<Fetched, ProviderError>>| match answer {
            Some(Err(error)) => tells(error.context.as_bytes(), &values),
            _ => false,
        };
        let answers = self.answers.iter().enumerate();
        answers
            .filter(|(_, answer)| is_telling(answer))
            .map(|(index, _)| index)
            .collect()
    }

    fn has(&self, item: Option<usize>) -> bool {
        item.is_none_or(|item| item < self.answers.len())
    }

    fn flow(&self) -> Flow {
        match self.open {
            0 => Flow::Done,
            _ => Flow::More,
        }
    }

    fn settle(&mut self, answer: Answer) {
        let Some(item) = answer.item else {
            let error = self.result(answer.content).map(drop);
            for open in self.answers.iter_mut().filter(|answer| answer.is_none()) {
                *open = error.clone().err().map(Err);
            }
            self.open = 0;
            return;
        };
        if self.answers[item].is_some() {
            // The first answer stands: which of the two is right nobody can tell.
            self.is_sound = false;
            return;
        }
        let result = self.result(answer.content);
        self.answers[item] = Some(result);
        self.open -= 1;
    }

    fn result(&self, content: Content) -> Result<Fetched, ProviderError> {
        match content {
            Content::Value { value, version, ttl } => {
                let fetched = Fetched::new(value);
                let mut fetched = match version {
                    Some(version) => fetched.version(version),
                    None => fetched,
                };
                fetched.lease = ttl.map(|lasts| Lease {
                    handle: None,
                    lasts,
                    renewable: false,
                    rotates: false,
                });
                Ok(fetched)
            }
            Content::Error { kind, message } => {
                let message = message
                    .map(|message| shown(&message))
                    .filter(|text| !text.is_empty());
                let context = match message {
                    Some(message) => format!("the helper of `{}` says: {message}", self.name),
                    None => plain(&self.name, kind),
                };
                Err(ProviderError::new(kind, context))
            }
            Content::Senseless(reason) => {
                Err(self.blame(&format!("gave an answer that makes no sense: {reason}")))
            }
        }
    }

    fn broken(&mut self, length: usize) -> Flow {
        self.is_sound = false;
        let place = format!("line {} of its answers, of {length} bytes", self.lines);
        Flow::Broken(self.blame(&format!("does not keep to the protocol in {place}")))
    }

    fn blame(&self, what: &str) -> ProviderError {
        ProviderError::invalid(format!("the helper of `{}` {what}", self.name))
            .hint("A helper writes nothing but answers to its standard output; see docs/reference/exec-protocol.md.")
    }
}

/// What an error without words of its own says.
fn plain(name: &str, kind: ErrorKind) -> String {
    let says = match kind {
        ErrorKind::NotFound => "knows no such secret",
        ErrorKind::Denied => "may not read this",
        ErrorKind::Auth => "has no valid credential",
        ErrorKind::RateLimited { .. } => "is asked too often",
        ErrorKind::Unavailable => "reaches nobody who knows",
        ErrorKind::Invalid => "cannot make sense of this",
    };
    format!("the helper of `{name}` {says}")
}

/// A message in one line of bounded length.
fn shown(message: &str) -> String {
    let spaced = message.split_whitespace().collect::<Vec<_>>().join(" ");
    let plain = spaced.chars().filter(|char| !char.is_control());
    plain.take(MESSAGE).collect()
}
