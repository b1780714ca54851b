//! Instructions that pieces of a round take, counted by callgrind and held against what they took before.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{root, say};
use crate::dist;

/// The pieces of `locket-bench`'s program `counted`.
const PIECES: &[&str] = &["parse", "render", "compare"];

/// How often each piece is done; the start of the program is counted apart and taken off.
const TIMES: u64 = 5;

/// A piece may take this many hundredths more than it did before it counts as grown.
const GROWTH: u64 = 5;

/// Where the numbers stand that new ones are held against.
const RECORD: &str = "benches/counts.txt";

/// What is done with new numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// They are held against the record.
    Check,
    /// They become the record.
    Update,
}

impl Mode {
    /// The mode that the words after `counts` choose.
    pub(crate) fn of(arguments: &[String]) -> Result<Self, String> {
        match arguments {
            [] => Ok(Self::Check),
            [word] if word == "--update" => Ok(Self::Update),
            other => Err(format!(
                "`counts` takes `--update` or nothing, not `{}`",
                other.join(" ")
            )),
        }
    }
}

/// Builds the release programs, and counts.
pub(crate) fn run(mode: Mode) -> Result<(), String> {
    count(&dist::build()?, mode)
}

/// Counts with the programs that stand beside `locket`.
pub(crate) fn count(locket: &Path, mode: Mode) -> Result<(), String> {
    let program = locket.with_file_name("counted");
    let mut counts = Vec::new();
    for piece in PIECES {
        let (idle, busy) = (
            instructions(&program, piece, 0)?,
            instructions(&program, piece, TIMES)?,
        );
        counts.push((*piece, busy.saturating_sub(idle) / TIMES));
    }
    let file = root().join(RECORD);
    match mode {
        Mode::Update => {
            let lines: String = counts
                .iter()
                .map(|(piece, count)| format!("{piece} {count}\n"))
                .collect();
            fs::write(&file, lines).map_err(|error| format!("{}: {error}", file.display()))
        }
        Mode::Check => {
            let record = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
            let grown: Vec<_> = counts
                .iter()
                .filter_map(|(piece, count)| judge(&record, piece, *count).err())
                .collect();
            if grown.is_empty() {
                Ok(())
            } else {
                Err(grown.join("\n"))
            }
        }
    }
}

/// Holds one number against the record and tells it.
fn judge(record: &str, piece: &str, count: u64) -> Result<(), String> {
    let before = record.lines().find_map(|line| {
        let (name, number) = line.split_once(' ')?;
        (name == piece)
            .then(|| number.trim().parse::<u64>().ok())
            .flatten()
    });
    let Some(before) = before else {
        return Err(format!(
            "{RECORD} has no number for `{piece}`: run `cargo xtask counts --update`"
        ));
    };
    say(&format!("{piece}: {count} instructions, {before} on record"));
    if count > before + before * GROWTH / 100 {
        return Err(format!(
            "`{piece}` takes {count} instructions, more than {GROWTH} % above the {before} on record. If that is the \
             price of something better, run `cargo xtask counts --update` and say so in the commit"
        ));
    }
    Ok(())
}

/// What callgrind collects for one run.
fn instructions(program: &Path, piece: &str, times: u64) -> Result<u64, String> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([piece, &times.to_string()])
        .output()
        .map_err(|error| format!("valgrind cannot be run: {error}"))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "`counted {piece} {times}` failed under valgrind:\n{report}"
        ));
    }
    collected(&report).ok_or_else(|| format!("valgrind tells no number:\n{report}"))
}

/// The number in callgrind's line `==PID== Collected : N`.
fn collected(report: &str) -> Option<u64> {
    let line = report.lines().find_map(|line| line.split_once("Collected :"))?;
    line.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_found_in_the_report() {
        let report = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 123456\n==7==\n";
        assert_eq!(collected(report), Some(123_456));
        assert_eq!(collected("==7== Callgrind\n"), None);
    }

    #[test]
    fn growth_past_the_bound_is_refused_and_a_missing_record_too() {
        let record = "parse 1000\nrender 2000\n";
        assert!(judge(record, "parse", 1050).is_ok());
        assert!(judge(record, "parse", 1051).is_err());
        assert!(judge(record, "render", 10).is_ok());
        assert!(judge(record, "compare", 10).is_err());
    }
}
