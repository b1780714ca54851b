//! What is published of a release: the archive of a platform, its checksum, and the script that installs it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{root, run, say};

/// The script that installs and updates, which every archive holds as well.
const INSTALL: &str = "deploy/install.sh";

/// What is in an archive beside the binary, from the workspace.
const TEXTS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    INSTALL,
];

/// What is in an archive beside the binary, made by the binary.
const MADE: &[&str] = &["completions", "man", "locket.schema.json"];

/// Packs the binary of `target` and what goes with it into `home`, and gives the archive. Packed twice, it is the same
/// to the byte.
pub(crate) fn pack(binary: &Path, target: &str, home: &Path) -> Result<PathBuf, String> {
    let name = format!("locket-{target}");
    let stage = home.join(&name);
    if stage.exists() {
        fs::remove_dir_all(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
    }
    fs::create_dir_all(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
    let texts = TEXTS.iter().map(|text| root().join(text));
    let parts = texts.chain(MADE.iter().map(|made| home.join(made)));
    run(Command::new("cp").arg("-r").args(parts).arg(binary).arg(&stage))?;
    fs::copy(root().join(INSTALL), home.join("install.sh")).map_err(|error| format!("{INSTALL}: {error}"))?;
    let archive = home.join(format!("{name}.tar.xz"));
    compress(home, &name, &archive)?;
    fs::remove_dir_all(&stage).map_err(|error| format!("{}: {error}", stage.display()))?;
    let sum = Command::new("sha256sum")
        .arg(format!("{name}.tar.xz"))
        .current_dir(home)
        .output()
        .map_err(|error| format!("sha256sum cannot be run: {error}"))?;
    if !sum.status.success() {
        return Err(format!("sha256sum ended with {}", sum.status));
    }
    let checksum = home.join(format!("{name}.tar.xz.sha256"));
    fs::write(&checksum, sum.stdout).map_err(|error| format!("{}: {error}", checksum.display()))?;
    say(&format!(
        "{}, with its checksum and install.sh",
        archive.display()
    ));
    Ok(archive)
}

/// Nothing of the machine or the day is in it: names in order, no owner, one date.
fn compress(home: &Path, name: &str, archive: &Path) -> Result<(), String> {
    let mut tar = Command::new("tar")
        .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--mode=u+w,go-w,a+rX", "--mtime=@0", "--format=gnu", "-cf", "-"])
        .arg(name)
        .current_dir(home)
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("tar cannot be run: {error}"))?;
    let packed = tar.stdout.take().ok_or("tar has no output")?;
    let file = fs::File::create(archive).map_err(|error| format!("{}: {error}", archive.display()))?;
    run(Command::new("xz").arg("-c").stdin(packed).stdout(file))?;
    match tar.wait() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("tar ended with {status}")),
        Err(error) => Err(format!("tar: {error}")),
    }
}
