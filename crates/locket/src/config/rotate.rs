//! `[rotate]`: what changes a value inside of services that nobody knows.

use super::reader::Reader;
use crate::options::Given;

/// `[rotate]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct RotateTable {
    /// `exec`: the program for what has neither a recipe nor a label.
    #[cfg_attr(
        not(feature = "command-rotate"),
        expect(
            dead_code,
            reason = "the table is read all the same, so that its mistakes are told"
        )
    )]
    pub(crate) exec: Option<Given>,
}

/// Reads `[rotate]`.
pub(super) fn read_rotate(reader: &mut Reader<'_>) -> RotateTable {
    RotateTable {
        exec: reader.filled("exec", "Name a program, or leave it out."),
    }
}
