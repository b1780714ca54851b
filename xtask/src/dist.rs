//! The static release binary, and what must hold for it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::archive;
use crate::command::{cargo, root, run, say};

/// A static glibc that resolves names carries this; such a binary would load shared libraries at run time.
const NAME_SERVICE: &[u8] = b"libnss_";

/// What makes the kernel load shared libraries.
const INTERPRETER: &[u8] = b"/ld-linux";

/// How the release is compiled: static, with random numbers from the system call alone, which a static binary takes for
/// missing otherwise.
const FLAGS: &str = "-C target-feature=+crt-static --cfg getrandom_backend=\"linux_getrandom\"";

/// Packs relocations, which are half a megabyte and read at every start otherwise.
const PACKED: &str = "-C link-arg=-Wl,-z,pack-relative-relocs";

/// Keeps one of several functions that are the same instructions, which generic code has many of: a hundred kilobytes.
/// Only LLVM's linker can do it, which the compiler brings along for this target.
const FOLDED: &str = "-C link-arg=-Wl,--icf=all";
const LINKED_BY_LLVM: &str = "x86_64-unknown-linux-gnu";

/// The first glibc whose static programs can unpack them: those of an earlier one would end before they begin.
const UNPACKS: (u32, u32) = (2, 36);

/// Builds the release binary without any shared library and gives its path.
pub(crate) fn build() -> Result<PathBuf, String> {
    let target = host()?;
    let mut build = cargo(&["build", "--release", "--locked", "--target", &target]);
    build.args(["--package", "locket", "--package", "locket-bench"]);
    run(build.env("RUSTFLAGS", flags(&target)))?;
    let binary = root().join("target").join(target).join("release/locket");
    check(&binary)?;
    accompany(&binary)?;
    Ok(binary)
}

/// Packs the release binary as it is published, and gives the archive.
pub(crate) fn pack(binary: &Path) -> Result<PathBuf, String> {
    archive::pack(binary, &host()?, &root().join("target/dist"))
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
    run(build.env("RUSTFLAGS", flags(&target)))?;
    let binary = home.join(target).join("release/locket");
    check(&binary)?;
    Ok(binary)
}

/// What the compiler is told on this machine, which is a `target`.
fn flags(target: &str) -> String {
    let output = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let version = text.ok().as_deref().and_then(version);
    let packed = version
        .is_some_and(|version| version >= UNPACKS)
        .then_some(PACKED);
    let folded = (target == LINKED_BY_LLVM).then_some(FOLDED);
    let flags: Vec<_> = [Some(FLAGS), packed, folded].into_iter().flatten().collect();
    flags.join(" ")
}

/// The version in `glibc 2.36`.
fn version(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.split('.').next()?.parse().ok()?))
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
    fn relocations_are_packed_for_a_c_library_that_unpacks_them() {
        assert!(version("glibc 2.35\n").unwrap() < UNPACKS);
        assert!(version("glibc 2.36\n").unwrap() >= UNPACKS);
        assert!(version("glibc 2.100.1").unwrap() > UNPACKS);
        assert_eq!(version("musl 1.2"), None);
    }

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
