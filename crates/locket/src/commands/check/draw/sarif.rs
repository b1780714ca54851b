//! SARIF 2.1.0 (<https://docs.oasis-open.org/sarif/sarif/v2.1.0/>), as code hosts read it.

use std::path::Path;

use locket_compose::check::{RULES, Rule, Severity};
use serde_json::{Value, json};

use super::super::super::format;
use super::super::reported::Reported;
use super::lines;

pub(super) fn draw(found: &[Reported], from: &Path) -> String {
    let rules: Vec<Value> = RULES.iter().map(|rule| described(rule)).collect();
    let results: Vec<Value> = found.iter().map(|reported| result(reported, from)).collect();
    format::json(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "locket", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    }))
}

fn described(rule: &Rule) -> Value {
    json!({
        "id": rule.id,
        "shortDescription": { "text": rule.title },
        "fullDescription": { "text": rule.why },
        "help": { "text": rule.cure },
        "defaultConfiguration": { "level": level(rule.severity) },
    })
}

fn result(reported: &Reported, from: &Path) -> Value {
    let (line, column, end_line, end_column) = lines(reported);
    let path = reported.shown_path(from);
    json!({
        "ruleId": reported.rule.id,
        "ruleIndex": RULES.iter().position(|rule| rule.id == reported.rule.id),
        "level": level(reported.rule.severity),
        "message": { "text": format!("{}. {}", reported.message, reported.advice()) },
        "locations": [{
            "physicalLocation": {
                "artifactLocation": { "uri": uri(&path) },
                "region": {
                    "startLine": line,
                    "startColumn": column,
                    "endLine": end_line,
                    "endColumn": end_column,
                },
            },
        }],
        // The same finding keeps its name when its line moves.
        "partialFingerprints": { "subject/v1": format!("{}:{path}:{}", reported.rule.id, reported.subject) },
    })
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A path as a relative reference of a URI.
fn uri(path: &str) -> String {
    path.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' | b'-' | b'~' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
