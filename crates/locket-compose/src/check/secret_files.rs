//! The files that secrets come from: there, shut for others, open for their readers, out of git, without white space.

use std::path::{Component, Path, PathBuf};

use super::access::{Reader, has_unknown_reader, readers};
use super::rules::{
    SECRET_FILE_EMPTY, SECRET_FILE_MISSING, SECRET_FILE_MODE, SECRET_FILE_OLD, SECRET_FILE_TRACKED,
    SECRET_FILE_UNIGNORED, SECRET_FILE_UNREADABLE, SECRET_FILE_WHITESPACE,
};
use super::run::Scene;
use super::{Finding, Fix, Git, Kind, Stat};
use crate::credential::{Sort, name_sort};
use crate::images;
use crate::model::{Definition, Origin, Text};
use crate::place::Place;

/// One file that holds a secret.
struct SecretFile<'a> {
    definition: &'a Definition,
    path: &'a Path,
    text: &'a Text,
}

pub(super) fn look(scene: &mut Scene<'_>) {
    let project = scene.project;
    let files: Vec<_> = project
        .secrets
        .iter()
        .filter_map(|definition| match &definition.origin {
            Origin::File { path, text } => Some(SecretFile {
                definition,
                path,
                text,
            }),
            _ => None,
        })
        .collect();
    for file in &files {
        match scene.surroundings.stat(file.path) {
            None => missing(scene, file),
            Some(stat) if stat.kind == Kind::Directory => {
                let shown = scene.shown_path(file.path);
                scene.add(
                    file.finding(
                        &SECRET_FILE_MISSING,
                        format!("{shown} is a directory, where the secret `{}` should be", file.name()),
                    )
                    .help("The engine makes one when it is to mount a file that is missing. Remove it, then make the file."),
                );
            }
            Some(stat) if stat.kind == Kind::File => {
                access(scene, file, &stat);
                content(scene, file);
                age(scene, file, &stat);
            }
            Some(_) => {}
        }
    }
    let mut places: Vec<(PathBuf, Place, String)> = files
        .iter()
        .filter(|file| scene.surroundings.exists(file.path))
        .map(|file| (file.path.to_owned(), file.text.place, file.name().to_owned()))
        .collect();
    places.extend(env_files(scene));
    git(scene, &places);
}

impl SecretFile<'_> {
    fn name(&self) -> &str {
        &self.definition.name
    }

    fn finding(&self, rule: &'static super::Rule, message: String) -> Finding {
        Finding::new(rule, self.text.place, self.name(), message)
    }
}

fn missing(scene: &mut Scene<'_>, file: &SecretFile<'_>) {
    let readers: Vec<_> = readers(scene.project, file.name())
        .map(|(_, reader)| reader)
        // Whoever makes the file can read it.
        .filter(|reader| reader.uid != 0 && Some(reader.uid) != scene.surroundings.user())
        .collect();
    let has_unknown = has_unknown_reader(scene.project, file.name());
    let (mode, owner) = match readers.as_slice() {
        [] if !has_unknown => (0o600, None),
        [first, rest @ ..]
            if scene.options.is_root && !has_unknown && rest.iter().all(|reader| reader.uid == first.uid) =>
        {
            (0o400, Some(first.uid))
        }
        // Its directory is made shut by the next round.
        _ if shuttable(scene, file.path).is_some() => (0o644, None),
        // Who reads it is told by the next round, as far as it is known.
        _ => (0o600, None),
    };
    let path = file.path.to_owned();
    let is_ours = is_ours_to_choose(scene, file);
    let shown = scene.shown_path(file.path);
    let (help, fix) = match is_ours {
        true => (
            "It is a password that nobody else has to know.",
            Fix::Make { path, mode, owner },
        ),
        false => (
            "Paste the value, then end the input with Ctrl-D.",
            Fix::Paste { path, mode },
        ),
    };
    scene.add(
        file.finding(
            &SECRET_FILE_MISSING,
            format!("the file {shown} of the secret `{}` does not exist", file.name()),
        )
        .help(help)
        .fix(Some(fix)),
    );
}

