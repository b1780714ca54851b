//! What is checked beside Compose files, and what git thinks.

use std::fs;
use std::process::Command;

use super::{by_hand, check, findings, git, ids, mode, open_scene};
use crate::support::Scene;

/// A project with one secret, in a work tree of git.
fn in_git() -> Option<Scene> {
    Command::new("git").arg("--version").output().ok()?;
    let scene = open_scene();
    scene.write(
        "compose.yaml",
        "services: {a: {image: x, secrets: [k]}}\nsecrets: {k: {file: ./secrets/k.txt}}\n",
    );
    scene.write("secrets/k.txt", "value");
    mode(&scene.path("secrets"), 0o700);
    mode(&scene.path("secrets/k.txt"), 0o600);
    git(&scene, &["init", "--quiet"]);
    Some(scene)
}

#[test]
fn what_git_would_add_is_ignored_by_the_fix() {
    let Some(scene) = in_git() else { return };
    assert_eq!(ids(&findings(&scene, &[])), ["secret-file-unignored"]);
    assert!(findings(&scene, &["--fix"]).is_empty());
    assert_eq!(scene.read(".gitignore").as_deref(), Some("/secrets/\n"));
    let Some(other) = in_git() else { return };
    let found = findings(&other, &[]);
    by_hand(&other, found[0]["command"].as_str().unwrap());
    assert!(findings(&other, &[]).is_empty());
}

#[test]
fn an_ignore_file_that_is_no_text_keeps_its_lines() {
    let Some(scene) = in_git() else { return };
    scene.write(".gitignore", b"/caf\xe9/\n*.log");
    assert_eq!(ids(&findings(&scene, &[])), ["secret-file-unignored"]);
    assert!(findings(&scene, &["--fix"]).is_empty());
    let after = fs::read(scene.path(".gitignore")).unwrap();
    assert_eq!(after, b"/caf\xe9/\n*.log\n/secrets/\n");
}

#[test]
fn what_git_has_is_told_and_left_to_a_person() {
    let Some(scene) = in_git() else { return };
    git(&scene, &["add", "."]);
    let found = findings(&scene, &["--fix"]);
    assert_eq!(ids(&found), ["secret-file-tracked"]);
    by_hand(&scene, found[0]["command"].as_str().unwrap());
    // Out of the index it would be added again.
    assert_eq!(ids(&findings(&scene, &[])), ["secret-file-unignored"]);
}

#[test]
fn no_program_of_the_repository_is_run() {
    let Some(scene) = in_git() else { return };
    let trap = format!("touch {}", scene.path("trapped").display());
    for key in [
        "core.fsmonitor",
        "core.sshCommand",
        "core.pager",
        "alias.ls-files",
    ] {
        git(&scene, &["config", key, &trap]);
    }
    assert_eq!(ids(&findings(&scene, &[])), ["secret-file-unignored"]);
    assert!(scene.read("trapped").is_none());
    // The trap is one: git itself springs it.
    let _ = Command::new("git")
        .arg("status")
        .current_dir(scene.base())
        .output();
    assert!(scene.read("trapped").is_some());
}

