//! The core from npm, by its hash, and its compiled form beside the other services.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::glue;
use crate::command::{cargo, root, run, say};
use crate::npm::{self, Package, sha256};
use crate::services;

const CORE: Package = Package {
    name: "@1password/sdk-core",
    version: "0.5.0",
    sha256: "f9963460fe8f3840791fb9609487d5b428d948524c30603cdd0bcb1bbf2e9ade",
};

/// That of the core, as its package says.
const LICENCE: &str = "MIT";

/// The official client of this core, for tests.
const CLIENT: Package = Package {
    name: "@1password/sdk",
    version: "0.5.0",
    sha256: "e1c5a832888c61c78a622ab1dd694f99eca192a4b7829ad0a7bec385d858309a",
};

/// The name under which the program looks for it.
pub(crate) const COMPILED: &str = "op-core.cwasm";

/// Makes the compiled core where it is missing or older than what it is made of, and gives its path. The imports are
/// compared with those that the program knows; with `update` that table is written anew.
pub(crate) fn make(arguments: &[String]) -> Result<PathBuf, String> {
    let update = match arguments {
        [] => false,
        [word] if word == "--update" => true,
        _ => return Err("op-core takes `--update` or nothing".to_owned()),
    };
    let home = services::home()?;
    let place = home.join("op-core");
    let package = CORE.unpacked(&place)?;
    let js = package.join("nodejs/core.js");
    let js = fs::read_to_string(&js).map_err(|error| format!("{}: {error}", js.display()))?;
    check_glue(&place, &js, update)?;
    compiled(&place, &package.join("nodejs/core_bg.wasm"))
}

/// The core in a list of what something was made of, in the form of CycloneDX.
pub(crate) fn component() -> String {
    let Package { name, version, .. } = CORE;
    format!(
        "{{ \"type\": \"library\", \"name\": \"{name}\", \"version\": \"{version}\", \
         \"purl\": \"pkg:npm/{}@{version}\", \"licenses\": [{{ \"expression\": \"{LICENCE}\" }}] }}",
        name.replace('@', "%40")
    )
}

/// Puts the official client where Node finds it, for tests.
pub(crate) fn install_client(home: &Path) -> Result<(), String> {
    npm::install(&home.join("op-sdk"), &[CLIENT, CORE])
}

/// The table in the program has to be the one of this JavaScript.
fn check_glue(home: &Path, js: &str, update: bool) -> Result<(), String> {
    let table = root().join("crates/locket-providers/src/op/core/glue.rs");
    let made = home.join("glue.rs");
    fs::write(&made, glue::source(js, CORE.version)?)
        .map_err(|error| format!("{}: {error}", made.display()))?;
    run(Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(root().join("rustfmt.toml"))
        .arg(&made))?;
    let wanted = fs::read_to_string(&made).map_err(|error| format!("{}: {error}", made.display()))?;
    let known = fs::read_to_string(&table).unwrap_or_default();
    match known == wanted {
        true => Ok(()),
        false if update => fs::write(&table, wanted).map_err(|error| format!("{}: {error}", table.display())),
        false => Err(format!(
            "{} is not what the core's JavaScript says; `cargo xtask op-core --update` writes it anew",
            table.display()
        )),
    }
}

/// The module compiled ahead of time, by a program of its own: the compiler is no part of ours.
fn compiled(home: &Path, module: &Path) -> Result<PathBuf, String> {
    let compiled = home.join(COMPILED);
    let made_of = [
        root().join("xtask/op-core/Cargo.lock"),
        root().join("xtask/op-core/src/main.rs"),
        root().join("crates/locket-wasm/src/config.rs"),
    ];
    let mut recipe = format!("{}\n", CORE.sha256);
    for file in &made_of {
        recipe += &sha256(file)?;
        recipe.push('\n');
    }
    let stamp = home.join("op-core.made-of");
    if compiled.exists() && fs::read_to_string(&stamp).is_ok_and(|of| of == recipe) {
        return Ok(compiled);
    }
    say("building the compiler for 1Password's core, which takes minutes, then compiling the core");
    let _ = fs::remove_file(&stamp);
    let manifest = root().join("xtask/op-core/Cargo.toml");
    let mut build = cargo(&["run", "--quiet", "--locked", "--release", "--manifest-path"]);
    run(build.arg(manifest).arg("--").arg(module).arg(&compiled))?;
    fs::write(&stamp, recipe).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(compiled)
}
