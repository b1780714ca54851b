//! What went wrong, told to people on standard error: full sentences, all problems of one kind at once.

use std::fmt;
use std::io::Write;
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

    /// Several problems of one cause. Findings in one text are gathered, in the order of their places.
    pub(crate) fn new(cause: Cause, problems: Vec<Problem>) -> Self {
        let mut gathered: Vec<Problem> = Vec::with_capacity(problems.len());
        for problem in problems {
            let Problem::Shown { source, findings } = problem else {
                gathered.push(problem);
                continue;
            };
            let same = gathered.iter_mut().find_map(|known| match known {
                Problem::Shown {
                    source: known,
                    findings,
                } if *known == source => Some(findings),
                _ => None,
            });
            match same {
                Some(known) => known.extend(findings),
                None => gathered.push(Problem::Shown { source, findings }),
            }
        }
        for problem in &mut gathered {
            if let Problem::Shown { findings, .. } = problem {
                findings.sort_by_key(|finding| finding.span);
            }
        }
        Self {
            cause,
            problems: gathered,
        }
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

    /// Everything that is wrong.
    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
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
fn draw(problems: &[Problem], style: Style) -> String {
    let drawn = problems.iter().map(|problem| match problem {
        Problem::Told { message, help } => diagnostics::draw_words(message, help.as_deref(), style),
        Problem::Shown { source, findings } => diagnostics::draw(source, findings, style),
    });
    let drawn: Vec<_> = drawn.collect();
    format!("{}\n", drawn.join("\n\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, start: usize, message: &str) -> Problem {
        Problem::Shown {
            source: SourceText {
                name: name.to_owned(),
                text: b"one two three".as_slice().into(),
            },
            findings: vec![Diagnostic::error(start..start + 3, message)],
        }
    }

    #[test]
    fn findings_in_one_text_are_told_together_and_in_order() {
        let problems = vec![
            shown("a.toml", 4, "second"),
            Problem::told("between"),
            shown("b.toml", 0, "elsewhere"),
            shown("a.toml", 0, "first"),
        ];
        let drawn = Failure::new(Cause::Usage, problems).draw(Style::Plain);
        let order: Vec<_> = ["first", "second", "between", "elsewhere"]
            .iter()
            .map(|message| drawn.find(message).unwrap())
            .collect();
        assert!(order.is_sorted(), "{drawn}");
    }
}
