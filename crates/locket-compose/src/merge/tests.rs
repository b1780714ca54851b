use crate::load::tests::{Disk, project};

#[test]
fn variables_of_both_forms_are_merged_by_name() {
    let project = project(&[
        (
            "compose.yaml",
            "services: {a: {image: x, environment: [A=1, B=2, C]}}",
        ),
        (
            "compose.override.yaml",
            "services: {a: {environment: {B: 3, D: 4}}}",
        ),
    ]);
    let variables: Vec<_> = project.services[0]
        .environment
        .iter()
        .map(|variable| {
            (
                variable.name.as_str(),
                variable.value.as_ref().map(|text| text.value.as_str()),
            )
        })
        .collect();
    assert_eq!(
        variables,
        [("A", Some("1")), ("B", Some("3")), ("C", None), ("D", Some("4"))]
    );
}

#[test]
fn what_has_the_same_target_counts_once_and_the_later_one() {
    let project = project(&[
        (
            "compose.yaml",
            "services: {a: {image: x, volumes: ['./a:/d', 'vol:/e'], secrets: [s, t], command: [a], cap_add: [X]}}",
        ),
        (
            "compose.override.yaml",
            "services: {a: {volumes: ['./b:/d/'], secrets: [{source: u, target: /run/secrets/s}], command: b c, cap_add: [X]}}",
        ),
    ]);
    let service = &project.services[0];
    let targets: Vec<_> = service
        .volumes
        .iter()
        .map(|mount| mount.target.as_str())
        .collect();
    assert_eq!(targets, ["/d", "/e"]);
    let sources: Vec<_> = service
        .secrets
        .iter()
        .map(|grant| grant.source.as_str())
        .collect();
    assert_eq!(sources, ["u", "t"]);
    assert_eq!(service.command.as_ref().unwrap().text(), "b c");
}

#[test]
fn reset_removes_and_override_replaces() {
    let disk = Disk::of(&[
        (
            "compose.yaml",
            "services: {a: {image: x, environment: {A: 1}, secrets: [s], command: c}}\nsecrets: {s: {file: s}}",
        ),
        (
            "compose.override.yaml",
            "services:\n  a:\n    environment: !override {B: 2}\n    secrets: !reset []\n    command: !reset null\n",
        ),
    ]);
    let project = disk.load().unwrap();
    let service = &project.services[0];
    assert_eq!(service.environment.len(), 1);
    assert_eq!(service.environment[0].name, "B");
    assert!(service.secrets.is_empty() && service.command.is_none());
}
