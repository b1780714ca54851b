//! Secrets that are declared and those that are used: both should be the same.

use locket_core::suggest;

use super::Finding;
use super::rules::{SECRET_OPTIONS_IGNORED, UNDECLARED_SECRET, UNUSED_SECRET};
use super::run::Scene;
use crate::model::{Grant, Origin, Project};

pub(super) fn look(scene: &mut Scene<'_>) {
    let project = scene.project;
    for service in &project.services {
        let build = service.build.iter().flat_map(|build| &build.secrets);
        for grant in service.secrets.iter().chain(build) {
            match project.secret(&grant.source) {
                None => scene.add(undeclared(project, &service.name, grant)),
                Some(definition) => {
                    if matches!(definition.origin, Origin::File { .. })
                        && let Some(ignored) = ignored(grant)
                    {
                        scene.add(Finding::new(
                            &SECRET_OPTIONS_IGNORED,
                            grant.place,
                            format!("{}: {}", service.name, grant.source),
                            format!(
                                "`{}` is a file, for which Compose ignores {ignored}",
                                grant.source
                            ),
                        ));
                    }
                }
            }
        }
    }
    for definition in &project.secrets {
        if !grants(project).any(|grant| grant.source == definition.name) {
            scene.add(Finding::new(
                &UNUSED_SECRET,
                definition.place,
                definition.name.clone(),
                format!("no service gets the secret `{}`", definition.name),
            ));
        }
    }
}

/// Every grant of every service and build.
fn grants(project: &Project) -> impl Iterator<Item = &Grant> {
    project.services.iter().flat_map(|service| {
        let build = service.build.iter().flat_map(|build| &build.secrets);
        service.secrets.iter().chain(build)
    })
}

fn undeclared(project: &Project, service: &str, grant: &Grant) -> Finding {
    let names = project.secrets.iter().map(|secret| secret.name.as_str());
    let finding = Finding::new(
        &UNDECLARED_SECRET,
        grant.place,
        format!("{service}: {}", grant.source),
        format!("the secret `{}` is not declared", grant.source),
    );
    match suggest::nearest(&grant.source, names) {
        Some(near) => finding.help(format!("Did you mean `{near}`?")),
        None => finding.help(format!(
            "Declare it at the top of the file: `secrets: {{{}: {{file: ./secrets/{}.txt}}}}`.",
            grant.source, grant.source
        )),
    }
}

/// What of a grant has no effect on a file.
fn ignored(grant: &Grant) -> Option<String> {
    let names: Vec<_> = [
        grant.uid.as_ref().map(|_| "`uid`"),
        grant.gid.as_ref().map(|_| "`gid`"),
        grant.mode.map(|_| "`mode`"),
    ]
    .into_iter()
    .flatten()
    .collect();
    (!names.is_empty()).then(|| names.join(" and "))
}