/// Whether any value does, as long as everybody who needs it gets the same.
fn is_ours_to_choose(scene: &Scene<'_>, file: &SecretFile<'_>) -> bool {
    let is_set_by_image = scene.project.services.iter().any(|service| {
        let Some(image) = service
            .image
            .as_ref()
            .and_then(|image| images::find(&image.value))
        else {
            return false;
        };
        let grants = service.secrets.iter().filter(|grant| grant.source == file.name());
        grants.into_iter().any(|grant| {
            let path = grant.secret_path();
            service.resolved.iter().any(|variable| {
                let names_it = variable
                    .value
                    .as_ref()
                    .is_some_and(|text| text.value.ends_with(&path));
                let of = image
                    .variable_of(&variable.name)
                    .and_then(|name| image.secret(name));
                names_it && of.is_some_and(|secret| secret.role.is_some())
            })
        })
    });
    is_set_by_image || name_sort(file.name()) == Some(Sort::Password)
}

fn access(scene: &mut Scene<'_>, file: &SecretFile<'_>, stat: &Stat) {
    let project = scene.project;
    let shown = scene.shown_path(file.path);
    let needs_others = |reader: &Reader| reader.uid != 0 && reader.uid != stat.uid;
    let foreign: Vec<_> = readers(project, file.name())
        .map(|(_, reader)| reader)
        .filter(needs_others)
        .collect();
    let has_unknown = has_unknown_reader(project, file.name());
    let is_open = stat.mode & 0o007 != 0 && !stat.is_shut;
    let directory = shuttable(scene, file.path);
    if is_open {
        let finding = file.finding(
            &SECRET_FILE_MODE,
            format!(
                "everybody on this machine can read {shown}, whose mode is {:o}",
                stat.mode
            ),
        );
        let shut = |path: &Path, mode: u32| {
            Some(Fix::Access {
                path: path.to_owned(),
                mode: Some(mode),
                owner: None,
            })
        };
        scene.add(match (foreign.is_empty() && !has_unknown, directory) {
            (true, _) => finding.fix(shut(file.path, 0o600)),
            (false, Some(directory)) => finding.fix(shut(directory, 0o700)),
            (false, None) if foreign.is_empty() => finding.help(
                "Which user its readers run as is not known. Say it with `user:`, or move the file to a directory `secrets` of the project and shut that with `chmod 700`.",
            ),
            // Others than the services may need what else is in that directory.
            (false, None) => finding.help(
                "Its readers need that mode, and its directory is not for secrets alone. Move it to a directory `secrets` of the project and shut that with `chmod 700`, or give it to its only reader with `chown` and take the mode from it with `chmod 600`.",
            ),
        });
    }
    let is_only_reader =
        |reader: &Reader| !has_unknown && foreign.iter().all(|other| other.uid == reader.uid);
    let barred = readers(project, file.name()).find(|(_, reader)| reader.reads(stat) == Some(false));
    if let Some((service, reader)) = barred {
        let is_only_reader = is_only_reader(&reader);
        let given = |mode: Option<u32>, owner: Option<u32>| {
            Some(Fix::Access {
                path: file.path.to_owned(),
                mode,
                owner,
            })
        };
        let readable = (stat.mode & 0o400 == 0).then_some(stat.mode | 0o400);
        let fix = match scene.options.is_root && is_only_reader {
            true => given(readable, Some(reader.uid)),
            false if reader.uid == stat.uid => given(readable, None),
            // What everybody may read must have a directory that is shut for them, or can be.
            false if stat.is_shut || directory.is_some() => given(Some(0o644), None),
            false => None,
        };
        let help = match (&fix, stat.is_shut) {
            _ if reader.uid == stat.uid => "Let its owner read it.".to_owned(),
            (Some(Fix::Access { owner: None, .. }), false) => {
                "Let others read it, and shut its directory for them with `chmod 700`.".to_owned()
            }
            (Some(Fix::Access { owner: None, .. }), true) => {
                "Let others read it: its directory is shut for everybody else on this machine.".to_owned()
            }
            (None, _) if is_only_reader => format!("Give it to that user as root, with `chown {}`.", reader.uid),
            (None, _) => "It has several readers, and its directory is not for secrets alone. Move it to a directory `secrets` of the project, let others read it there, and shut that directory with `chmod 700`.".to_owned(),
            _ => "Give it to that user.".to_owned(),
        };
        scene.add(
            file.finding(
                &SECRET_FILE_UNREADABLE,
                format!(
                    "`{}` runs as user {}, who cannot read {shown} (user {}, mode {:o})",
                    service.name, reader.uid, stat.uid, stat.mode
                ),
            )
            .help(help)
            .fix(fix),
        );
    }
}

