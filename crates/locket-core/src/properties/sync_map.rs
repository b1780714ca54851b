//! The map of `locket sync`.

use super::check::{are_placed, lies_in};
use crate::{Diagnostic, sync_map as subject};

/// Any bytes as a map.
pub fn sync_map(data: &[u8]) {
    match subject::parse(data) {
        Ok(map) => {
            are_placed(&map.warnings, data);
            map.rows.iter().for_each(|row| is_sound(row, data));
            let mut paths: Vec<_> = map.rows.iter().map(|row| &row.path).collect();
            paths.sort();
            paths.dedup();
            assert_eq!(paths.len(), map.rows.len(), "each path is written once");
        }
        Err(subject::Mistaken { found, rows }) => {
            assert!(found.iter().any(Diagnostic::is_error), "a refusal has a reason");
            are_placed(&found, data);
            rows.iter().for_each(|row| is_sound(row, data));
        }
    }
}

fn is_sound(row: &subject::Row, data: &[u8]) {
    assert!(row.path.is_absolute() && row.path.file_name().is_some());
    assert!(row.mode <= 0o777 && !row.reference.trim().is_empty());
    lies_in(row.span, data);
    let end = row.reference.len();
    lies_in(row.place(Diagnostic::error(0..end, "x"), data).span, data);
}
