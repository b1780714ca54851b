//! Packages of the npm registry, by their hashes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{exists, run, say};

/// One package.
#[derive(Clone, Copy)]
pub(crate) struct Package {
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
    /// Of its archive, as `sha256sum` prints it.
    pub(crate) sha256: &'static str,
}

/// Puts packages where Node finds them for a script in `place`. What they depend on is not looked for.
pub(crate) fn install(place: &Path, packages: &[Package]) -> Result<(), String> {
    for package in packages {
        let installed = place.join("node_modules").join(package.name);
        let archives = place.join(package.name.rsplit('/').next().unwrap_or(package.name));
        if installed.exists() && package.archive(&archives).exists() {
            continue;
        }
        let failed = |error| format!("{}: {error}", installed.display());
        let unpacked = package.unpacked(&archives)?;
        let _ = fs::remove_dir_all(&installed);
        fs::create_dir_all(installed.parent().unwrap_or(place)).map_err(failed)?;
        fs::rename(unpacked, &installed).map_err(failed)?;
    }
    Ok(())
}

impl Package {
    fn archive(&self, place: &Path) -> PathBuf {
        place.join(format!("{}.tgz", self.version))
    }

    /// The archive, fetched into `place` unless it is there, checked and unpacked.
    pub(crate) fn unpacked(&self, place: &Path) -> Result<PathBuf, String> {
        let Self { name, version, .. } = self;
        let failed = |error| format!("{}: {error}", place.display());
        fs::create_dir_all(place).map_err(failed)?;
        let archive = self.archive(place);
        if !archive.exists() {
            if !exists("npm") {
                return Err(format!("npm is missing, which fetches {name}"));
            }
            say(&format!("fetching {name} {version}"));
            let fetched = place.join("fetched");
            let _ = fs::remove_dir_all(&fetched);
            fs::create_dir_all(&fetched).map_err(failed)?;
            run(Command::new("npm")
                .args(["pack", "--silent", "--pack-destination"])
                .arg(&fetched)
                .arg(format!("{name}@{version}"))
                .current_dir(&fetched)
                .stdout(Stdio::null()))?;
            let only = fs::read_dir(&fetched)
                .ok()
                .and_then(|mut entries| entries.next()?.ok());
            let only = only.ok_or_else(|| format!("npm left nothing in {}", fetched.display()))?;
            fs::rename(only.path(), &archive).map_err(failed)?;
            let _ = fs::remove_dir_all(&fetched);
        }
        let found = sha256(&archive)?;
        if found != self.sha256 {
            let _ = fs::remove_file(&archive);
            return Err(format!(
                "{name} {version} has the hash {found} instead of {}",
                self.sha256
            ));
        }
        let package = place.join("package");
        let _ = fs::remove_dir_all(&package);
        run(Command::new("tar").arg("-xzf").arg(&archive).arg("-C").arg(place))?;
        Ok(package)
    }
}

/// The hash of a file, in hexadecimal digits.
pub(crate) fn sha256(path: &Path) -> Result<String, String> {
    let output = Command::new("sha256sum").arg(path).output();
    let output = output.map_err(|error| format!("sha256sum cannot be run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let hash = text.split_whitespace().next().map(str::to_owned);
    hash.ok_or_else(|| format!("{} cannot be read", path.display()))
}
