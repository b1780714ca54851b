//! Builds with less than everything: each feature alone, none at all, and the sets that the slim images hold.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use crate::command::{cargo, root, run as step, say};
use crate::dist;

/// A binary with one purpose, and the image that holds it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Set {
    /// The tag of the image.
    pub(crate) name: &'static str,
    /// What `--provider` is in the image unless somebody says otherwise.
    pub(crate) provider: &'static str,
    /// The features beside [`SLIM`].
    own: &'static [&'static str],
}

impl Set {
    /// All features of its binary.
    pub(crate) fn features(&self) -> Vec<&'static str> {
        [self.own, SLIM].concat()
    }
}

/// The slim sets.
pub(crate) const SETS: &[Set] = &[
    set("connect", "op-connect", &["connect"]),
    set("bao", "bao", &["bao"]),
    set("bws", "bws", &["bws"]),
    set("infisical", "infisical", &["infisical"]),
    set("azkv", "azkv", &["azkv"]),
    set("oci", "oci", &["oci"]),
    set("op", "op", &["op"]),
    set("local", "store", &["store", "exec"]),
];

const fn set(name: &'static str, provider: &'static str, own: &'static [&'static str]) -> Set {
    Set { name, provider, own }
}

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
    let mut features = vec![String::new()];
    features.extend(listed("crates/locket-providers/Cargo.toml", "default")?);
    let commands = listed("crates/locket/Cargo.toml", "default")?;
    features.extend(commands.into_iter().filter(|name| name.starts_with("command-")));
    for feature in &features {
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
    let providers = listed("crates/locket-providers/Cargo.toml", "default")?;
    for feature in std::iter::once(String::new()).chain(providers) {
        say(&format!("tests of `{feature}` alone"));
        let alone = ["--no-default-features", "--features", &feature];
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
    let mut table = String::from(
        "| set | features | static binary | compressed | build |\n| --- | --- | --- | --- | --- |\n",
    );
    let full = ("latest", Vec::from(["default"]));
    let slim = SETS.iter().map(|set| (set.name, set.features()));
    for (name, features) in std::iter::once(full).chain(slim) {
        #[expect(clippy::disallowed_methods, reason = "a build is measured, not tested")]
        let started = Instant::now();
        let binary = dist::build_with(&features)?;
        let took = started.elapsed().as_secs();
        let bytes = fs::metadata(&binary).map_err(|error| error.to_string())?.len();
        let listed: Vec<_> = features.iter().map(|feature| format!("`{feature}`")).collect();
        let _ = writeln!(
            table,
            "| `{name}` | {} | {:.1} MB | {:.1} MB | {took} s |",
            listed.join(", "),
            bytes as f64 / 1e6,
            compressed(&binary)? as f64 / 1e6
        );
    }
    write(&table)
}

/// As many bytes as the one layer of an image has when it is pulled.
fn compressed(binary: &Path) -> Result<usize, String> {
    let gzip = Command::new("gzip").arg("-c").arg(binary).output();
    let output = gzip.map_err(|error| format!("gzip cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout.len()),
        false => Err(format!("gzip ended with {}", output.status)),
    }
}

/// What the list `key` of a manifest names.
fn listed(manifest: &str, key: &str) -> Result<Vec<String>, String> {
    let text = fs::read_to_string(root().join(manifest)).map_err(|error| format!("{manifest}: {error}"))?;
    let names = names_in(&text, key);
    match names.is_empty() {
        true => Err(format!("{manifest} has no list `{key}`")),
        false => Ok(names),
    }
}

fn names_in(text: &str, key: &str) -> Vec<String> {
    let from = text.find(&format!("\n{key} = ["));
    let list = from.and_then(|from| text[from..].split_once(']'));
    let quoted = list.map_or("", |(list, _)| list).split('"').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
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

#[cfg(test)]
mod tests {
    use super::names_in;

    #[test]
    fn a_list_of_a_manifest_is_read_on_one_line_or_many() {
        let text = "[features]\ndefault = [\n    \"a\",\n    \"b\",\n]\none = [\"c\"]\n";
        assert_eq!(names_in(text, "default"), ["a", "b"]);
        assert_eq!(names_in(text, "one"), ["c"]);
        assert!(names_in(text, "none").is_empty());
    }
}
