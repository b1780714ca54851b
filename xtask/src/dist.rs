//! The static release binary, and what must hold for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, root, run, say};

/// A static glibc that resolves names carries this; such a binary would load shared libraries at run time.
const NAME_SERVICE: &[u8] = b"libnss_";

/// What makes the kernel load shared libraries.
const INTERPRETER: &[u8] = b"/ld-linux";

/// How the release is compiled: static; its relocations packed, which are half a megabyte and read at every start
/// otherwise; and random numbers from the system call alone, which a static binary takes for missing otherwise.
const FLAGS: &str = "-C target-feature=+crt-static -C link-arg=-Wl,-z,pack-relative-relocs \
    --cfg getrandom_backend=\"linux_getrandom\"";

/// Builds the release binary without any shared library and gives its path.
pub(crate) fn build() -> Result<PathBuf, String> {
    let target = host()?;
    let mut build = cargo(&["build", "--release", "--locked", "--target", &target]);
    build.args(["--package", "locket", "--package", "locket-bench"]);
    run(build.env("RUSTFLAGS", FLAGS))?;
    let binary = root().join("target").join(target).join("release/locket");
    check(&binary)?;
    accompany(&binary)?;
    Ok(binary)
}

/// Builds the release binary with these features only, from nothing, and gives its path.
pub(crate) fn build_with(features: &[&str]) -> Result<PathBuf, String> {
    let target = host()?;
    let home = root().join("target/set");
    if home.exists() {
        fs::remove_dir_all(&home).map_err(|error| format!("{}: {error}", home.display()))?;
    }
    let mut build = cargo(&["build", "--release", "--locked", "--target", &target]);
    build.args([
        "--package",
        "locket",
        "--no-default-features",
        "--features",
        &features.join(","),
    ]);
    build.arg("--target-dir").arg(&home);
    build.env("CARGO_BUILD_WARNINGS", "allow");
    run(build.env("RUSTFLAGS", FLAGS))?;
    let binary = home.join(target).join("release/locket");
    check(&binary)?;
    Ok(binary)
}

/// Writes what is shipped beside the binary, made by the binary itself: manual pages, completions and the schema.
fn accompany(binary: &Path) -> Result<(), String> {
    let home = root().join("target/dist");
    let (completions, man) = (home.join("completions"), home.join("man"));
    fs::create_dir_all(&completions).map_err(|error| format!("{}: {error}", completions.display()))?;
    run(Command::new(binary).args(["man", "--out"]).arg(&man))?;
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        print_to(
            binary,
            &["completions", shell],
            &completions.join(format!("locket.{shell}")),
        )?;
    }
    print_to(binary, &["schema"], &home.join("locket.schema.json"))
}

/// Runs the binary and keeps what it prints.
fn print_to(binary: &Path, arguments: &[&str], path: &Path) -> Result<(), String> {
    let file = fs::File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    run(Command::new(binary).args(arguments).stdout(file))
}

/// What the artefact is, whatever the settings were.
fn check(binary: &Path) -> Result<(), String> {
    let bytes = fs::read(binary).map_err(|error| format!("{}: {error}", binary.display()))?;
    if contains(&bytes, NAME_SERVICE) {
        return Err("the release binary holds the C library's name service".into());
    }
    if contains(&bytes, INTERPRETER) {
        return Err("the release binary is not static".into());
    }
    say(&format!(
        "{} bytes, static, without the C library's name service",
        bytes.len()
    ));
    Ok(())
}

/// The target of this machine.
fn host() -> Result<String, String> {
    let output = Command::new("rustc")
        .arg("-vV")
        .output()
        .map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned)
        .ok_or_else(|| "rustc does not name its host".into())
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_needle_is_found_and_a_missing_one_is_not() {
        assert!(contains(b"xx libnss_files.so", NAME_SERVICE));
        assert!(!contains(b"xx libns", NAME_SERVICE));
    }

    #[test]
    fn this_very_program_which_is_not_static_would_be_refused() {
        let own = std::env::current_exe().unwrap();
        assert!(check(&own).is_err());
    }
}
