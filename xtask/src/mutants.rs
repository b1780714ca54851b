//! Breaks the engine on purpose, one promise at a time in a copy of the tree, and expects that the simulation notices.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, root, say};

/// The mutations, below the directory of the project.
const LIST: &str = "crates/locket-engine/src/simulation/mutants.txt";

/// The page with the table of what noticed them.
const PAGE: &str = "docs/explanation/simulation.md";

const BEGIN: &str = "<!-- mutants: written by `cargo xtask mutants` -->\n";
const END: &str = "<!-- end of mutants -->";

/// What the test of the simulation prints before the seeds that failed.
const FAILING: &str = "failing seeds:";

/// After so many failing seeds a mutation counts as noticed well enough.
const ENOUGH: &str = "10";

/// Seconds that the test may take, the build of it included.
const LIMIT: &str = "900";

/// A change that breaks a promise.
#[derive(Debug, PartialEq, Eq)]
struct Mutant {
    /// What it makes the engine do.
    name: String,
    /// The invariants of ARCHITECTURE.md that it breaks.
    breaks: String,
    edits: Vec<Edit>,
}

/// Lines of a file, which stand there once, and what they become.
#[derive(Debug, Default, PartialEq, Eq)]
struct Edit {
    file: String,
    find: String,
    replace: String,
}

/// How the simulation took it.
#[derive(Debug)]
struct Verdict {
    /// How many failed, of those that were run.
    failed: usize,
    ran: usize,
    /// How many seeds broke each promise.
    promises: BTreeMap<String, usize>,
}

/// Tries every mutation, or those whose names contain one of `words`; the table is written when all were tried.
pub(crate) fn run(words: &[String]) -> Result<(), String> {
    let mutants = read(&root().join(LIST))?;
    let chosen = |mutant: &&Mutant| words.is_empty() || words.iter().any(|word| mutant.name.contains(word));
    let chosen: Vec<_> = mutants.iter().filter(chosen).collect();
    let scratch = root().join("target/mutants/tree");
    copy(&scratch)?;
    say("== nothing is broken");
    let control = simulate(&scratch)?;
    if control.failed > 0 {
        return Err(format!("seeds fail without any mutation: {:?}", control.promises));
    }
    let mut table = String::from(
        "| what the engine does | invariant | seeds that failed | promises that they saw broken |\n",
    );
    table += "| --- | --- | --- | --- |\n";
    let mut unnoticed = Vec::new();
    for mutant in &chosen {
        say(&format!("== {}", mutant.name));
        let before = apply(mutant, &scratch)?;
        let verdict = simulate(&scratch);
        for (path, text) in before {
            write(&path, &text)?;
        }
        match verdict {
            Ok(verdict) => {
                let row = row(mutant, &verdict);
                say(row.trim_end());
                table += &row;
                if verdict.failed == 0 {
                    unnoticed.push(mutant.name.as_str());
                }
            }
            Err(reason) => {
                say(&reason);
                unnoticed.push(&mutant.name);
            }
        }
    }
    if words.is_empty() {
        let page = root().join(PAGE);
        write(&page, &with_table(&text_of(&page)?, &table)?)?;
    }
    match unnoticed.is_empty() {
        true => Ok(()),
        false => Err(format!("nobody noticed: {}", unnoticed.join("; "))),
    }
}

fn row(mutant: &Mutant, verdict: &Verdict) -> String {
    let mut promises: Vec<_> = verdict.promises.iter().collect();
    promises.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let promises = promises
        .iter()
        .take(3)
        .map(|(promise, count)| format!("`{promise}` {count}"));
    let promises: Vec<_> = promises.collect();
    let mut row = String::new();
    // Writing to a string cannot fail.
    let _ = writeln!(
        row,
        "| {} | {} | {} of {} | {} |",
        mutant.name,
        mutant.breaks,
        verdict.failed,
        verdict.ran,
        promises.join(", ")
    );
    row
}

/// The page with another table between its marks.
fn with_table(page: &str, table: &str) -> Result<String, String> {
    let marks = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = marks.ok_or_else(|| format!("{PAGE} lacks the marks of the table"))?;
    Ok(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

/// Copies what git knows or would, so that nothing is broken where people work. What is equal keeps its time, so that
/// it need not be compiled again.
fn copy(scratch: &Path) -> Result<(), String> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .map_err(|error| format!("git cannot be run: {error}"))?;
    let names = String::from_utf8(output.stdout).map_err(|error| error.to_string())?;
    for name in names.split_terminator('\0') {
        let (from, to) = (root().join(name), scratch.join(name));
        // What was deleted and not yet committed is listed, too.
        let Ok(bytes) = fs::read(&from) else { continue };
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent).map_err(|error| format!("{}: {error}", parent.display()))?;
        }
        fs::write(&to, bytes).map_err(|error| format!("{}: {error}", to.display()))?;
    }
    Ok(())
}

/// Makes the edits of `mutant` and gives what the files held before.
fn apply(mutant: &Mutant, scratch: &Path) -> Result<Vec<(PathBuf, String)>, String> {
    let mut before: Vec<(PathBuf, String)> = Vec::new();
    for edit in &mutant.edits {
        let path = scratch.join(&edit.file);
        let text = text_of(&path)?;
        let count = text.matches(&edit.find).count();
        if count != 1 {
            return Err(format!(
                "`{}` wants lines of {} that stand there {count} times:\n{}",
                mutant.name, edit.file, edit.find
            ));
        }
        write(&path, &text.replace(&edit.find, &edit.replace))?;
        if !before.iter().any(|(known, _)| *known == path) {
            before.push((path, text));
        }
    }
    Ok(before)
}

