//! The forms that commands print their findings in.

use clap::ValueEnum;

/// How findings are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// A JSON document as it is printed.
pub(super) fn json(document: &serde_json::Value) -> String {
    format!("{document:#}\n")
}
