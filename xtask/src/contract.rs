//! Official clients that are too heavy for every run. Each runs when its provider or its fake is not what it last passed
//! with: `xtask/services/contract.txt` records the digest of those files.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, root, run as step, say};
use crate::services;

/// One client, and what it vouches for.
struct Client {
    /// The name of its pins in `xtask/services`, and of the directory that they are installed into.
    name: &'static str,
    installer: Installer,
    /// The tests of `crates/locket/tests/it` that run it.
    tests: &'static str,
    /// Files and directories whose change makes it run again.
    about: &'static [&'static str],
}

/// Whose pins they are.
enum Installer {
    /// Packages of a Python environment.
    Pip,
    /// The crate of a program.
    Cargo,
}

const CLIENTS: &[Client] = &[
    Client {
        name: "bws",
        installer: Installer::Cargo,
        tests: "bitwarden_official_client::the_official_program",
        about: &[
            "crates/locket-providers/src/bws",
            "crates/locket-testkit/src/fakes/bitwarden",
            "crates/locket/tests/it/bitwarden_official_client.rs",
            "xtask/services/bws.txt",
        ],
    },
    Client {
        name: "oci",
        installer: Installer::Pip,
        tests: "oci_official_client::",
        about: &[
            "crates/locket-providers/src/oci",
            "crates/locket-testkit/src/fakes/oci",
            "crates/locket/tests/it/oci_official_client.py",
            "crates/locket/tests/it/oci_official_client.rs",
            "xtask/services/oci.txt",
        ],
    },
];

/// Which of them run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    All,
    Changed,
}

/// Runs clients against their fakes, and records what they passed with.
pub(crate) fn run(home: &Path, choice: Choice) -> Result<(), String> {
    let path = root().join("xtask/services/contract.txt");
    let mut record = Record::read(&path);
    for client in CLIENTS {
        let digest = client.digest()?;
        if choice == Choice::Changed && record.has(client.name, &digest) {
            say(&format!("{}: unchanged since it passed", client.name));
            continue;
        }
        client.install(home)?;
        let mut tests = cargo(&["test", "--workspace", "--locked", "--test", "it", client.tests]);
        step(tests.env("LOCKET_SERVICES_DIR", home).env("LOCKET_CONTRACT", "1"))?;
        record.set(client.name, &digest);
        record.write(&path)?;
    }
    Ok(())
}

impl Client {
    fn install(&self, home: &Path) -> Result<(), String> {
        let Self { name, installer, .. } = self;
        let place = home.join("contract").join(name);
        fs::create_dir_all(home.join("contract")).map_err(|error| format!("{}: {error}", home.display()))?;
        let pins = format!("{name}.txt");
        match installer {
            Installer::Pip => services::environment(
                &place,
                &pins,
                &format!("installing the official client of {name}"),
            ),
            Installer::Cargo => {
                services::program(&place, &pins, &format!("building the official program {name}"))
            }
        }
    }

    /// The digest of all that it vouches for: names and contents, in the order of the names.
    fn digest(&self) -> Result<String, String> {
        let mut files = Vec::new();
        for name in self.about {
            collect(Path::new(name), &mut files)?;
        }
        files.sort();
        let mut digests = Command::new("sh");
        digests
            .args(["-c", r#"sha256sum -- "$@" | sha256sum | cut -c1-64"#, "digests"])
            .args(files)
            .current_dir(root());
        let output = digests.output().map_err(|error| format!("sha256sum: {error}"))?;
        let digest = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.success() && digest.len() == 64 {
            true => Ok(digest),
            false => Err(format!("sha256sum: {}", String::from_utf8_lossy(&output.stderr))),
        }
    }
}

/// The page of a provider is no part of what a client can vouch for.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), String> {
    let place = root().join(path);
    if place.is_file() {
        if path.extension().is_none_or(|extension| extension != "md") {
            files.push(path.to_owned());
        }
        return Ok(());
    }
    let entries = fs::read_dir(&place).map_err(|error| format!("{}: {error}", place.display()))?;
    for entry in entries {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        collect(&path.join(name), files)?;
    }
    Ok(())
}

/// Lines of a client's name and the digest that it passed with.
struct Record(Vec<(String, String)>);

impl Record {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_default();
        let lines = text.lines().filter_map(|line| line.split_once(' '));
        Self(
            lines
                .map(|(name, digest)| (name.to_owned(), digest.to_owned()))
                .collect(),
        )
    }

    fn has(&self, name: &str, digest: &str) -> bool {
        self.0
            .iter()
            .any(|(known, passed)| known == name && passed == digest)
    }

    fn set(&mut self, name: &str, digest: &str) {
        self.0.retain(|(known, _)| known != name);
        self.0.push((name.to_owned(), digest.to_owned()));
        self.0.sort();
    }

    fn write(&self, path: &Path) -> Result<(), String> {
        let lines: String = self
            .0
            .iter()
            .map(|(name, digest)| format!("{name} {digest}\n"))
            .collect();
        fs::write(path, lines).map_err(|error| format!("{}: {error}", path.display()))
    }
}
