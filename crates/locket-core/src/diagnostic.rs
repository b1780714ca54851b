//! What is wrong with something that a person wrote, with its place. How it is drawn is the edge's business.

use crate::Span;

/// Whether a [`Diagnostic`] stops the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The input cannot be used.
    Error,
    /// The input is used; the person should know what was made of it.
    Warning,
}

/// One finding in one source text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the input can still be used.
    pub severity: Severity,
    /// What is wrong, as a lower-case fragment.
    pub message: String,
    /// The place in the source.
    pub span: Span,
    /// What stands at the place, shown beside the caret; may be empty.
    pub label: String,
    /// What to do, as a sentence.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            span: span.into(),
            label: String::new(),
            help: None,
        }
    }

    /// A warning at `span`.
    pub fn warning(span: impl Into<Span>, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message)
        }
    }

    /// The same finding with words beside the caret.
    #[must_use]
    pub fn label(mut self, label: impl Into<String>) -> Self {
        self.label = label.into();
        self
    }

    /// The same finding with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The same finding with `did you mean` advice when a near name exists, otherwise unchanged.
    #[must_use]
    pub fn did_you_mean<'a, I: IntoIterator<Item = &'a str>>(self, given: &str, candidates: I) -> Self {
        match crate::suggest::nearest(given, candidates) {
            Some(name) => self.help(format!("Did you mean `{name}`?")),
            None => self,
        }
    }

    /// The same finding, its place moved by `offset` bytes.
    #[must_use]
    pub fn shifted(mut self, offset: usize) -> Self {
        self.span = self.span.shifted(offset);
        self
    }

    /// Whether this finding stops the work.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}
