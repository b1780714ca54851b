//! One JSON document. Keys are added to it, never changed.

use std::path::Path;

use serde_json::{Value, json};

use super::super::super::format;
use super::super::reported::Reported;
use super::lines;

pub(super) fn draw(found: &[Reported], ignored: usize, from: &Path) -> String {
    let findings: Vec<Value> = found.iter().map(|reported| document(reported, from)).collect();
    format::json(&json!({ "findings": findings, "ignored": ignored }))
}

fn document(reported: &Reported, from: &Path) -> Value {
    let (line, column, end_line, end_column) = lines(reported);
    let fix = reported.fix.as_ref();
    json!({
        "id": reported.rule.id,
        "severity": reported.rule.severity.name(),
        "path": reported.shown_path(from),
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "subject": reported.subject,
        "message": reported.message,
        "help": reported.help,
        "command": fix.and_then(|repair| repair.command.clone()),
        "fixable": fix.is_some_and(|repair| repair.fix.is_automatic()),
        "docs": format!("docs/reference/findings.md#{}", reported.rule.id),
    })
}
