//! Builds with less than everything: each feature alone, none at all, and the sets that the slim images hold.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::command::{cargo, root, run as step, say};
use crate::{dist, image, op_core, services};

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

/// Builds every set as it is shipped, or the `chosen` ones, and writes what each weighs, how soon its container is healthy,
/// what it holds in memory then, and what processor time the build took, which says the same beside other work. The others
/// keep the rows that they have.
pub(crate) fn sizes(chosen: &[&str]) -> Result<(), String> {
    let page = fs::read_to_string(root().join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
    let full = ("latest", Vec::from(["default"]));
    let slim = SETS.iter().map(|set| (set.name, set.features()));
    let sets: Vec<_> = std::iter::once(full).chain(slim).collect();
    if let Some(unknown) = chosen
        .iter()
        .find(|name| sets.iter().all(|(set, _)| set != *name))
    {
        return Err(format!("`{unknown}` is neither a set nor a file"));
    }
    let mut table = String::from(HEAD);
    for (name, features) in sets {
        if !chosen.is_empty() && !chosen.contains(&name) {
            let row = row_in(&page, name).ok_or_else(|| format!("{PAGE} has no row of `{name}` to keep"))?;
            let _ = writeln!(table, "{row}");
            continue;
        }
        let before = processor_time()?;
        let binary = dist::build_with(&features)?;
        let took = processor_time()?.saturating_sub(before).as_secs();
        table.push_str(&row(name, &features, &binary, &format!("{took} s"))?);
        // What takes an hour is seen as it grows.
        say(&table);
    }
    let core = op_core::make(&[])?;
    let _ = writeln!(
        table,
        "\n1Password's own core, which the image `op` holds beside the binary, has {} ({} compressed).",
        megabytes(weight(&core)?),
        megabytes(compressed(&core)?)
    );
    write(&page, &table)
}

/// The row of a set on the page.
fn row_in<'a>(page: &'a str, name: &str) -> Option<&'a str> {
    let begin = format!("| `{name}` | ");
    page.lines().find(|line| line.starts_with(&begin))
}

/// What the programs that were waited for have used, and theirs.
fn processor_time() -> Result<Duration, String> {
    let stat = fs::read_to_string("/proc/self/stat").map_err(|error| format!("/proc/self/stat: {error}"))?;
    ticks_of_children(&stat)
        .map(|ticks| Duration::from_millis(ticks * (1_000 / TICKS)))
        .ok_or_else(|| "/proc/self/stat is not what it was".to_owned())
}

/// The kernel's own unit of processor time, in parts of a second: the same for all programs on Linux.
const TICKS: u64 = 100;

/// User and system time of children, from the line of `/proc/PID/stat`.
fn ticks_of_children(stat: &str) -> Option<u64> {
    // The name before the bracket may hold anything.
    let (_, fields) = stat.rsplit_once(") ")?;
    let times = fields.split(' ').skip(13).take(2);
    let times: Vec<u64> = times.map(str::parse).collect::<Result<_, _>>().ok()?;
    match times[..] {
        [user, system] => Some(user + system),
        _ => None,
    }
}

/// The row of one binary that is there already, for whoever wants to know without waiting.
pub(crate) fn size(binary: &str) -> Result<(), String> {
    let row = row("latest", &["default"], Path::new(binary), "")?;
    say(&format!("{HEAD}{row}"));
    Ok(())
}

const HEAD: &str =
    "| set | features | static binary | compressed | image | healthy after | resident | build |
| --- | --- | --- | --- | --- | --- | --- | --- |
";

fn row(name: &str, features: &[&str], binary: &Path, took: &str) -> Result<String, String> {
    let listed: Vec<_> = features.iter().map(|feature| format!("`{feature}`")).collect();
    let [image, healthy, resident] = measure(name, features, binary)?;
    Ok(format!(
        "| `{name}` | {} | {} | {} | {image} | {healthy} | {resident} | {took} |\n",
        listed.join(", "),
        megabytes(weight(binary)?),
        megabytes(compressed(binary)?),
    ))
}

/// What an engine says of the image: its size, the time from `docker run` to healthy, and what is resident.
fn measure(name: &str, features: &[&str], binary: &Path) -> Result<[String; 3], String> {
    let listed = features.join(",");
    let context = image::context(name, binary, &image::chosen(&listed))?;
    // As a part of the workspace, so that what it is made of is not built a second time.
    let bench = [
        "build",
        "--quiet",
        "--locked",
        "--workspace",
        "--bin",
        "locket-bench",
    ];
    step(&mut cargo(&bench))?;
    let output = Command::new(root().join("target/debug/locket-bench"))
        .arg("image")
        .arg(root().join(image::FILE))
        .arg(&context)
        .env("LOCKET_SERVICES_DIR", services::home()?)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("the benchmark cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the image of {name} could not be measured"));
    }
    let told = String::from_utf8_lossy(&output.stdout);
    shown(&told).ok_or_else(|| "Docker Engine is missing; `cargo xtask services` installs it".to_owned())
}

/// Bytes, milliseconds and KiB as a table shows them.
fn shown(told: &str) -> Option<[String; 3]> {
    let numbers: Vec<u64> = told.split_whitespace().flat_map(str::parse).collect();
    let [bytes, milliseconds, resident] = numbers[..] else {
        return None;
    };
    Some([
        megabytes(bytes),
        format!("{:.1} s", milliseconds as f64 / 1e3),
        format!("{:.1} MB", resident as f64 * 1024.0 / 1e6),
    ])
}

fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

fn weight(file: &Path) -> Result<u64, String> {
    let metadata = fs::metadata(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(metadata.len())
}

/// As many bytes as its layer of an image has when it is pulled.
fn compressed(binary: &Path) -> Result<u64, String> {
    let gzip = Command::new("gzip").arg("-c").arg(binary).output();
    let output = gzip.map_err(|error| format!("gzip cannot be run: {error}"))?;
    match output.status.success() {
        true => Ok(output.stdout.len() as u64),
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
fn write(page: &str, table: &str) -> Result<(), String> {
    let path = root().join(PAGE);
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
    use super::{names_in, row_in, shown, ticks_of_children};

    #[test]
    fn the_time_of_children_is_found_behind_any_name() {
        let line = "7 (a) b) S 1 7 7 0 -1 4194560 900 5000 0 0 11 12 345 55 20 0 1 0 99 1000 50 1844";
        assert_eq!(ticks_of_children(line), Some(400));
        assert_eq!(ticks_of_children("7 (short) S 1"), None);
    }

    #[test]
    fn numbers_of_an_image_are_shown_in_the_units_of_the_table() {
        let row = shown("15123456 1234 6000\n").unwrap();
        assert_eq!(row, ["15.1 MB", "1.2 s", "6.1 MB"]);
        assert!(shown("").is_none() && shown("1 2").is_none());
    }

    #[test]
    fn the_row_of_a_set_is_found_on_the_page() {
        let page = "`op` is a set.\n| `op-2` | 1 |\n| `op` | `op`, `a` | 2 |\n";
        assert_eq!(row_in(page, "op"), Some("| `op` | `op`, `a` | 2 |"));
        assert_eq!(row_in(page, "bao"), None);
    }

    #[test]
    fn a_list_of_a_manifest_is_read_on_one_line_or_many() {
        let text = "[features]\ndefault = [\n    \"a\",\n    \"b\",\n]\none = [\"c\"]\n";
        assert_eq!(names_in(text, "default"), ["a", "b"]);
        assert_eq!(names_in(text, "one"), ["c"]);
        assert!(names_in(text, "none").is_empty());
    }
}
