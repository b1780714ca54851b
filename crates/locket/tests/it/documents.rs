//! The documentation as tests read it: where its pages are, and what stands in their tables and blocks.

use std::path::{Path, PathBuf};

/// One page of the documentation.
pub(crate) struct Page {
    /// Its path below the repository.
    pub(crate) path: PathBuf,
    /// Its text.
    pub(crate) text: String,
}

/// One row of a table.
pub(crate) struct Row {
    /// Its line, counted from one.
    pub(crate) line: usize,
    /// Its cells, trimmed.
    pub(crate) cells: Vec<String>,
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

impl Page {
    /// The page at `path` below the repository.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = std::fs::read_to_string(repository().join(&path))
            .unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
        Self { path, text }
    }

    /// Every page: those of the root and everything below `docs`.
    pub(crate) fn all() -> Vec<Self> {
        let mut paths = Vec::new();
        collect(Path::new(""), Depth::Here, &mut paths);
        collect(Path::new("docs"), Depth::Below, &mut paths);
        paths.sort();
        paths.into_iter().map(Self::at).collect()
    }

    /// The rows of all its tables, without heads and rules.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let lines: Vec<_> = self.text.lines().collect();
        let is_rule = |line: Option<&&str>| line.is_some_and(|line| line.starts_with("| ---"));
        let rows = lines.iter().enumerate().filter(|(at, line)| {
            line.starts_with('|') && !is_rule(Some(line)) && !is_rule(lines.get(at + 1))
        });
        rows.map(|(at, line)| Row {
            line: at + 1,
            cells: cells(line),
        })
        .collect()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Depth {
    Here,
    Below,
}

fn collect(directory: &Path, depth: Depth, paths: &mut Vec<PathBuf>) {
    let entries = std::fs::read_dir(repository().join(directory)).expect("the documentation is there");
    for entry in entries {
        let entry = entry.expect("its pages can be listed");
        let path = directory.join(entry.file_name());
        if entry.path().is_dir() {
            if depth == Depth::Below {
                collect(&path, depth, paths);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path);
        }
    }
}

/// The cells of a row; `\|` is a bar within one.
fn cells(line: &str) -> Vec<String> {
    let inner = line
        .trim()
        .trim_start_matches('|')
        .trim_end_matches('|')
        .replace("\\|", "\u{1}");
    inner
        .split('|')
        .map(|cell| cell.trim().replace('\u{1}', "|"))
        .collect()
}

#[test]
fn a_row_has_its_cells_and_a_table_its_rows() {
    let text = "| a | b |\n| --- | --- |\n| 1 \\| 2 | |\n\ntext | text\n".to_owned();
    let page = Page {
        path: "page.md".into(),
        text,
    };
    let rows = page.rows();
    assert_eq!(rows.len(), 1);
    assert_eq!(
        (rows[0].line, rows[0].cells.as_slice()),
        (3, &["1 | 2".to_owned(), String::new()][..])
    );
}
