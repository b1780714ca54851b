//! Which secret is meant, and where it is kept.

use std::path::Path;

use locket_compose::Project;
use locket_compose::model::Origin;
use locket_compose::rotate::{self, Asked, Extent, Kept, Refused, Rotation};

use super::super::project::{SecretFiles, places};
use crate::report::Failure;

/// How the store is named on the command line.
const STORE: &str = "store://";

/// The place that an argument names by itself, in the form of a reference.
pub(super) fn named(name: &str) -> Option<Kept> {
    name.strip_prefix(STORE).map(|name| Kept::Store(name.to_owned()))
}

/// The places in files and the store that `text` refers to.
pub(super) fn references(text: &str, directory: &Path) -> Vec<(Kept, Extent)> {
    let found = places(text).into_iter();
    found
        .filter_map(|(scheme, locator, is_whole)| {
            let kept = match scheme.as_str() {
                "store" => Kept::Store(locator),
                "file" => Kept::File(directory.join(locator)),
                _ => return None,
            };
            let extent = if is_whole { Extent::Whole } else { Extent::Part };
            Some((kept, extent))
        })
        .collect()
}

/// The place that `text` refers to, when it is that reference alone.
pub(super) fn whole(text: &str) -> Option<Kept> {
    let found = references(text, Path::new("/")).into_iter();
    found
        .filter(|(_, extent)| *extent == Extent::Whole)
        .map(|(kept, _)| kept)
        .next()
}

/// Where the project keeps `name`, and what its rotation has to do.
///
/// # Errors
/// There is no such secret, or nobody knows how to change it.
pub(super) fn planned(project: &Project, name: &str, has_exec: bool) -> Result<Rotation, Refused> {
    let references = |text: &str| references(text, &project.directory);
    let kept = match named(name) {
        Some(kept) => Ok(kept),
        None => rotate::kept(project, name, &references),
    };
    kept.and_then(|kept| {
        let derived = match &kept {
            Kept::File(path) => derived(&project.directory, path),
            Kept::Store(_) | Kept::Swarm(_) => Vec::new(),
        };
        let asked = Asked {
            secret: name,
            kept: &kept,
            derived: &derived,
            has_exec,
            references: &references,
        };
        rotate::plan(project, &asked)
    })
}

/// Every secret of the project that is kept in a place where it can be changed, each once.
pub(super) fn every(project: &Project) -> Vec<(String, Kept)> {
    let references = |text: &str| references(text, &project.directory);
    let mut found: Vec<(String, Kept)> = Vec::new();
    let own = project.secrets.iter().filter_map(|secret| match &secret.origin {
        Origin::File { path, .. } => Some((secret.name.clone(), Kept::File(path.clone()))),
        _ => None,
    });
    let referred = rotate::referred(project, &references)
        .into_iter()
        .map(|kept| match &kept {
            Kept::Store(name) => (format!("{STORE}{name}"), kept),
            Kept::File(_) | Kept::Swarm(_) => (kept.name(), kept),
        });
    for (name, kept) in own.chain(referred) {
        if !found.iter().any(|(_, known)| *known == kept) {
            found.push((name, kept));
        }
    }
    found
}

/// What is said of a refusal.
pub(super) fn told(name: &str, refused: Refused) -> Failure {
    match refused {
        Refused::Unknown(near) => {
            let failure = Failure::usage(format!("the project has no secret `{name}`"));
            match near {
                Some(near) => failure.help(format!("Did you mean `{near}`?")),
                None => failure.help("`locket check` lists the secrets of a project."),
            }
        }
        Refused::Elsewhere(why) => Failure::usage(format!("{name} is kept nowhere where it could be changed: {why}"))
            .help("Change it where it comes from."),
        Refused::Unused => Failure::usage(format!("nothing here says where {name} is in force"))
            .help("Name a program that changes it there with `--exec`; `locket store set` changes the store alone."),
        Refused::Unchangeable(service, image) => Failure::usage(format!(
            "{name} is a password of {service}, and how {image} changes it is not known"
        ))
        .help(format!(
            "Changed where it is kept alone it would lock everybody out. Name a program that changes it inside with `--exec`, or in the label {} of {service}.",
            rotate::EXEC_LABEL
        )),
    }
}

/// The secrets of the project that are made of the file `path`: those whose template names it.
fn derived(directory: &Path, path: &Path) -> Vec<String> {
    let files = SecretFiles::of(directory);
    let Ok(entries) = std::fs::read_dir(files.directory()) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|template| template.extension().is_some_and(|ending| ending == "tmpl"))
        .filter(|template| {
            let text = std::fs::read(template).unwrap_or_default();
            super::super::project::references(&text, directory)
                .iter()
                .any(|named| named == path)
        })
        .filter_map(|template| Some(template.file_stem()?.to_string_lossy().into_owned()))
        .collect();
    names.sort();
    names
}
