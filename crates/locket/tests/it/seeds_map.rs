//! The map of the seeds tells the truth: what works is proven by tests that exist, what does not has its step.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::documents::{Page, repository};

/// The steps that bring what does not work yet.
const STEPS: &[&str] = &[
    "The ground",
    "The ground, deepened",
    "The mission's providers",
    "Processes",
    "Sync and notifications",
    "The Docker Engine",
    "Secret files without mistakes",
];

/// What each file of tests holds, read once.
#[derive(Default)]
struct Proofs(HashMap<PathBuf, HashSet<String>>);

impl Proofs {
    /// What is wrong with a row's state and proof.
    fn complaints(&mut self, state: &str, proof: &str) -> Vec<String> {
        let tests = tests(proof);
        let mut complaints = Vec::new();
        match state {
            "works" if tests.is_empty() => complaints.push("works, they say, and no test proves it".into()),
            "works" => {}
            step if STEPS.contains(&step) => {}
            other => complaints.push(format!("has the state `{other}`, which is no step")),
        }
        for (name, file) in tests {
            if !functions(&mut self.0, &file).contains(&name) {
                complaints.push(format!(
                    "names the test `{name}`, which is not in {}",
                    file.display()
                ));
            }
        }
        complaints
    }
}

#[test]
fn every_pitfall_is_a_test_or_has_its_step() {
    let page = Page::at("docs/pitfalls.md");
    let mut proofs = Proofs::default();
    let mut wrong = Vec::new();
    let mut rows = 0;
    for row in page.rows() {
        let [pitfall, answer, state, proof] = row.cells.as_slice() else {
            wrong.push(format!("docs/pitfalls.md:{}: not four cells", row.line));
            continue;
        };
        rows += 1;
        let mut complaints = proofs.complaints(state, proof);
        if state == "works" && answer.is_empty() {
            complaints.push("does not say what locket does".into());
        }
        let told = |complaint| format!("docs/pitfalls.md:{}: `{pitfall}` {complaint}", row.line);
        wrong.extend(complaints.into_iter().map(told));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rows > 40, "{rows} rows only");
}

#[test]
fn a_row_that_proves_nothing_is_noticed() {
    let mut proofs = Proofs::default();
    let real = "[`only_functions_with_a_test_attribute_count`](../crates/locket/tests/it/seeds_map.rs)";
    assert!(proofs.complaints("works", real).is_empty());
    assert!(!proofs.complaints("works", "").is_empty());
    assert!(
        !proofs
            .complaints("works", &real.replace("only", "all"))
            .is_empty()
    );
    assert!(!proofs.complaints("soon", real).is_empty());
    assert!(proofs.complaints("Processes", "").is_empty());
}

#[test]
fn every_row_of_the_seeds_is_proven_by_a_test_or_has_its_step() {
    let page = Page::at("docs/seeds.md");
    let mut wrong = Vec::new();
    let mut seen = HashSet::new();
    let mut proofs = Proofs::default();
    for row in page.rows() {
        let number = row.cells[0].clone();
        if !is_number(&number) {
            continue;
        }
        let mut complain = |what: String| wrong.push(format!("docs/seeds.md:{}: {number} {what}", row.line));
        let [_, _, _, state, proof] = row.cells.as_slice() else {
            complain(format!("has {} cells instead of five", row.cells.len()));
            continue;
        };
        for complaint in proofs.complaints(state, proof) {
            complain(complaint);
        }
        if !seen.insert(number.clone()) {
            complain("stands there twice".into());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for seed in ["000", "001", "002", "003", "004"] {
        let rows = seen.iter().filter(|number| number.starts_with(seed)).count();
        assert!(rows > 10, "seed {seed} has {rows} rows only");
    }
}

/// Whether a cell numbers a row: `000-01`.
fn is_number(cell: &str) -> bool {
    let parts = cell.split_once('-').map(|(seed, row)| (seed.len(), row.len()));
    parts == Some((3, 2)) && cell.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit())
}

/// The tests that a cell names, each as [`name`](file).
fn tests(cell: &str) -> Vec<(String, PathBuf)> {
    let parts = cell.split("[`").skip(1).filter_map(|part| {
        let (name, rest) = part.split_once("`](")?;
        let (file, _) = rest.split_once(')')?;
        Some((name.to_owned(), Path::new("docs").join(file)))
    });
    parts.collect()
}

/// The test functions of a file.
fn functions<'a>(files: &'a mut HashMap<PathBuf, HashSet<String>>, file: &Path) -> &'a HashSet<String> {
    files.entry(file.to_owned()).or_insert_with(|| {
        let text = std::fs::read_to_string(repository().join(file)).unwrap_or_default();
        test_functions(&text)
    })
}

/// The functions in `text` that carry a test attribute.
fn test_functions(text: &str) -> HashSet<String> {
    let mut found = HashSet::new();
    let mut is_test = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[") {
            is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        } else if let Some((_, rest)) = line.split_once("fn ")
            && std::mem::take(&mut is_test)
        {
            let name = rest.split(['(', '<']).next().unwrap_or_default();
            found.insert(name.to_owned());
        }
    }
    found
}

#[test]
fn only_functions_with_a_test_attribute_count() {
    let text =
        "#[test]\nfn a() {}\nfn b() {}\n#[tokio::test(start_paused = true)]\n#[cfg(unix)]\nasync fn c() {}\n";
    let found = test_functions(text);
    assert_eq!(found, HashSet::from(["a".to_owned(), "c".to_owned()]));
}
