//! Commands of GitHub's workflows: `::error file=…::message`, which become annotations beside the lines.

use std::path::Path;

use super::super::reported::Reported;
use super::lines;

pub(super) fn draw(found: &[Reported], from: &Path) -> String {
    found
        .iter()
        .map(|reported| {
            let (line, column, end_line, end_column) = lines(reported);
            // The end of a column is told only within one line.
            let end = match line == end_line {
                true => format!(",endColumn={end_column}"),
                false => String::new(),
            };
            format!(
                "::{} file={},line={line},endLine={end_line},col={column}{end},title={}::{}\n",
                reported.rule.severity.name(),
                property(&reported.shown_path(from)),
                reported.rule.id,
                message(&format!("{}. {}", reported.message, reported.advice())),
            )
        })
        .collect()
}

fn message(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    message(text).replace(':', "%3A").replace(',', "%2C")
}
