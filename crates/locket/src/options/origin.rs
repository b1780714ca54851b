//! Where a text came from, so that whatever is wrong with it can be told at its place.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use locket_core::{Diagnostic, Span, action};

use super::table;
use crate::report::{Problem, SourceText};

/// A text that somebody gave for an option.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    /// The text, as it was given.
    pub(crate) text: String,
    /// Where it came from.
    pub(crate) origin: Origin,
    /// The directory from which relative paths in it count.
    pub(crate) base: Arc<Path>,
}

/// Where a text came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A flag, with its dashes.
    Flag(String),
    /// A variable.
    Variable(String),
    /// A file among the credentials that the service manager gave the process, by its name.
    Credential(String),
    /// A place in a configuration file.
    File {
        /// The file.
        source: Arc<SourceText>,
        /// The value's place.
        span: Span,
    },
}

impl Given {
    /// The text as a path; a relative one under the directory it counts from.
    pub(crate) fn path(&self) -> PathBuf {
        self.base.join(&self.text)
    }

    /// What is wrong with the text, told at its place.
    pub(crate) fn wrong(&self, findings: impl IntoIterator<Item = Diagnostic>) -> Vec<Problem> {
        let findings = findings.into_iter();
        match &self.origin {
            Origin::File { source, .. } => vec![Problem::Shown {
                source: SourceText::clone(source),
                findings: findings.map(|finding| self.placed(finding)).collect(),
            }],
            origin => findings
                .map(|finding| match self.is_whole(finding.span) {
                    true => origin.problem(finding.message, finding.help),
                    false => Problem::Shown {
                        source: SourceText {
                            name: origin.to_string(),
                            text: match origin.holds_values() {
                                true => covered(&self.text).into(),
                                false => action::veiled(&self.text).as_bytes().into(),
                            },
                        },
                        findings: vec![finding],
                    },
                })
                .collect(),
        }
    }

    /// A finding in the text as one in the file that it stands in.
    pub(crate) fn placed(&self, finding: Diagnostic) -> Diagnostic {
        let Origin::File { source, span } = &self.origin else {
            return finding;
        };
        // Where the file writes the text with escapes, places inside it are not known: all of it is shown.
        match locate(source, *span, &self.text) {
            Some(offset) if !self.is_whole(finding.span) => finding.shifted(offset),
            _ => Diagnostic {
                span: *span,
                ..finding
            },
        }
    }

    fn is_whole(&self, span: Span) -> bool {
        span == Span::new(0, self.text.len())
    }
}

/// A list of values as messages may show it: the name that it begins with, tags and white space. Where the mistake may be
/// one of separators, any other name may be a part of a value. Every byte keeps its place.
fn covered(text: &str) -> Vec<u8> {
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.-".contains(byte);
    let name = text.bytes().take_while(is_name).count();
    let mut shown = text.as_bytes().to_vec();
    let mut at = match shown.get(name) {
        Some(b'=') => name + 1,
        _ => 0,
    };
    while let Some(byte) = text.as_bytes().get(at) {
        let rest = &text.as_bytes()[at..];
        let close = rest.windows(2).position(|pair| pair == b"}}");
        match close.filter(|_| rest.starts_with(b"{{")) {
            Some(close) => at += close + 2,
            None => {
                if !byte.is_ascii_whitespace() {
                    shown[at] = b'*';
                }
                at += 1;
            }
        }
    }
    shown
}

/// Where `text` starts inside the value at `span`, when it stands there letter by letter.
fn locate(source: &SourceText, span: Span, text: &str) -> Option<usize> {
    let value = span.of(&source.text);
    let quotes = match value {
        [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..] => 3,
        _ => 1,
    };
    let start = quotes + usize::from(quotes == 3 && value.get(3) == Some(&b'\n'));
    let stands = value.get(start..start + text.len()) == Some(text.as_bytes());
    stands.then_some(span.start + start)
}

impl Origin {
    /// Whether what comes from here is a list of values that may be secrets themselves. Those of a flag are on the
    /// command line already.
    fn holds_values(&self) -> bool {
        let Self::Variable(name) = self else {
            return false;
        };
        let lists = [&table::SECRET, &table::ENV];
        lists.iter().any(|opt| opt.variables.contains(&name.as_str()))
    }

    /// A problem with what came from here.
    pub(crate) fn problem(&self, message: impl Into<String>, help: Option<String>) -> Problem {
        let message = message.into();
        match self {
            Self::File { source, span } => {
                let mut finding = Diagnostic::error(*span, message);
                finding.help = help;
                Problem::Shown {
                    source: SourceText::clone(source),
                    findings: vec![finding],
                }
            }
            Self::Flag(_) | Self::Variable(_) | Self::Credential(_) => Problem::Told {
                message: format!("{self}: {message}"),
                help,
            },
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::Credential(name) => write!(f, "the credential {name}"),
            Self::File { source, span } => {
                write!(f, "{}:{}", source.name, span.line_column(&source.text).0)
            }
        }
    }
}