fn content(scene: &mut Scene<'_>, file: &SecretFile<'_>) {
    let Some(edges) = scene.surroundings.edges(file.path) else {
        return;
    };
    let shown = scene.shown_path(file.path);
    if edges.is_blank {
        scene.add(file.finding(&SECRET_FILE_EMPTY, format!("{shown} is empty")));
        return;
    }
    let what = match (edges.is_led, edges.is_trailed) {
        _ if edges.is_document => return,
        (false, false) => return,
        (false, true) => "ends with a line end or other white space",
        (true, false) => "begins with white space",
        (true, true) => "begins and ends with white space",
    };
    let fix = Fix::Trim {
        path: file.path.to_owned(),
    };
    scene.add(
        file.finding(&SECRET_FILE_WHITESPACE, format!("{shown} {what}"))
            .help("Programs that take the file as it is take that for a part of the secret.")
            .fix(Some(fix)),
    );
}

fn age(scene: &mut Scene<'_>, file: &SecretFile<'_>, stat: &Stat) {
    let Some(limit) = scene.options.max_age else {
        return;
    };
    if stat.age > limit {
        let days = stat.age.as_secs() / 86_400;
        let shown = scene.shown_path(file.path);
        scene.add(
            file.finding(
                &SECRET_FILE_OLD,
                format!("{shown} was last changed {days} days ago"),
            )
            .help(format!("`locket rotate {}` changes it.", file.name())),
        );
    }
}

/// Files of variables with a credential, each with the place of its first one.
fn env_files(scene: &Scene<'_>) -> Vec<(PathBuf, Place, String)> {
    let project = scene.project;
    let mut found: Vec<(PathBuf, Place, String)> = Vec::new();
    for finding in &scene.found {
        if finding.rule.id != super::rules::ENV_FILE_CREDENTIAL.id {
            continue;
        }
        let path = &project.sources.get(finding.place.source).path;
        if !found.iter().any(|(known, ..)| known == path) {
            let name = scene.shown_path(path);
            found.push((path.clone(), finding.place, name));
        }
    }
    found
}

fn git(scene: &mut Scene<'_>, files: &[(PathBuf, Place, String)]) {
    let paths: Vec<_> = files.iter().map(|(path, ..)| path.clone()).collect();
    if paths.is_empty() {
        return;
    }
    let states = scene.surroundings.git(&paths);
    for ((path, place, name), state) in files.iter().zip(states) {
        let shown = scene.shown_path(path);
        match state {
            Git::Tracked => scene.add(
                Finding::new(
                    &SECRET_FILE_TRACKED,
                    *place,
                    name.clone(),
                    format!("git has {shown}"),
                )
                .fix(Some(Fix::Untrack { path: path.clone() })),
            ),
            Git::New => {
                let fix = ignore_line(&scene.project.directory, path);
                scene.add(
                    Finding::new(
                        &SECRET_FILE_UNIGNORED,
                        *place,
                        name.clone(),
                        format!("nothing keeps {shown} out of git"),
                    )
                    .fix(fix),
                );
            }
            Git::Outside | Git::Ignored => {}
        }
    }
}

/// The directory of secrets where it is one, else the file alone.
fn ignore_line(directory: &Path, path: &Path) -> Option<Fix> {
    let below = path.strip_prefix(directory).ok()?;
    let parent = below.parent()?;
    let line = match is_of_secrets(parent) {
        true => format!("/{}/", parent.display()),
        false => format!("/{}", below.display()),
    };
    Some(Fix::Ignore {
        file: directory.join(".gitignore"),
        line,
    })
}

/// The directory of the file at `path`, where it may be shut for everybody else: one of secrets, below the project's
/// own, wherever links lead. Others may need whatever else there is.
fn shuttable<'a>(scene: &Scene<'_>, path: &'a Path) -> Option<&'a Path> {
    let directory = path.parent()?;
    let project = scene.surroundings.real(&scene.project.directory);
    let real = scene.surroundings.real(directory);
    let below = real.strip_prefix(project).ok()?;
    let is_below = below
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    (is_below && is_of_secrets(below)).then_some(directory)
}

/// Whether the name of a directory shows that it is for secrets.
fn is_of_secrets(directory: &Path) -> bool {
    directory
        .file_name()
        .is_some_and(|name| name.to_string_lossy().contains("secret"))
}
