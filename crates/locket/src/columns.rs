//! Aligned columns for people: lists that fit a terminal and can be cut by `awk`.

/// The rows under each other, each cell as wide as the widest of its column; the last column is not filled up.
pub(crate) fn columns<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[test]
fn cells_stand_under_each_other() {
    let rows = [["a", "bb", ""], ["äöü", "c", "d"]].map(|row| row.map(str::to_owned));
    assert_eq!(columns(&rows), "a    bb\näöü  c   d\n");
}
