//! Variables that name a secret's file: whether the image reads them, and whether the file is there.

use super::rules::{FILE_VARIABLE_DANGLING, FILE_VARIABLE_DOUBLED, FILE_VARIABLE_UNREAD};
use super::run::Scene;
use super::{Finding, Fix};
use crate::credential::name_sort;
use crate::images::{self, Image};
use crate::model::{Project, Service, Text, Variable};

/// Where the engine puts secrets.
const SECRETS: &str = "/run/secrets/";

pub(super) fn look(scene: &mut Scene<'_>) {
    let project = scene.project;
    for service in &project.services {
        let image = service
            .image
            .as_ref()
            .and_then(|image| images::find(&image.value));
        for variable in &service.resolved {
            let Some(value) = &variable.value else {
                continue;
            };
            if let Some(image) = image {
                if is_unread(image, &variable.name, value) {
                    scene.add(unread(service, image, variable));
                    continue;
                }
                if let Some(finding) = doubled(service, image, variable) {
                    scene.add(finding);
                }
            }
            if let Some(finding) = dangling(project, service, variable, value) {
                scene.add(finding);
            }
        }
    }
}

/// Whether somebody took `name` for a variable that takes a file, and it is none.
fn is_unread(image: &Image, name: &str, value: &Text) -> bool {
    if image.variable_of(name).is_some() {
        return false;
    }
    if image.refused.iter().any(|refused| refused == name) {
        return true;
    }
    let Some(base) = base(name) else {
        return false;
    };
    // A row without variables says nothing of those that there are.
    let is_known = !image.secrets.is_empty() || image.family.is_some();
    is_known && value.value.contains(SECRETS) && name_sort(base).is_some() && is_of(image, base)
}

/// The variable whose file `name` would name.
fn base(name: &str) -> Option<&str> {
    let base = name.strip_suffix("_FILE")?;
    Some(base.trim_end_matches('_'))
}

/// Whether `base` is one of the image's own variables.
fn is_of(image: &Image, base: &str) -> bool {
    image.secret(base).is_some()
        || image
            .family
            .as_ref()
            .is_some_and(|family| !family.of.is_empty() && base.starts_with(&family.of))
}

fn unread(service: &Service, image: &Image, variable: &Variable) -> Finding {
    let name = &variable.name;
    let right = base(name)
        .and_then(|base| image.file_form(base))
        .filter(|form| form.prefix.is_empty() && form.variable != *name)
        .map(|form| form.variable)
        .or_else(|| {
            let files = image.secrets.iter().filter_map(|secret| secret.file.as_deref());
            locket_core::suggest::nearest(name, files).map(str::to_owned)
        });
    let finding = Finding::new(
        &FILE_VARIABLE_UNREAD,
        variable.place,
        format!("{}: {name}", service.name),
        format!("{} does not read `{name}`", image.title),
    );
    match right {
        Some(right) => {
            let fix = Fix::Replace {
                place: variable.place,
                old: name.clone(),
                new: right.clone(),
            };
            finding.help(format!("It reads `{right}`.")).fix(Some(fix))
        }
        None => finding.help(
            "It takes no file for this. A start command can read the file; `locket init` writes one."
                .to_owned(),
        ),
    }
}

/// A value beside its file.
fn doubled(service: &Service, image: &Image, variable: &Variable) -> Option<Finding> {
    let plain = image.variable_of(&variable.name)?;
    let other = service.variable(plain)?;
    other.value.as_ref().filter(|text| !text.is_blank())?;
    Some(
        Finding::new(
            &FILE_VARIABLE_DOUBLED,
            variable.place,
            format!("{}: {}", service.name, variable.name),
            format!("`{}` is given, and `{plain}` beside it", variable.name),
        )
        .help(format!(
            "Remove `{plain}`: {} refuses to start with both.",
            image.title
        )),
    )
}

fn dangling(project: &Project, service: &Service, variable: &Variable, value: &Text) -> Option<Finding> {
    let path = value.value.strip_prefix("file://").unwrap_or(&value.value);
    let name = path.strip_prefix(SECRETS)?;
    let is_one_path = !name.is_empty() && !name.contains([':', ',', ' ', ';']);
    let is_there = service.secret_at(path).is_some()
        || service.configs.iter().any(|grant| grant.config_path() == path)
        || service.volumes.iter().any(|mount| is_below(path, &mount.target))
        || service.tmpfs.iter().any(|mount| {
            let target = mount.value.split(':').next().unwrap_or_default();
            is_below(path, target)
        });
    if !is_one_path || is_there {
        return None;
    }
    let help = match project.secret(name) {
        Some(_) => format!("Add `secrets: [{name}]` to the service."),
        None => format!("Declare a secret `{name}` and grant it to the service."),
    };
    Some(
        Finding::new(
            &FILE_VARIABLE_DANGLING,
            value.place,
            format!("{}: {}", service.name, variable.name),
            format!("`{}` gets no secret at {path}", service.name),
        )
        .help(help),
    )
}

fn is_below(path: &str, directory: &str) -> bool {
    let directory = directory.trim_end_matches('/');
    path == directory
        || path
            .strip_prefix(directory)
            .is_some_and(|rest| rest.starts_with('/'))
}
