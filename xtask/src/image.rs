//! The container images: a static binary and the list of what it was built from, on top of nothing. That of 1Password's
//! service accounts holds 1Password's own core beside them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, root, run as step, say};
use crate::dist;
use crate::features::SETS;
use crate::op_core;

/// What an image is made by.
pub(crate) const FILE: &str = "deploy/image/Dockerfile";

/// Builds `locket:latest`, or `locket:SET` of each set that is named.
pub(crate) fn run(sets: &[String]) -> Result<(), String> {
    if sets.is_empty() {
        return image("latest", "", &dist::build()?, &[]);
    }
    for name in sets {
        let set = SETS.iter().find(|set| set.name == name).ok_or_else(|| {
            let names: Vec<_> = SETS.iter().map(|set| set.name).collect();
            format!("there is no slim set `{name}`; there are {}", names.join(", "))
        })?;
        let features = set.features();
        let binary = dist::build_with(&features)?;
        let listed = features.join(",");
        image(set.name, set.provider, &binary, &chosen(&listed))?;
    }
    Ok(())
}

/// What tells cargo that only these features count.
pub(crate) fn chosen(features: &str) -> [&str; 3] {
    ["--no-default-features", "--features", features]
}

fn image(tag: &str, provider: &str, binary: &Path, features: &[&str]) -> Result<(), String> {
    let context = context(tag, binary, features)?;
    let mut build = Command::new("docker");
    build.args(["build", "--file"]).arg(root().join(FILE));
    for (name, value) in [
        ("VERSION", env!("CARGO_PKG_VERSION")),
        ("REVISION", revision().as_str()),
        ("PROVIDER", provider),
    ] {
        build.args(["--build-arg", &format!("{name}={value}")]);
    }
    step(build.args(["--tag", &format!("locket:{tag}")]).arg(&context))?;
    say(&format!("locket:{tag}"));
    Ok(())
}

/// The directory that an image is made of.
pub(crate) fn context(tag: &str, binary: &Path, features: &[&str]) -> Result<PathBuf, String> {
    let context = root().join("target/image").join(tag);
    let failed = |error: std::io::Error| format!("{}: {error}", context.display());
    fs::create_dir_all(&context).map_err(failed)?;
    fs::copy(binary, context.join("locket")).map_err(failed)?;
    let mut bill = bill_of_materials(features)?;
    if holds_core(tag) {
        fs::copy(op_core::make(&[])?, context.join(op_core::COMPILED)).map_err(failed)?;
        bill = with_core(&bill)?;
    }
    fs::write(context.join("sbom.cdx.json"), bill).map_err(failed)?;
    Ok(context)
}

/// Whether the image has 1Password's own core: where nothing but a service account is asked, four times the weight is
/// worth it.
fn holds_core(tag: &str) -> bool {
    SETS.iter().any(|set| set.name == tag && set.provider == "op")
}

/// A bill of materials with 1Password's own core among the components.
fn with_core(bill: &str) -> Result<String, String> {
    let (before, after) = bill
        .rsplit_once("\n  ]\n}")
        .ok_or("the bill of materials has no components")?;
    Ok(format!("{before},\n    {}\n  ]\n}}{after}", op_core::component()))
}

/// The commit, where there is one.
fn revision() -> String {
    let git = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(root())
        .output();
    let known = git.ok().filter(|output| output.status.success());
    known.map_or_else(
        || "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}

/// What is in the binary, as CycloneDX 1.5 (<https://cyclonedx.org/docs/1.5/json/>).
pub(crate) fn bill_of_materials(features: &[&str]) -> Result<String, String> {
    let mut tree = cargo(&["tree", "--locked", "--package", "locket", "--edges", "normal"]);
    tree.args(["--prefix", "none", "--no-dedupe", "--format", "{p}|{l}"]);
    let output = tree
        .args(features)
        .output()
        .map_err(|error| format!("cargo tree cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let listed = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<&str> = listed.lines().collect();
    let own = lines.first().copied().unwrap_or_default();
    let own = component("application", own).ok_or("cargo tree lists nothing")?;
    lines.remove(0);
    lines.sort_unstable();
    lines.dedup();
    let components: Vec<_> = lines
        .iter()
        .filter_map(|line| component("library", line))
        .collect();
    let mut bill =
        String::from("{\n  \"bomFormat\": \"CycloneDX\",\n  \"specVersion\": \"1.5\",\n  \"version\": 1,\n");
    let _ = writeln!(bill, "  \"metadata\": {{ \"component\": {own} }},");
    let _ = writeln!(
        bill,
        "  \"components\": [\n    {}\n  ]\n}}",
        components.join(",\n    ")
    );
    Ok(bill)
}

/// A line of `cargo tree`, `NAME vVERSION …|LICENCE`, as a component.
fn component(kind: &str, line: &str) -> Option<String> {
    let (package, licence) = line.split_once('|')?;
    let mut words = package.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    // The older way to write a choice.
    let licence = licence.replace('/', " OR ");
    let licences = match licence.is_empty() {
        true => String::new(),
        false => format!(", \"licenses\": [{{ \"expression\": \"{licence}\" }}]"),
    };
    Some(format!(
        "{{ \"type\": \"{kind}\", \"name\": \"{name}\", \"version\": \"{version}\", \
         \"purl\": \"pkg:cargo/{name}@{version}\"{licences} }}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_tree_is_a_component_with_its_licence() {
        assert_eq!(
            component("library", "ring v0.17.14|Apache-2.0 AND ISC").as_deref(),
            Some(
                "{ \"type\": \"library\", \"name\": \"ring\", \"version\": \"0.17.14\", \
                 \"purl\": \"pkg:cargo/ring@0.17.14\", \"licenses\": [{ \"expression\": \"Apache-2.0 AND ISC\" }] }"
            )
        );
        assert!(
            component("library", "a v1 (proc-macro)|MIT/Apache-2.0")
                .is_some_and(|it| it.contains("MIT OR Apache-2.0"))
        );
        assert!(component("library", "").is_none());
    }

    #[test]
    fn the_image_for_service_accounts_alone_holds_the_core() {
        let holding: Vec<_> = SETS.iter().filter(|set| holds_core(set.name)).collect();
        assert_eq!(holding.len(), 1);
        assert!(holding[0].features().contains(&"op"));
        assert!(!holds_core("latest"));
    }

    #[test]
    fn what_is_linked_is_listed_and_what_only_tests_use_is_not() {
        let bill = bill_of_materials(&[]).unwrap();
        for linked in ["rustls", "locket-engine", "age"] {
            assert!(bill.contains(&format!("\"name\": \"{linked}\"")), "{linked}");
        }
        for absent in ["proptest", "locket-testkit", "insta"] {
            assert!(!bill.contains(&format!("\"name\": \"{absent}\"")), "{absent}");
        }
        assert!(!bill.contains("sdk-core"));
        let whole = with_core(&bill).unwrap();
        assert!(whole.contains("\"purl\": \"pkg:npm/%401password/sdk-core@"));
        assert_eq!(whole.lines().count(), bill.lines().count() + 1);
        assert!(whole.trim_end().ends_with("] }\n  ]\n}"), "{whole}");
        let slim = bill_of_materials(&["--no-default-features", "--features", "connect"]).unwrap();
        assert!(slim.len() < bill.len() && !slim.contains("\"name\": \"age\""));
    }
}
