//! Builds with less than everything: each feature alone, none at all, and the sets that the slim images hold.

use std::fmt::Write as _;
use std::fs;
use std::time::Instant;

use crate::command::{cargo, root, run as step, say};
use crate::dist;

/// The provider features of the crate of providers, each of which stands on its own.
const PROVIDERS: &[&str] = &[
    "azkv",
    "bao",
    "bws",
    "connect",
    "exec",
    "infisical",
    "oci",
    "op",
    "store",
];

/// The features of the command line, providers aside.
const COMMANDS: &[&str] = &[
    "command-build",
    "command-compose",
    "command-doctor",
    "command-exec",
    "command-get",
    "command-manual",
    "command-plan",
    "command-providers",
    "command-sync",
];

/// What a slim image is named after, and the features of its binary beside [`SLIM`].
const SETS: &[(&str, &[&str])] = &[
    ("connect", &["connect"]),
    ("bao", &["bao"]),
    ("bws", &["bws"]),
    ("infisical", &["infisical"]),
    ("azkv", &["azkv"]),
    ("oci", &["oci"]),
    ("op", &["op"]),
    ("local", &["store", "exec"]),
];

/// The commands of every slim set, beside those that are always there.
const SLIM: &[&str] = &[
    "command-build",
    "command-compose",
    "command-exec",
    "command-get",
    "command-sync",
];

/// Where the table of sizes stands.
const PAGE: &str = "docs/reference/builds.md";

/// Compiles each feature alone and none at all.
pub(crate) fn check() -> Result<(), String> {
    for feature in [""].iter().chain(PROVIDERS).chain(COMMANDS) {
        say(&format!("with `{feature}` alone"));
        let alone = ["--no-default-features", "--features", feature];
        let mut build = cargo(&["check", "--quiet", "--locked", "--package", "locket"]);
        // What a small build does not use is no mistake.
        step(build.args(alone).env("CARGO_BUILD_WARNINGS", "allow"))?;
    }
    Ok(())
}

/// Runs the tests of each provider without the others, and of what is there without any.
pub(crate) fn test() -> Result<(), String> {
    for feature in [""].iter().chain(PROVIDERS) {
        say(&format!("tests of `{feature}` alone"));
        let alone = ["--no-default-features", "--features", feature];
        let mut tests = cargo(&[
            "test",
            "--quiet",
            "--locked",
            "--package",
            "locket-providers",
            "--lib",
        ]);
        step(tests.args(alone).env("CARGO_BUILD_WARNINGS", "allow"))?;
    }
    Ok(())
}

/// Builds every set as it is shipped, and writes what each weighs and how long it took.
pub(crate) fn sizes() -> Result<(), String> {
    let mut table = String::from("| set | features | static binary | build |\n| --- | --- | --- | --- |\n");
    let full = ("latest", Vec::from(["default"]));
    let slim = SETS
        .iter()
        .map(|(name, features)| (*name, [*features, SLIM].concat()));
    for (name, features) in std::iter::once(full).chain(slim) {
        #[expect(clippy::disallowed_methods, reason = "a build is measured, not tested")]
        let started = Instant::now();
        let binary = dist::build_with(&features)?;
        let took = started.elapsed().as_secs();
        let bytes = fs::metadata(&binary).map_err(|error| error.to_string())?.len();
        let listed: Vec<_> = features.iter().map(|feature| format!("`{feature}`")).collect();
        let _ = writeln!(
            table,
            "| `{name}` | {} | {:.1} MB | {took} s |",
            listed.join(", "),
            bytes as f64 / 1e6
        );
    }
    write(&table)
}

/// Puts the table between the page's marks.
fn write(table: &str) -> Result<(), String> {
    let path = root().join(PAGE);
    let page = fs::read_to_string(&path).map_err(|error| format!("{PAGE}: {error}"))?;
    let (begin, end) = ("<!-- measured -->\n", "<!-- end of measured -->");
    let (Some(from), Some(to)) = (page.find(begin), page.find(end)) else {
        return Err(format!("{PAGE} has no place for the table"));
    };
    let page = format!("{}\n{table}\n{}", &page[..from + begin.len()], &page[to..]);
    fs::write(&path, page).map_err(|error| format!("{PAGE}: {error}"))?;
    say(table);
    Ok(())
}
