//! For people: each finding at its place, then how many there are.

use std::path::Path;

use locket_compose::check::Severity;
use locket_core::Diagnostic;
use locket_core::diagnostic::Severity as Level;
use locket_core::words::counted;

use super::super::reported::Reported;
use crate::context::Style;
use crate::diagnostics;
use crate::report::SourceText;

pub(super) fn draw(found: &[Reported], ignored: usize, style: Style, from: &Path) -> String {
    let mut drawn: String = found
        .iter()
        .map(|reported| {
            let source = SourceText {
                name: reported.shown_path(from),
                text: reported.text.clone(),
            };
            let diagnostic = Diagnostic {
                severity: match reported.rule.severity {
                    Severity::Error => Level::Error,
                    Severity::Warning => Level::Warning,
                },
                message: format!("{} [{}]", reported.message, reported.rule.id),
                span: reported.span,
                label: String::new(),
                help: Some(reported.advice()),
            };
            format!("{}\n\n", diagnostics::draw(&source, &[diagnostic], style))
        })
        .collect();
    drawn.push_str(&summary(found, ignored));
    drawn
}

fn summary(found: &[Reported], ignored: usize) -> String {
    let errors = found
        .iter()
        .filter(|reported| reported.rule.severity == Severity::Error)
        .count();
    let taken_back = match ignored {
        0 => String::new(),
        ignored => format!(", {} taken back by comments", counted(ignored, "finding")),
    };
    match found.len() {
        0 => format!("nothing is wrong{taken_back}\n"),
        all => format!(
            "{}: {}, {}{taken_back}\n",
            counted(all, "finding"),
            counted(errors, "error"),
            counted(all - errors, "warning")
        ),
    }
}
