//! Projects in memory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use locket_core::Environment;

use super::*;
use crate::model::{Origin, Project};
use crate::place::join;

/// Files below `/p`.
pub(crate) struct Disk {
    files: BTreeMap<PathBuf, String>,
    environment: Environment,
}

impl Disk {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| (join(Path::new("/p"), Path::new(path)), (*text).to_owned()));
        Self {
            files: files.collect(),
            environment: Environment::default(),
        }
    }

    fn with(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment = variables.iter().copied().collect();
        self
    }

    pub(crate) fn load(&self) -> Result<Project, LoadError> {
        let request = Request {
            directory: "/p".into(),
            ..Request::default()
        };
        load(&request, self, &self.environment)
    }
}

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<String, Unreadable> {
        self.files.get(path).cloned().ok_or(Unreadable::Missing)
    }

    fn exists(&self, path: &Path) -> bool {
        self.files.contains_key(path)
    }
}

/// The project of these files, in which nothing is wrong.
pub(crate) fn project(files: &[(&str, &str)]) -> Project {
    sound(&Disk::of(files))
}

fn sound(disk: &Disk) -> Project {
    let project = disk.load().unwrap();
    assert!(project.mistakes.is_empty(), "{:?}", project.mistakes);
    project
}

fn value<'a>(project: &'a Project, service: &str, name: &str) -> Option<&'a str> {
    let variable = project.service(service)?.variable(name)?;
    variable.value.as_ref().map(|text| text.value.as_str())
}

#[test]
fn variables_come_from_the_environment_then_from_the_projects_file() {
    let compose =
        "services: {a: {image: 'x:${TAG}', environment: {A: '${A:-d}', B: '${B:-${C:-n}}', D: $$x, E: }}}";
    let project = sound(
        &Disk::of(&[("compose.yaml", compose), (".env", "TAG=1\nA=file\nE=e\n")]).with(&[("A", "process")]),
    );
    assert_eq!(project.services[0].image.as_ref().unwrap().value, "x:1");
    assert_eq!(value(&project, "a", "A"), Some("process"));
    assert_eq!(value(&project, "a", "B"), Some("n"));
    assert_eq!(value(&project, "a", "D"), Some("$x"));
    assert_eq!(value(&project, "a", "E"), Some("e"));
}

#[test]
fn an_extended_service_keeps_the_paths_of_its_own_file() {
    let project = project(&[
        (
            "compose.yaml",
            "services: {a: {extends: {file: sub/base.yaml, service: b}, env_file: own.env}}",
        ),
        (
            "sub/base.yaml",
            "services:\n  b: {extends: c, env_file: base.env}\n  c: {image: x, volumes: ['./d:/d']}\n",
        ),
        ("own.env", "A=own\n"),
        ("sub/base.env", "A=base\nB=base\n"),
    ]);
    assert_eq!(value(&project, "a", "A"), Some("own"));
    assert_eq!(value(&project, "a", "B"), Some("base"));
    let mounts = format!("{:?}", project.services[0].volumes[0].kind);
    assert!(mounts.contains("/p/sub/d"), "{mounts}");
}

#[test]
fn an_included_project_has_its_own_directory_and_variables() {
    let project = project(&[
        (
            "compose.yaml",
            "include: [sub/compose.yaml]\nservices: {a: {image: x, secrets: [s]}}\n",
        ),
        (
            "sub/compose.yaml",
            "services: {b: {image: 'y:${TAG}'}}\nsecrets: {s: {file: ./s.txt}}\n",
        ),
        ("sub/.env", "TAG=7\n"),
    ]);
    assert_eq!(project.service("b").unwrap().image.as_ref().unwrap().value, "y:7");
    match &project.secrets[0].origin {
        Origin::File { path, .. } => assert_eq!(path, Path::new("/p/sub/s.txt")),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_mistakes_are_told_at_once_and_the_rest_is_read() {
    let disk = Disk::of(&[(
        "compose.yaml",
        "services:\n  a: {image: x, env_file: no.env, environment: {A: '${A:?must}', B: '${'}}\n  b: 3\n  c: {extends: c}\n  d: {extends: nobody}\n",
    )]);
    let project = disk.load().unwrap();
    assert_eq!(project.mistakes.len(), 6, "{:?}", project.mistakes);
    assert_eq!(
        project.mistakes.iter().filter(|mistake| mistake.is_unset).count(),
        1
    );
    assert_eq!(project.services.len(), 3);
}

#[test]
fn circles_of_files_end() {
    let disk = Disk::of(&[
        ("compose.yaml", "include: [a.yaml]\nservices: {x: {image: x}}\n"),
        ("a.yaml", "include: [compose.yaml]\nservices: {y: {image: y}}\n"),
    ]);
    let project = disk.load().unwrap();
    assert_eq!(project.mistakes.len(), 1, "{:?}", project.mistakes);
    assert_eq!(project.services.len(), 2);
}

#[test]
fn files_that_each_include_the_next_twice_end_with_one_mistake() {
    let name = |number: usize| format!("{number}.yaml");
    let file = |number: usize| {
        let next = name(number + 1);
        format!("include: [{next}, {next}]\nservices: {{s{number}: {{image: x}}}}\n")
    };
    let mut files = vec![("compose.yaml".to_owned(), file(0))];
    files.extend((1..20).map(|number| (name(number), file(number))));
    files.push((name(20), "services: {last: {image: x}}\n".to_owned()));
    let files: Vec<_> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    let project = Disk::of(&files).load().unwrap();
    let messages: Vec<_> = project
        .mistakes
        .iter()
        .map(|mistake| mistake.diagnostic.message.as_str())
        .collect();
    assert_eq!(messages, ["this project includes files more than 1000 times"]);
    assert_eq!(project.services.len(), 21, "each is there all the same");
}

#[test]
fn files_are_found_as_compose_finds_them() {
    let disk = |files: &[(&str, &str)]| Disk::of(files);
    let service = "services: {a: {image: x}}";
    let more = "services: {b: {image: x}}";
    assert_eq!(
        disk(&[("x", "")]).load().unwrap_err(),
        LoadError::NoFile("/p".into())
    );
    let both = disk(&[
        ("docker-compose.yml", service),
        ("docker-compose.override.yml", more),
    ]);
    assert_eq!(sound(&both).services.len(), 2);
    let above = disk(&[("../compose.yaml", service)]);
    assert_eq!(sound(&above).directory, Path::new("/"));
    let named = disk(&[
        ("one.yaml", service),
        ("two.yaml", more),
        (".env", "COMPOSE_FILE=one.yaml:two.yaml\n"),
    ]);
    assert_eq!(sound(&named).services.len(), 2);
}
