//! Tables and code as Markdown wants them.

/// A table with this head; a bar in a cell is escaped.
pub(super) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = row(head.map(str::to_owned));
    table.push_str(&row([const { "---" }; N].map(str::to_owned)));
    for cells in rows {
        table.push_str(&row(cells));
    }
    table
}

fn row<const N: usize>(cells: [String; N]) -> String {
    let cells = cells.map(|cell| match cell.as_str() {
        "" => " ".to_owned(),
        text => format!(" {} ", text.replace('|', "\\|").replace('\n', " ")),
    });
    format!("|{}|\n", cells.join("|"))
}

/// `text` as code.
pub(super) fn code(text: &str) -> String {
    format!("`{text}`")
}

/// Several pieces of code, one after the other.
pub(super) fn codes<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let quoted: Vec<_> = texts.into_iter().map(code).collect();
    quoted.join(", ")
}

/// A code block.
pub(super) fn block(language: &str, text: &str) -> String {
    format!("```{language}\n{}\n```\n", text.trim_end())
}

#[test]
fn a_bar_does_not_end_a_cell() {
    let table = table(["a", "b"], [["x|y".to_owned(), String::new()]]);
    assert_eq!(table, "| a | b |\n| --- | --- |\n| x\\|y | |\n");
}
