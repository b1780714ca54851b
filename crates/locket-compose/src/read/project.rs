//! The top of the tree.

use std::path::PathBuf;

use super::{env_files, secrets, service, volumes};
use crate::load::{Loader, Variables};
use crate::model::Project;
use crate::yaml::{Entry, Node};

pub(crate) fn project(
    mut loader: Loader<'_>,
    root: &Node,
    directory: PathBuf,
    name: Option<String>,
    variables: Variables,
) -> Project {
    let mut services: Vec<_> = entries(&mut loader, root, "services")
        .iter()
        .filter_map(|entry| service::service(&mut loader, entry))
        .collect();
    let definitions = |loader: &mut Loader<'_>, section: &str| {
        let entries = entries(loader, root, section);
        entries
            .iter()
            .map(|entry| secrets::definition(loader, entry))
            .collect()
    };
    let secrets = definitions(&mut loader, "secrets");
    let configs = definitions(&mut loader, "configs");
    let volumes = entries(&mut loader, root, "volumes")
        .iter()
        .map(volumes::definition)
        .collect();
    for service in &mut services {
        env_files::resolve(&mut loader, service, &variables);
    }
    let own = root.get("name").and_then(Node::as_str).map(str::to_owned);
    let name = name.or(own).unwrap_or_else(|| {
        let directory = directory.file_name().unwrap_or_default().to_string_lossy();
        normalized(&directory)
    });
    Project {
        name,
        directory,
        services,
        secrets,
        configs,
        volumes,
        env_texts: loader.env_texts,
        sources: loader.sources,
        mistakes: loader.mistakes,
        variables,
    }
}

/// The entries of a section of the file.
fn entries(loader: &mut Loader<'_>, root: &Node, section: &str) -> Vec<Entry> {
    let Some(node) = root.get(section).filter(|node| !node.is_null()) else {
        return Vec::new();
    };
    match node.as_map() {
        Some(map) => map.0.clone(),
        None => {
            let message = format!("`{section}` is a map of names");
            loader.wrong(node.place, message, format!("Write `{section}: {{NAME: …}}`."));
            Vec::new()
        }
    }
}

/// A directory's name as Compose makes a project's name of it.
fn normalized(name: &str) -> String {
    let kept: String = name
        .to_lowercase()
        .chars()
        .filter(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || matches!(char, '_' | '-'))
        .collect();
    kept.trim_start_matches(['_', '-']).to_owned()
}
