//! What went wrong, told to people on standard error: full sentences, all problems of one kind at once.

use std::fmt::{self, Write as _};
use std::io::Write as _;
use std::sync::Arc;

use locket_core::Diagnostic;

use crate::context::Style;
use crate::diagnostics;

/// Why a command ended without doing its work.
#[derive(Debug)]
pub(crate) struct Failure {
    cause: Cause,
    problems: Vec<Problem>,
}

/// Which part of the world has to change before the command can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// What the user wrote.
    Usage,
    /// The machine: a file, a socket, a process.
    Work,
    /// A provider or what it holds.
    Unresolved,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// Told in words.
    Told {
        /// What is wrong, as a lower-case fragment.
        message: String,
        /// What to do, as a sentence.
        help: Option<String>,
    },
    /// Shown at its place in a text.
    Shown {
        /// The text.
        source: SourceText,
        /// The findings in it.
        findings: Vec<Diagnostic>,
    },
}

/// A text that a person wrote, and where.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct SourceText {
    /// A path, a flag or a variable, as messages call it.
    pub(crate) name: String,
    /// The text itself.
    pub(crate) text: Arc<[u8]>,
}

impl Failure {
    /// What the user wrote is wrong: exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Cause::Usage, vec![Problem::told(message)])
    }

    /// The machine refused something: exit code 1.
    pub(crate) fn work(message: impl Into<String>) -> Self {
        Self::new(Cause::Work, vec![Problem::told(message)])
    }

    /// A secret has no value: exit code 4.
    pub(crate) fn unresolved(message: impl Into<String>) -> Self {
        Self::new(Cause::Unresolved, vec![Problem::told(message)])
    }

    /// Several problems of one cause.
    pub(crate) fn new(cause: Cause, problems: Vec<Problem>) -> Self {
        Self { cause, problems }
    }

    /// The same failure with advice on its last problem.
    #[must_use]
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        if let Some(Problem::Told { help, .. }) = self.problems.last_mut() {
            *help = Some(text.into());
        }
        self
    }

    /// Which part of the world has to change.
    pub(crate) fn cause(&self) -> Cause {
        self.cause
    }

    /// Everything that is wrong, drawn for `style`.
    pub(crate) fn draw(&self, style: Style) -> String {
        draw(&self.problems, style)
    }
}

impl Problem {
    /// A problem in words.
    pub(crate) fn told(message: impl Into<String>) -> Self {
        Self::Told {
            message: message.into(),
            help: None,
        }
    }
}

impl fmt::Debug for SourceText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SourceText").field(&self.name).finish()
    }
}

/// Tells `text`, which brings its own line ends. A standard error that cannot be written has nobody to tell it to.
pub(crate) fn tell(text: &str) {
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// Draws problems one after the other.
pub(crate) fn draw(problems: &[Problem], style: Style) -> String {
    let mut text = String::new();
    for problem in problems {
        let drawn = match problem {
            Problem::Told { message, help } => diagnostics::draw_words(message, help.as_deref(), style),
            Problem::Shown { source, findings } => diagnostics::draw(source, findings, style),
        };
        let _ = writeln!(text, "{}", drawn.trim_end());
    }
    text
}
