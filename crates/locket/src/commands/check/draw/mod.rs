//! Findings in the forms that people and programs read.

mod github;
mod json;
mod sarif;
mod text;

use std::path::Path;

use locket_core::Span;

use super::command::Form;
use super::reported::Reported;
use crate::context::Context;

/// All of `found` in one document; `ignored` says how many comments took back.
pub(super) fn draw(found: &[Reported], ignored: usize, form: Form, context: &Context) -> String {
    let from: &Path = &context.directory;
    match form {
        Form::Text => text::draw(found, ignored, context.style, from),
        Form::Json => json::draw(found, ignored, from),
        Form::Sarif => sarif::draw(found, from),
        Form::Github => github::draw(found, from),
    }
}

/// First line and column, then those behind the end; all from 1, columns in characters.
fn lines(reported: &Reported) -> (usize, usize, usize, usize) {
    let place = |at: usize| {
        let (line, column) = Span::new(at, at).line_column(&reported.text);
        let before = at.min(reported.text.len());
        let start = before.saturating_sub(column - 1);
        let characters = String::from_utf8_lossy(&reported.text[start..before])
            .chars()
            .count();
        (line, characters + 1)
    };
    let (line, column) = place(reported.span.start);
    let (end_line, end_column) = place(reported.span.end);
    (line, column, end_line, end_column)
}
