//! Where an agent of ours in the project writes: memory it should be.

use locket_core::ImageName;

use super::Finding;
use super::rules::OUTPUT_ON_DISK;
use super::run::Scene;
use crate::model::{Mount, MountKind, Service};

/// Where the agent writes when it is told nothing.
const DEFAULT: &str = "/run/secrets/locket";

pub(super) fn look(scene: &mut Scene<'_>) {
    let project = scene.project;
    for service in project.services.iter().filter(|service| is_agent(service)) {
        for output in outputs(service) {
            let mount = service
                .volumes
                .iter()
                .filter(|mount| is_below(&output, &mount.target))
                .max_by_key(|mount| mount.target.len());
            if let Some(mount) = mount
                && let Some(what) = disk(scene, mount)
            {
                scene.add(Finding::new(
                    &OUTPUT_ON_DISK,
                    mount.place,
                    format!("{}: {}", service.name, mount.target),
                    format!("`{}` writes secrets to {what}", service.name),
                ));
            }
        }
    }
}

/// Whether the service runs locket.
pub(super) fn is_agent(service: &Service) -> bool {
    service
        .image
        .as_ref()
        .is_some_and(|image| ImageName::of(&image.value).repository.ends_with("locket"))
}

/// What kind of disk the mount is, if it is one.
fn disk(scene: &Scene<'_>, mount: &Mount) -> Option<String> {
    match &mount.kind {
        MountKind::Tmpfs | MountKind::Other => None,
        MountKind::Anonymous => Some("a volume on a disk".to_owned()),
        MountKind::Bind { path, text } => {
            let is_disk = !scene.surroundings.is_memory(path);
            is_disk.then(|| format!("{}, which is on a disk", text.value))
        }
        MountKind::Volume(name) => {
            let volume = scene.project.volume(name);
            let is_elsewhere = volume.is_some_and(|volume| {
                let own = volume.driver.as_deref().is_none_or(|driver| driver == "local");
                !own || volume.is_external || volume.is_tmpfs()
            });
            (!is_elsewhere).then(|| format!("the volume `{name}`, which is on a disk"))
        }
    }
}

/// The directories and files that the agent is told to write.
fn outputs(service: &Service) -> Vec<String> {
    let words: Vec<&str> = service
        .entrypoint
        .iter()
        .chain(&service.command)
        .flat_map(|words| &words.words)
        .flat_map(|word| word.value.split_whitespace())
        .collect();
    let mut outputs = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let following = || words.get(at + 1).copied();
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (*word, following()),
        };
        match (name, value) {
            ("--map", Some(map)) => outputs.extend(destination(map)),
            ("--out", Some(out)) => outputs.push(out.to_owned()),
            _ => {}
        }
    }
    for variable in &service.resolved {
        let Some(value) = variable.value.as_ref().map(|text| text.value.as_str()) else {
            continue;
        };
        match variable.name.as_str() {
            "SECRET_MAP" => {
                let separator = if value.contains(';') { ';' } else { ',' };
                outputs.extend(value.split([separator, '\n']).filter_map(destination));
            }
            "DEFAULT_SECRET_DIR" => outputs.push(value.to_owned()),
            _ => {}
        }
    }
    if outputs.is_empty() {
        outputs.push(DEFAULT.to_owned());
    }
    outputs
}

/// The second half of `SRC:DST[:…]`.
fn destination(map: &str) -> Option<String> {
    let map = map.trim().trim_matches(['"', '\'']);
    let (_, behind) = map.split_once(':').or_else(|| map.split_once('='))?;
    let destination = behind.split(':').next().unwrap_or(behind);
    (!destination.is_empty()).then(|| destination.to_owned())
}

fn is_below(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