/// Runs the simulation of the copy.
fn simulate(scratch: &Path) -> Result<Verdict, String> {
    let test = cargo(&[
        "test",
        "--quiet",
        "-p",
        "locket-engine",
        "--lib",
        "every_promise_holds",
        "--",
        "--nocapture",
    ]);
    let output = Command::new("timeout")
        .arg(LIMIT)
        .arg(test.get_program())
        .args(test.get_args())
        .current_dir(scratch)
        // Cargo does not tell the copy's files from ours: what is built of them must not get among what we build.
        .env("CARGO_TARGET_DIR", root().join("target/mutants/target"))
        .env("LOCKET_SIM_ENOUGH", ENOUGH)
        // Nobody reads how few steps suffice.
        .env("LOCKET_SIM_RERUNS", "0")
        .output()
        .map_err(|error| format!("timeout cannot be run: {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let mut promises: BTreeMap<String, usize> = BTreeMap::new();
    for line in told.lines().skip_while(|line| *line != FAILING).skip(1) {
        let (seed, rest) = line.split_once(' ').unwrap_or_default();
        let (Ok(_), Some((promise, _))) = (seed.parse::<u64>(), rest.split_once(':')) else {
            break;
        };
        *promises.entry(promise.to_owned()).or_default() += 1;
    }
    let failed = promises.values().sum();
    let ran = told
        .lines()
        .find_map(|line| line.split_once(" seeds: ")?.0.parse().ok());
    match (output.status.success(), failed, ran) {
        (true, 0, Some(ran)) | (false, 1.., Some(ran)) => Ok(Verdict {
            failed,
            ran,
            promises,
        }),
        _ => Err(format!(
            "the simulation could not be run ({}):\n{told}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        )),
    }
}

fn read(path: &Path) -> Result<Vec<Mutant>, String> {
    parse(&text_of(path)?).map_err(|reason| format!("{}: {reason}", path.display()))
}

/// Reads the list: `== NAME`, `breaks: INVARIANTS`, then for each edit `file: PATH`, the lines that go, each after a
/// `-`, and those that come instead, each after a `+`.
fn parse(text: &str) -> Result<Vec<Mutant>, String> {
    let mut mutants: Vec<Mutant> = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let misplaced = || format!("line {} is out of place: {line}", number + 1);
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(name) = line.strip_prefix("== ") {
            mutants.push(Mutant {
                name: name.to_owned(),
                breaks: String::new(),
                edits: Vec::new(),
            });
            continue;
        }
        let mutant = mutants.last_mut().ok_or_else(misplaced)?;
        if let Some(breaks) = line.strip_prefix("breaks: ") {
            mutant.breaks = breaks.to_owned();
        } else if let Some(file) = line.strip_prefix("file: ") {
            mutant.edits.push(Edit {
                file: format!("crates/locket-engine/src/{file}"),
                ..Edit::default()
            });
        } else {
            let edit = mutant.edits.last_mut().ok_or_else(misplaced)?;
            let (into, line) = match line.split_at_checked(1) {
                Some(("-", line)) => (&mut edit.find, line),
                Some(("+", line)) => (&mut edit.replace, line),
                _ => return Err(misplaced()),
            };
            into.push_str(line);
            into.push('\n');
        }
    }
    Ok(mutants)
}

fn text_of(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mutation_finds_its_lines_once() {
        let mutants = read(&root().join(LIST)).unwrap();
        assert!(mutants.len() > 20, "{}", mutants.len());
        let mut stale = Vec::new();
        for mutant in &mutants {
            assert!(
                !mutant.breaks.is_empty() && !mutant.edits.is_empty(),
                "{mutant:?}"
            );
            for edit in &mutant.edits {
                let text = text_of(&root().join(&edit.file)).unwrap();
                let count = text.matches(&edit.find).count();
                if count != 1 {
                    stale.push(format!(
                        "`{}`: {count} times in {}:\n{}",
                        mutant.name, edit.file, edit.find
                    ));
                }
            }
        }
        assert!(stale.is_empty(), "{LIST} is stale:\n{}", stale.join("\n"));
    }

    #[test]
    fn the_page_about_the_simulation_tells_of_mutations_that_were_noticed() {
        let page = text_of(&root().join(PAGE)).unwrap();
        let mutants = read(&root().join(LIST)).unwrap();
        for mutant in &mutants {
            let row = format!("| {} | {} | ", mutant.name, mutant.breaks);
            let line = page.lines().find(|line| line.starts_with(&row));
            let line = line.unwrap_or_else(|| panic!("no row begins with {row}"));
            assert!(!line.starts_with(&format!("{row}0 of")), "{line}");
        }
        let (_, table) = page.split_once(BEGIN).unwrap();
        let (table, _) = table.split_once(END).unwrap();
        // Its head has two lines.
        let rows = table.lines().filter(|line| line.starts_with('|')).count() - 2;
        assert_eq!(rows, mutants.len(), "a row is of no mutation any more");
    }
}
