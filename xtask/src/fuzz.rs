//! Builds the fuzz targets with the compiler that everything is built with, and runs them.
//!
//! `cargo fuzz` wants a nightly compiler for its sanitizers. The code here is safe Rust, so that coverage is what is
//! worth having, and the stable compiler can be told to count it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{cargo, root, run as step, say};

/// What `cargo fuzz` gives to rustc, without sanitizers.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing -Cdebug-assertions";

/// Megabytes of memory after which a run counts as a finding.
const MEMORY: u32 = 2048;

/// Seconds that one input may take before it counts as a finding.
const PATIENCE: u32 = 20;

/// Seconds that each target runs unless told otherwise.
const SECONDS: u32 = 60;

/// Runs the targets that `arguments` name, or all: `[TARGET] [--seconds N]`.
pub(crate) fn run(arguments: impl Iterator<Item = String>) -> Result<(), String> {
    let home = root().join("fuzz");
    let all = targets(&home)?;
    let (wanted, seconds) = read(arguments, &all)?;
    build(&home)?;
    for target in wanted {
        say(&format!("== {target}"));
        fuzz(&home, &target, seconds)?;
    }
    Ok(())
}

fn read(mut arguments: impl Iterator<Item = String>, all: &[String]) -> Result<(Vec<String>, u32), String> {
    let (mut wanted, mut seconds) = (Vec::new(), SECONDS);
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let number = arguments.next().and_then(|number| number.parse().ok());
            seconds = number.ok_or("`--seconds` wants a whole number")?;
        } else if all.contains(&argument) {
            wanted.push(argument);
        } else {
            return Err(format!(
                "there is no fuzz target `{argument}`; there are {}",
                all.join(", ")
            ));
        }
    }
    if wanted.is_empty() {
        wanted = all.to_vec();
    }
    Ok((wanted, seconds))
}

/// The names of all targets.
fn targets(home: &Path) -> Result<Vec<String>, String> {
    let programs = home.join("src/bin");
    let entries = fs::read_dir(&programs).map_err(|error| format!("{}: {error}", programs.display()))?;
    let mut names: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

/// Coverage needs the target to be named: build scripts and macros are left alone then.
fn build(home: &Path) -> Result<(), String> {
    step(
        cargo(&["build", "--release", "--target", &triple()])
            .current_dir(home)
            .env("RUSTFLAGS", COVERAGE),
    )
}

fn triple() -> String {
    format!("{}-unknown-linux-gnu", std::env::consts::ARCH)
}

/// Runs one target over what it found before, its seeds and former findings. A finding is left in `fuzz/artifacts`.
fn fuzz(home: &Path, target: &str, seconds: u32) -> Result<(), String> {
    let place = |kind: &str| home.join(kind).join(target);
    for kind in ["corpus", "artifacts", "seeds", "regressions"] {
        fs::create_dir_all(place(kind)).map_err(|error| format!("{}: {error}", place(kind).display()))?;
    }
    let mut command = Command::new(home.join("target").join(triple()).join("release").join(target));
    command
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg(format!("-timeout={PATIENCE}"))
        .arg(format!("-artifact_prefix={}/", place("artifacts").display()))
        .arg("-print_final_stats=1")
        .args(["corpus", "seeds", "regressions"].map(place));
    let dictionary = home.join("dictionaries").join(target);
    if dictionary.exists() {
        command.arg(format!("-dict={}", dictionary.display()));
    }
    step(&mut command)
}
