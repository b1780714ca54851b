//! The managed plugin, as `docker plugin create` takes it: a root file system with the static binary and nothing else,
//! and what the plugin may do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{root, run as step, say};
use crate::{dist, image};

/// Writes the plugin's directory; with a name, gives it to the engine under that name, too.
pub(crate) fn run(arguments: &[String]) -> Result<(), String> {
    let name = match arguments {
        [] => None,
        [name] if !name.starts_with('-') => Some(name),
        _ => return Err("usage: cargo xtask plugin [NAME]".to_owned()),
    };
    let home = assemble(
        &dist::build()?,
        &image::bill_of_materials(&[])?,
        &root().join("target/plugin"),
    )?;
    let create = format!("docker plugin create locket {}", home.display());
    match name {
        Some(name) => step(Command::new("docker").args(["plugin", "create", name]).arg(&home)),
        None => {
            say(&create);
            Ok(())
        }
    }
}

/// The directory with `config.json` and `rootfs`, made anew.
fn assemble(binary: &Path, bill: &str, home: &Path) -> Result<PathBuf, String> {
    let failed = |error: std::io::Error| format!("{}: {error}", home.display());
    if home.exists() {
        fs::remove_dir_all(home).map_err(failed)?;
    }
    let documents = home.join("rootfs/usr/share/doc/locket");
    fs::create_dir_all(&documents).map_err(failed)?;
    fs::write(documents.join("sbom.cdx.json"), bill).map_err(failed)?;
    fs::copy(binary, home.join("rootfs/locket")).map_err(failed)?;
    fs::copy(root().join("deploy/plugin/config.json"), home.join("config.json")).map_err(failed)?;
    Ok(home.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_holds_what_the_configuration_starts_and_nothing_of_before() {
        let home = std::env::temp_dir().join(format!("locket-plugin-{}", std::process::id()));
        fs::create_dir_all(home.join("rootfs/old")).unwrap();
        let own = std::env::current_exe().unwrap();
        assemble(&own, "{}", &home).unwrap();
        let text = fs::read_to_string(home.join("config.json")).unwrap();
        assert!(text.contains("\"entrypoint\": [\n    \"/locket\",\n    \"plugin\""));
        assert!(home.join("rootfs/locket").is_file());
        assert!(!home.join("rootfs/old").exists());
        assert!(assemble(Path::new("/nowhere"), "{}", &home).is_err());
        fs::remove_dir_all(&home).unwrap();
    }
}
