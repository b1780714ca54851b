//! What holds for any input: the bodies of the fuzz targets, and of tests that replay what those found.
//!
//! Each takes the bytes that a fuzzer makes up and fails by a panic. Compiled for tests and fuzzing only.

use std::path::Path;
use std::sync::Arc;

use clap::ArgMatches;
use locket_core::Environment;

use crate::cli;
use crate::clock::SystemClock;
use crate::config::ConfigFile;
use crate::context::{Context, Style};
use crate::options::Layers;
use crate::report::{Cause, Failure, Problem};
use crate::settings::{Form, RunSettings};

/// A target by the name of its program in `fuzz/`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target of this crate.
pub const TARGETS: &[Target] = &[("config", config)];

/// A credential that somebody wrote into the file.
const CANARY: &str = "canary4f7a";

/// Any text as the configuration file of a run: what is wrong is told at its place, and no credential with it.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    settled(text);
    if text.contains(CANARY) {
        return;
    }
    let literal = format!("token = \"{CANARY}\"\n");
    for text in [
        format!("[connect]\n{literal}{text}"),
        format!("{text}\n[connect]\n{literal}"),
        format!("[providers.prod]\ntype = \"bao\"\n{literal}{text}"),
        format!("[run]\n{literal}{text}"),
        format!("[[secret]]\nname = \"a\"\n{literal}{text}"),
        format!("# {literal}{text}"),
    ] {
        let told = settled(&text);
        assert!(!told.contains(CANARY), "a credential is shown:\n{told}");
    }
}

/// What a run is told about `text`.
fn settled(text: &str) -> String {
    let base: Arc<Path> = Path::new("/nowhere").into();
    let (file, mistakes) = match ConfigFile::parse(Path::new("locket.toml"), text, base) {
        Ok((file, mistakes)) => (Some(file), mistakes),
        Err(broken) => (None, Some(broken)),
    };
    let files: Vec<_> = file.into_iter().collect();
    let context = Context {
        environment: Environment::default(),
        directory: "/nowhere".into(),
        clock: Arc::new(SystemClock::start()),
        style: Style::Plain,
        unprotected: None,
    };
    let problems = MATCHES.with(|matches| {
        let Some(matches) = matches else {
            return Vec::new();
        };
        let mut layers = Layers::new(matches, &context, &files);
        layers.problems.extend(mistakes);
        let settings = RunSettings::settle(&mut layers, Form::Run, &context);
        drop(format!("{settings:?}"));
        layers.problems
    });
    problems.iter().for_each(|problem| is_placed(problem, text));
    Failure::new(Cause::Usage, problems).draw(Style::Plain)
}

/// What is shown is the file, as long as it was, and the place lies in it.
fn is_placed(problem: &Problem, text: &str) {
    let Problem::Shown { source, findings } = problem else {
        return;
    };
    assert_eq!(source.text.len(), text.len(), "hiding credentials moves places");
    assert!(!findings.is_empty());
    for finding in findings {
        let span = finding.span;
        assert!(
            text.get(span.start..span.end).is_some(),
            "{span:?} lies outside or cuts a character apart: {finding:?}"
        );
    }
}

thread_local! {
    /// The arguments of `locket run`; making the parser takes longer than all the rest.
    static MATCHES: Option<ArgMatches> = cli::parser(Style::Plain)
        .try_get_matches_from(["locket", "run"])
        .ok()
        .and_then(|matches| Some(matches.subcommand()?.1.clone()));
}

#[cfg(test)]
#[path = "../../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
#[test]
fn every_seed_and_every_former_finding_holds() {
    assert!(MATCHES.with(Option::is_some));
    replay::all(TARGETS);
}