#[test]
fn templates_maps_env_files_and_the_configuration_are_checked_by_their_names() {
    let scene = open_scene();
    scene.write("app.conf", "a={{ store://fine }}\nb={{ stor://typo }}\n");
    scene.write(
        "app.env",
        "A={{ opp://a/b/c }}\nDB_PASSWORD=plainly-written\nOK={{ op://a/b/c }}\n",
    );
    scene.write(
        "map.csv",
        "bao://kv/app/key,/dev/shm/locket-x,0600,,\nboa://kv/app/key,/dev/shm/locket-y,0600,,\n",
    );
    scene.write("other.toml", "[run]\nmodee = \"park\"\n");
    let found = findings(&scene, &["app.conf", "app.env", "map.csv", "other.toml"]);
    let told: Vec<_> = found
        .iter()
        .map(|finding| {
            let of = |key: &str| finding[key].to_string();
            format!("{} {} {}", of("path"), of("line"), of("id"))
        })
        .collect();
    assert_eq!(
        told,
        [
            r#""app.conf" 2 "bad-reference""#,
            r#""app.env" 1 "bad-reference""#,
            r#""app.env" 2 "env-file-credential""#,
            r#""map.csv" 2 "bad-reference""#,
            r#""other.toml" 2 "configuration-mistake""#,
        ]
    );
    let output = check(&scene, &["app.conf", "app.env", "other.toml"]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(!said.contains("plainly-written"), "{said}");
    assert!(said.contains("Did you mean"), "{said}");
}

#[test]
fn an_output_on_a_disk_is_told_of_memory_that_can_be_had_wherever_it_is() {
    let scene = open_scene();
    scene.write(
        "map.csv",
        "env://A,/var/lib/locket-nowhere/a,0600,,\nenv://A,/dev/shm/locket-nowhere/a,0600,,\n",
    );
    let found = findings(&scene, &["map.csv"]);
    assert_eq!(ids(&found), ["output-on-disk"], "{found:#?}");
    let said = check(&scene, &["map.csv"]);
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(
        said.contains("`mount -t tmpfs -o mode=0755 tmpfs DIRECTORY`"),
        "{said}"
    );
}

#[test]
fn a_configuration_that_a_run_would_refuse_has_mistakes() {
    let scene = open_scene();
    scene.write("in/a", "a={{ op://prod/db/password }}\n");
    let found = |text: &str| {
        scene.write("run.toml", text);
        let found = findings(&scene, &["run.toml"]);
        let mistakes = found
            .iter()
            .filter(|found| found["id"] == "configuration-mistake");
        let messages = mistakes.map(|found| {
            assert_eq!(found["path"], "run.toml");
            found["message"].as_str().unwrap().to_owned()
        });
        messages.collect::<Vec<_>>()
    };
    let map = |source: &str, destination: &str| {
        format!("[[map]]\nsource = '{source}'\ndestination = '{destination}'\n")
    };
    let messages = found(&map("in", "out"));
    assert_eq!(
        messages, [""; 0],
        "whether a provider is set up is for --resolve to tell"
    );
    let atomic =
        map("in", "out") + "atomic = true\n[[secret]]\nname = 'x'\ntemplate = 'y'\n[run]\nout = 'out'\n";
    for (text, said) in [
        (map("nowhere", "out"), "cannot be found"),
        (map("in", "in/out"), "inside the source"),
        (atomic, "switched as a whole"),
    ] {
        let messages = found(&text);
        assert!(
            matches!(&messages[..], [one] if one.contains(said)),
            "{said}: {messages:?}"
        );
    }
    let elsewhere = found(&map("/nowhere/templates", "/nowhere/out"));
    assert_eq!(
        elsewhere, [""; 0],
        "what a container has there is not for this machine to tell"
    );
    fs::create_dir_all(scene.path("taken/a")).unwrap();
    let before = fs::metadata(scene.path("taken")).unwrap().modified().unwrap();
    assert_eq!(
        found(&map("in", "taken")).len(),
        1,
        "a directory has the output's name"
    );
    let after = fs::metadata(scene.path("taken")).unwrap().modified().unwrap();
    assert_eq!(before, after, "nothing is written");
}

#[test]
fn a_map_with_a_bad_line_has_its_other_references_checked() {
    let scene = open_scene();
    scene.write(
        "map.csv",
        "bao://kv/app/key,relative\nboa://kv/app/key,/dev/shm/locket-y\nbao://kv/app/key,/dev/shm/locket-z\n",
    );
    let found = findings(&scene, &["map.csv"]);
    let lines: Vec<_> = found.iter().map(|finding| finding["line"].as_u64()).collect();
    assert_eq!(lines, [Some(1), Some(2)], "{found:?}");
}

#[test]
fn resolve_asks_for_every_reference_and_tells_those_without_a_value() {
    let scene = open_scene();
    scene.write("secrets/there", "x");
    scene.write(
        "a.tmpl",
        "{{ file://secrets/there }} {{ file://secrets/not-there }}\n",
    );
    scene.write(
        "a.env",
        "A={{ file://secrets/there }}\nB={{ file://secrets/not-there }}\n",
    );
    assert!(findings(&scene, &["a.tmpl", "a.env"]).is_empty());
    let found = findings(&scene, &["a.tmpl", "a.env", "--resolve"]);
    assert_eq!(ids(&found), ["unresolved-reference"; 2], "{found:#?}");
    assert_eq!((&found[0]["line"], &found[0]["column"]), (&2.into(), &6.into()));
}

#[test]
fn a_directory_without_a_project_is_told_so() {
    let scene = open_scene();
    let output = check(&scene, &["in"]);
    assert_eq!(output.status.code(), Some(2));
    let output = check(&scene, &["nowhere.yaml"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("nowhere.yaml"));
}
