//! The rows that are printed, and their bounds.

use std::fmt;

/// Everything that was measured.
#[derive(Default)]
pub(crate) struct Table(Vec<Row>);

struct Row {
    what: String,
    measured: String,
    beside: String,
    bound: Option<(String, bool)>,
}

impl Table {
    /// A row that is only reported.
    pub(crate) fn report(&mut self, what: impl Into<String>, measured: String, beside: impl Into<String>) {
        self.0.push(Row {
            what: what.into(),
            measured,
            beside: beside.into(),
            bound: None,
        });
    }

    /// A row with a bound, and whether it holds.
    pub(crate) fn gate(
        &mut self,
        what: impl Into<String>,
        measured: String,
        beside: impl Into<String>,
        bound: impl Into<String>,
        holds: bool,
    ) {
        self.0.push(Row {
            what: what.into(),
            measured,
            beside: beside.into(),
            bound: Some((bound.into(), holds)),
        });
    }

    pub(crate) fn is_within_bounds(&self) -> bool {
        self.0
            .iter()
            .all(|row| row.bound.as_ref().is_none_or(|(_, holds)| *holds))
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "| what | measured | beside | bound |\n| --- | --- | --- | --- |"
        )?;
        for row in &self.0 {
            let bound = match &row.bound {
                None => "reported".to_owned(),
                Some((bound, true)) => format!("{bound}: holds"),
                Some((bound, false)) => format!("{bound}: BROKEN"),
            };
            writeln!(
                f,
                "| {} | {} | {} | {bound} |",
                row.what, row.measured, row.beside
            )?;
        }
        Ok(())
    }
}
