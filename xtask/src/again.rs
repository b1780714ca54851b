//! The tests of the workspace, with a second run, alone and aloud, of the few that failed.
//!
//! Some fifteen hundred tests with real servers, signals and clocks share whatever machine they are given. One that fails
//! there says nothing about the change if it passes alone: it is named at the end of the run, to be mended, and does not
//! stop the change. More than [`ALLOWED`] of them, or one that fails again, do.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};

use crate::command::{cargo, say};

/// How many tests may fail at first.
const ALLOWED: usize = 2;

/// What is read from a run of `cargo test --no-fail-fast`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Failed {
    /// The arguments of cargo that choose each test program with a failure.
    programs: Vec<Vec<String>>,
    tests: Vec<String>,
    /// How many failures the summaries of the programs count.
    counted: usize,
}

/// Runs all tests, and those that failed once more. `prepare` sets what the tests need.
pub(crate) fn test(arguments: &[&str], prepare: impl Fn(&mut Command)) -> Result<(), String> {
    let mut command = cargo(&[&["test"], arguments, &["--no-fail-fast"]].concat());
    prepare(&mut command);
    let (succeeded, out, err) = run(&mut command)?;
    if succeeded {
        return Ok(());
    }
    let failed = Failed::read(&out, &err);
    if !failed.may_be_repeated() {
        return Err(format!("tests failed: {}", failed.tests.join(", ")));
    }
    say("== failed tests, once more and alone");
    let mut passed = 0;
    for program in &failed.programs {
        let program: Vec<&str> = program.iter().map(String::as_str).collect();
        let mut command = cargo(&[&["test", "--locked"], program.as_slice(), &["--", "--exact"]].concat());
        command.args(["--test-threads", "1"]).args(&failed.tests);
        prepare(&mut command);
        let (succeeded, out, _) = run(&mut command)?;
        if !succeeded {
            return Err(format!("tests failed twice, of {}", failed.tests.join(", ")));
        }
        passed += count(&out, "passed");
    }
    // A program that was killed names no test, and one that runs no test proves nothing.
    if passed != failed.tests.len() {
        return Err(format!("not every one of {} ran again", failed.tests.join(", ")));
    }
    for test in &failed.tests {
        say(&format!(
            "UNSTEADY: {test} failed first and passed alone: mend it"
        ));
    }
    Ok(())
}

impl Failed {
    fn read(out: &str, err: &str) -> Self {
        let tests = out
            .lines()
            .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"));
        let programs = err
            .lines()
            .filter_map(|line| line.trim().strip_prefix('`')?.strip_suffix('`'))
            .filter(|program| program.starts_with("-p "));
        Self {
            programs: programs
                .map(|program| program.split(' ').map(str::to_owned).collect())
                .collect(),
            tests: tests.map(str::to_owned).collect(),
            counted: count(out, "failed"),
        }
    }

    /// Whether each failure is that of a test with a name, in a program with a name, and few failed.
    fn may_be_repeated(&self) -> bool {
        (1..=ALLOWED).contains(&self.tests.len())
            && self.counted == self.tests.len()
            && (1..=self.tests.len()).contains(&self.programs.len())
    }
}

/// The sum of what the summaries call `what`: `test result: FAILED. 13 passed; 1 failed; …`.
fn count(out: &str, what: &str) -> usize {
    out.lines()
        .filter(|line| line.starts_with("test result: "))
        .flat_map(|line| line.split([';', '.']))
        .filter_map(|part| part.trim().strip_suffix(what)?.trim().parse::<usize>().ok())
        .sum()
}

/// Runs a program whose output is shown and kept.
fn run(command: &mut Command) -> Result<(bool, String, String), String> {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    let (out, err) = std::thread::scope(|scope| {
        let err = scope.spawn(|| err.map_or_else(String::new, |err| show(err, std::io::stderr())));
        let out = out.map_or_else(String::new, |out| show(out, std::io::stdout()));
        (out, err.join().unwrap_or_default())
    });
    let status = child.wait().map_err(|error| format!("cargo was lost: {error}"))?;
    Ok((status.success(), out, err))
}

fn show(from: impl Read, mut to: impl Write) -> String {
    let mut kept = String::new();
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // A reader who left does not end the tests.
        let _ = writeln!(to, "{line}");
        kept.push_str(&line);
        kept.push('\n');
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::Failed;

    const OUT: &str = "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\nfailures:\n    a::c\n\n\
                       test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured\n\
                       test result: ok. 3 passed; 0 failed; 0 ignored\n";

    const ERR: &str =
        "error: test failed, to rerun pass `-p one --lib`\nerror: 1 target failed:\n    `-p one --lib`\n";

    #[test]
    fn failed_tests_are_found_with_their_program() {
        let failed = Failed::read(OUT, ERR);
        assert_eq!(failed.tests, ["a::c"]);
        assert_eq!(failed.programs, [["-p", "one", "--lib"]]);
        assert_eq!(failed.counted, 1);
        assert!(failed.may_be_repeated());
    }

    #[test]
    fn a_program_that_died_many_failures_and_a_build_that_failed_are_final() {
        let died = Failed::read("running 2 tests\ntest a::b ... ok\n", ERR);
        assert!(!died.may_be_repeated());
        let beside_one_that_died = Failed::read(OUT, &format!("{ERR}    `-p two --test it`\n"));
        assert!(!beside_one_that_died.may_be_repeated());
        let many = Failed::read(&OUT.repeat(3), ERR);
        assert!(!many.may_be_repeated());
        assert!(!Failed::read("", "error: could not compile `one`").may_be_repeated());
    }
}
