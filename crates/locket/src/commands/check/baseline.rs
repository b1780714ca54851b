//! Findings that are known and shall not be told again. A line that moves stays known; another value does not matter,
//! since no value is in it.

use std::collections::BTreeSet;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::reported::Reported;
use crate::report::Failure;

/// Known findings.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Baseline {
    findings: BTreeSet<Known>,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    path: String,
    id: String,
    subject: String,
}

impl Baseline {
    /// One that knows all of `found`.
    pub(super) fn of(found: &[Reported], from: &Path) -> Self {
        Self {
            findings: found.iter().map(|reported| Known::of(reported, from)).collect(),
        }
    }

    /// # Errors
    /// The file cannot be read, or is none of ours.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = std::fs::read(path).map_err(|error| {
            Failure::usage(format!("the baseline {shown} cannot be read: {error}"))
                .help("Make one with `locket check --baseline FILE --write-baseline`.")
        })?;
        serde_json::from_slice(&text).map_err(|error| {
            Failure::usage(format!("{shown} is no baseline: {error}"))
                .help("Make a new one with `--write-baseline`.")
        })
    }

    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path) -> Result<(), Failure> {
        let failed =
            |reason: String| Failure::work(format!("{} cannot be written: {reason}", path.display()));
        let text = serde_json::to_string_pretty(self).map_err(|error| failed(error.to_string()))?;
        super::super::files::write_text(path, &format!("{text}\n"))
    }

    pub(super) fn knows(&self, reported: &Reported, from: &Path) -> bool {
        self.findings.contains(&Known::of(reported, from))
    }
}

impl Known {
    fn of(reported: &Reported, from: &Path) -> Self {
        Self {
            path: reported.shown_path(from),
            id: reported.rule.id.to_owned(),
            subject: reported.subject.clone(),
        }
    }
}
