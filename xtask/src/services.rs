//! Installs the real servers and official clients that the tests use, through the ordinary package clients.

mod engine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{cargo, exists, root, run, say};
use crate::npm::{self, Package};
use crate::op_core;

/// The release of rage whose program reads our store in a test.
const RAGE: &str = "0.12.1";
/// Infisical's library for Node as it was when it logged in with tokens of Azure, Google Cloud and Kubernetes, and what of
/// it is compiled for this kind of machine.
const INFISICAL: [Package; 2] = [
    Package {
        name: "@infisical/sdk",
        version: "2.3.5",
        sha256: "a35e8b41593f21380451bbb4616f383f8df329ad23c58a2f68d05906ac2101f2",
    },
    Package {
        name: "@infisical/sdk-linux-x64-gnu",
        version: "2.3.5",
        sha256: "6a9b8c57af64487864e7be62cb71bb73527ab854ea191c6d26014df776c3f860",
    },
];

/// Installs what is missing and gives the directory that holds it. Cheap when nothing is.
pub(crate) fn install() -> Result<PathBuf, String> {
    let home = home()?;
    fs::create_dir_all(&home).map_err(|error| format!("{} cannot be made: {error}", home.display()))?;
    python(&home)?;
    debian(&["age", "openssl", "podman", "redis-server", "valgrind"])?;
    if !exists("xz") || !exists("curl") {
        apt(&["xz-utils", "curl"])?;
    }
    if !exists("ssh-keygen") {
        apt(&["openssh-client"])?;
    }
    if !exists("systemd-nspawn") || !exists("systemd-analyze") {
        apt(&["systemd", "systemd-container"])?;
    }
    postgres(&home)?;
    if !exists("mariadbd") || !exists("mariadb-install-db") {
        apt(&["mariadb-server"])?;
    }
    rage(&home)?;
    if !exists("npm") {
        apt(&["nodejs", "npm"])?;
    }
    onepassword(&home)?;
    npm::install(&home.join("infisical-sdk"), &INFISICAL)?;
    engine::install(&home)?;
    Ok(home)
}

/// `$LOCKET_SERVICES_DIR`, else a cache directory that outlives a clone. The test kit looks in the same place.
pub(crate) fn home() -> Result<PathBuf, String> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a build chore reads its own environment"
    )]
    let variable = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    variable("LOCKET_SERVICES_DIR")
        .or_else(|| variable("XDG_CACHE_HOME").map(|cache| cache.join("locket-services")))
        .or_else(|| variable("HOME").map(|home| home.join(".cache/locket-services")))
        .ok_or_else(|| "there is no HOME; set LOCKET_SERVICES_DIR".to_owned())
}

fn python(home: &Path) -> Result<(), String> {
    environment(
        &home.join("venv"),
        "requirements.txt",
        "installing OpenBao and the official Python clients",
    )
}

/// A virtual environment with the packages that `pins` names, made anew when the pins change.
pub(crate) fn environment(venv: &Path, pins: &str, telling: &str) -> Result<(), String> {
    pinned(venv, pins, telling, |pins, _| {
        let make = || {
            run(Command::new("python3")
                .args(["-m", "venv"])
                .arg(venv)
                .stdout(Stdio::null()))
        };
        if make().is_err() {
            let _ = fs::remove_dir_all(venv);
            apt(&["python3", "python3-venv"])?;
            make()?;
        }
        let pip = venv.join("bin/pip");
        run(Command::new(pip)
            .args(["install", "--quiet", "--require-hashes", "--no-deps", "-r"])
            .arg(pins))
    })
}

/// The program of the crate that `pins` names, built with its own lock file, made anew when the pins change.
pub(crate) fn program(place: &Path, pins: &str, telling: &str) -> Result<(), String> {
    pinned(place, pins, telling, |_, wanted| {
        let mut install = cargo(&["install", "--quiet", "--locked", "--debug", "--root"]);
        let crates = wanted.lines().filter(|line| !line.starts_with('#'));
        run(install.arg(place).args(crates))
    })
}

/// Has `make` fill `place` as the file of pins says, unless it did so with the same ones before. It gets the file and its
/// text.
fn pinned(
    place: &Path,
    pins: &str,
    telling: &str,
    make: impl FnOnce(&Path, &str) -> Result<(), String>,
) -> Result<(), String> {
    let pins = root().join("xtask/services").join(pins);
    let wanted = fs::read_to_string(&pins).map_err(|error| format!("{}: {error}", pins.display()))?;
    let stamp = place.with_extension("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    say(telling);
    // The stamp goes first: one that outlives what it speaks of would hide the damage.
    let _ = fs::remove_file(&stamp);
    let _ = fs::remove_dir_all(place);
    make(&pins, &wanted)?;
    fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))
}

/// 1Password's own core, which the provider hosts, and the official client that vouches for the tests' server.
fn onepassword(home: &Path) -> Result<(), String> {
    op_core::install_client(home)?;
    op_core::make(&[]).map(drop)
}

fn rage(home: &Path) -> Result<(), String> {
    if home.join("bin/rage").exists() {
        return Ok(());
    }
    say("building rage, which reads our store in a test");
    let mut install = cargo(&["install", "--quiet", "--locked", "--debug", "--version", RAGE]);
    run(install.arg("--root").arg(home).arg("rage"))
}

/// Debian keeps the server's programs off the search path; links to them stand with the other services.
fn postgres(home: &Path) -> Result<(), String> {
    let programs = ["initdb", "postgres", "psql"];
    let bin = home.join("bin");
    if programs.iter().all(|program| bin.join(program).exists()) {
        return Ok(());
    }
    let release = || {
        let releases = fs::read_dir("/usr/lib/postgresql").ok()?;
        let mut found: Vec<_> = releases
            .filter_map(|release| Some(release.ok()?.path().join("bin")))
            .filter(|bin| programs.iter().all(|program| bin.join(program).exists()))
            .collect();
        found.sort();
        found.pop()
    };
    if release().is_none() {
        apt(&["postgresql-15"])?;
    }
    let from = release().ok_or("the programs of Postgres are not below /usr/lib/postgresql")?;
    let failed = |error| format!("{}: {error}", bin.display());
    fs::create_dir_all(&bin).map_err(failed)?;
    for program in programs {
        let link = bin.join(program);
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(from.join(program), link).map_err(failed)?;
    }
    Ok(())
}

/// Installs the Debian packages whose program of the same name is missing.
fn debian(packages: &[&str]) -> Result<(), String> {
    let missing: Vec<_> = packages
        .iter()
        .copied()
        .filter(|package| !exists(package))
        .collect();
    if missing.is_empty() { Ok(()) } else { apt(&missing) }
}

fn apt(packages: &[&str]) -> Result<(), String> {
    if !exists("apt-get") {
        return Err(format!(
            "install these with your package client, then try again: {}",
            packages.join(" ")
        ));
    }
    say(&format!("installing {}", packages.join(" ")));
    run(Command::new("apt-get")
        .args(["update", "-qq"])
        .stdout(Stdio::null()))?;
    let mut install = Command::new("apt-get");
    install
        .args(["install", "-y", "-qq", "--no-install-recommends"])
        .args(packages);
    run(install
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdout(Stdio::null()))
}
