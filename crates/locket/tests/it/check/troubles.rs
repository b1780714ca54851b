//! Each trouble of the guide is a finding, and what the finding shows puts it right: the command by hand, and `--fix`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use locket_testkit::services::Engine;
use rustix::process::geteuid;
use serde_json::Value;

use super::{by_hand, check, findings, ids, mode, open_scene};
use crate::support::Scene;

/// The project of the guide, as far as secrets go.
const PROJECT: &str = "\
services:
  postgres:
    image: postgres:16
    secrets: [postgres_password]
    environment:
      - POSTGRES_USER=${POSTGRES_USER:-security}
      - POSTGRES_PASSWORD_FILE=/run/secrets/postgres_password
  grafana:
    image: grafana/grafana
    secrets: [grafana_admin_password]
    environment:
      GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/grafana_admin_password
secrets:
  postgres_password:
    file: ./secrets/postgres_password.txt
  grafana_admin_password:
    file: ./secrets/grafana_admin_password.txt
";

const POSTGRES: &str = "secrets/postgres_password.txt";
const GRAFANA: &str = "secrets/grafana_admin_password.txt";

/// The guide's project with both files as they should be.
fn project() -> Scene {
    let scene = open_scene();
    scene.write("compose.yaml", PROJECT);
    scene.write(POSTGRES, "Vb8sKq2wLx9Z");
    scene.write(GRAFANA, "Lx9ZVb8sKq2w");
    // Grafana never is root.
    mode(&scene.path("secrets"), 0o700);
    mode(&scene.path(POSTGRES), 0o600);
    mode(&scene.path(GRAFANA), 0o644);
    assert!(findings(&scene, &[]).is_empty());
    scene
}

/// Does what the findings say: by hand on one project, and with `--fix` on another. Afterwards nothing is wrong.
fn both_ways(expected: &[&str], break_it: impl Fn(&Scene)) -> [Scene; 2] {
    let [by_hand_scene, fixed] = [project(), project()];
    break_it(&by_hand_scene);
    let found = findings(&by_hand_scene, &[]);
    assert_eq!(ids(&found), expected, "{found:#?}");
    for finding in &found {
        by_hand(&by_hand_scene, finding["command"].as_str().unwrap());
    }
    assert!(findings(&by_hand_scene, &[]).is_empty(), "by hand");
    break_it(&fixed);
    let found = findings(&fixed, &["--fix"]);
    assert!(found.is_empty(), "{found:#?}");
    [by_hand_scene, fixed]
}

fn bits(scene: &Scene, name: &str) -> u32 {
    fs::metadata(scene.path(name)).unwrap().permissions().mode() & 0o7777
}

#[test]
fn a_missing_secret_file_is_made_with_the_command_that_is_shown() {
    let scenes = both_ways(&["secret-file-missing", "secret-file-missing"], |scene| {
        fs::remove_dir_all(scene.path("secrets")).unwrap();
    });
    let mut values = Vec::new();
    for scene in &scenes {
        assert_eq!(bits(scene, "secrets"), 0o700);
        assert_eq!(bits(scene, POSTGRES), 0o600);
        for name in [POSTGRES, GRAFANA] {
            let value = scene.read(name).unwrap();
            assert_eq!(value.len(), 44, "32 bytes in base64, without a line end");
            values.push(value);
        }
    }
    values.sort();
    values.dedup();
    assert_eq!(values.len(), 4, "no two are the same");
}

#[test]
fn the_fix_follows_no_link_out_of_the_project() {
    let victim = "of-somebody-else\n";
    for (link, target) in [
        ("secrets", "../victim"),
        (GRAFANA, "../../victim/file"),
        (GRAFANA, "../../victim/none"),
    ] {
        let scene = open_scene();
        scene.write("victim/file", victim);
        mode(&scene.path("victim"), 0o755);
        mode(&scene.path("victim/file"), 0o644);
        scene.write("project/compose.yaml", PROJECT);
        let at = scene.path("project").join(link);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        symlink(target, &at).unwrap();
        let mut fix = scene.locket(["check", "--fix"]);
        let refused = fix.current_dir(scene.path("project")).output().unwrap();
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!(refused.status.code(), Some(1), "{said}");
        assert!(
            said.contains(&format!("{link} is a link that leads out of")) && said.contains("/victim"),
            "{said}"
        );
        // Whatever else is found is fixed.
        let is_made = scene.path("project").join(POSTGRES).exists();
        assert_eq!(is_made, link != "secrets", "{said}");
        assert_eq!(bits(&scene, "victim"), 0o755);
        assert_eq!(bits(&scene, "victim/file"), 0o644);
        assert_eq!(scene.read("victim/file").as_deref(), Some(victim));
        assert_eq!(fs::read_dir(scene.path("victim")).unwrap().count(), 1);
        assert_eq!(fs::read_link(&at).unwrap(), Path::new(target));
    }
}

#[test]
fn a_link_to_another_file_of_the_project_is_written_through() {
    let scene = project();
    scene.write("kept/file", "Lx9ZVb8sKq2w\n");
    mode(&scene.path("kept/file"), 0o600);
    mode(&scene.path("kept"), 0o700);
    fs::remove_file(scene.path(POSTGRES)).unwrap();
    symlink("../kept/file", scene.path(POSTGRES)).unwrap();
    assert!(findings(&scene, &["--fix"]).is_empty());
    assert_eq!(scene.read("kept/file").as_deref(), Some("Lx9ZVb8sKq2w"));
    assert!(scene.path(POSTGRES).is_symlink());
}

#[test]
fn what_somebody_else_gave_is_pasted_and_never_made_up() {
    let scene = open_scene();
    scene.write(
        "compose.yaml",
        "services: {a: {image: x, secrets: [stripe_api_key]}}\nsecrets: {stripe_api_key: {file: ./stripe}}\n",
    );
    let found = findings(&scene, &["--fix"]);
    assert_eq!(ids(&found), ["secret-file-missing"]);
    assert_eq!(found[0]["fixable"], false);
    assert!(scene.read("stripe").is_none());
    let command = found[0]["command"].as_str().unwrap();
    by_hand(&scene, &format!("echo given | {command}"));
    assert_eq!(scene.read("stripe").as_deref(), Some("given"));
    assert!(findings(&scene, &[]).is_empty());
}

#[test]
fn a_file_that_everybody_can_read_is_shut() {
    for scene in both_ways(&["secret-file-mode", "secret-file-mode"], |scene| {
        mode(&scene.path("secrets"), 0o755);
        mode(&scene.path(POSTGRES), 0o644);
    }) {
        assert!(
            bits(&scene, "secrets") == 0o700,
            "Grafana needs the mode of its file"
        );
        assert!(scene.read(POSTGRES).is_some());
    }
}

/// A project in the directory `app`, with one secret for each of `files`. Both of its services read them all, and
/// neither is whoever checks.
fn with_foreign_readers(files: &[&str]) -> Scene {
    let scene = open_scene();
    let names: Vec<_> = (0..files.len()).map(|at| format!("db_password_{at}")).collect();
    let names_list = names.join(", ");
    let mut text = format!(
        "services:\n  one: {{image: x, user: \"4321:4321\", secrets: [{names_list}]}}\n  two: {{image: x, user: \"4322:4322\", secrets: [{names_list}]}}\nsecrets:\n"
    );
    for (name, file) in names.iter().zip(files) {
        text += &format!("  {name}: {{file: {file}}}\n");
    }
    scene.write("app/compose.yaml", text);
    mode(&scene.path("app"), 0o755);
    for directory in ["app/secrets", "app/conf", "secrets"] {
        fs::create_dir_all(scene.path(directory)).unwrap();
        mode(&scene.path(directory), 0o755);
    }
    symlink("../secrets", scene.path("app/linked-secrets")).unwrap();
    scene
}

#[test]
fn no_directory_is_shut_but_the_projects_own_for_secrets() {
    let files = [
        "./secrets/pw",
        "./conf/pw",
        "./pw",
        "../secrets/pw",
        "./linked-secrets/other",
    ];
    let scene = with_foreign_readers(&files);
    for file in files {
        let file = format!("app/{file}");
        scene.write(&file, "Vb8sKq2wLx9Z");
        mode(&scene.path(&file), 0o644);
    }
    assert_eq!(ids(&findings(&scene, &["app"])), ["secret-file-mode"; 5]);
    let found = findings(&scene, &["--fix", "app"]);
    assert_eq!(ids(&found), ["secret-file-mode"; 4], "{found:#?}");
    for finding in &found {
        assert_eq!(finding["fixable"], false, "{finding:#?}");
    }
    assert_eq!(bits(&scene, "app/secrets"), 0o700);
    for directory in [".", "app", "app/conf", "secrets"] {
        assert_eq!(bits(&scene, directory), 0o755, "{directory}");
    }
    for file in files {
        assert_eq!(bits(&scene, &format!("app/{file}")), 0o644, "{file}");
    }
}

#[test]
fn a_new_file_is_open_for_others_only_where_its_directory_may_be_shut() {
    let scene = with_foreign_readers(&["./secrets/pw", "./conf/pw", "./linked-secrets/other"]);
    let found = findings(&scene, &["--fix", "app"]);
    assert_eq!(
        ids(&found),
        ["secret-file-unreadable", "secret-file-missing"],
        "{found:#?}"
    );
    assert_eq!(bits(&scene, "app/secrets"), 0o700);
    assert_eq!(bits(&scene, "app/secrets/pw"), 0o644);
    assert_eq!(bits(&scene, "app/conf"), 0o755);
    assert_eq!(bits(&scene, "app/conf/pw"), 0o600);
    // A link leads there, out of the project.
    assert_eq!(bits(&scene, "secrets"), 0o755);
    assert!(!scene.path("secrets/other").exists());
}

#[test]
fn a_file_stays_readable_for_a_service_whose_user_is_not_known() {
    let project = |user: &str| {
        format!(
            "services: {{a: {{image: my-app, {user}secrets: [one, two]}}}}\nsecrets: {{one: {{file: ./secrets/pw}}, two: {{file: ./conf/pw}}}}\n"
        )
    };
    let scene = |user: &str| {
        let scene = open_scene();
        scene.write("app/compose.yaml", project(user));
        for directory in ["app", "app/secrets", "app/conf"] {
            fs::create_dir_all(scene.path(directory)).unwrap();
            mode(&scene.path(directory), 0o755);
        }
        for file in ["app/secrets/pw", "app/conf/pw"] {
            scene.write(file, "Vb8sKq2wLx9Z");
            mode(&scene.path(file), 0o644);
        }
        scene
    };
    let bits_of = |scene: &Scene| {
        ["app/secrets", "app/secrets/pw", "app/conf", "app/conf/pw"].map(|name| bits(scene, name))
    };
    let unknown = scene("");
    let found = findings(&unknown, &["--fix", "app"]);
    assert_eq!(ids(&found), ["secret-file-mode"], "{found:#?}");
    assert!(
        found[0]["help"].as_str().unwrap().contains("`user:`"),
        "{found:#?}"
    );
    assert_eq!(bits_of(&unknown), [0o700, 0o644, 0o755, 0o644]);
    // Where it is known that nobody else reads them, the files themselves are shut.
    let known = scene("user: \"0\", ");
    assert!(findings(&known, &["--fix", "app"]).is_empty());
    assert_eq!(bits_of(&known), [0o755, 0o600, 0o755, 0o600]);
}

#[test]
fn a_file_that_lockets_own_image_cannot_read_is_found() {
    let scene = open_scene();
    scene.write(
        "compose.yaml",
        "services: {locket: {image: \"registry.example/locket:op\", secrets: [op_token]}}\nsecrets: {op_token: {file: ./secrets/token}}\n",
    );
    fs::create_dir_all(scene.path("secrets")).unwrap();
    mode(&scene.path("secrets"), 0o700);
    scene.write("secrets/token", "ops_Vb8sKq2wLx9Z");
    mode(&scene.path("secrets/token"), 0o600);
    let found = findings(&scene, &[]);
    assert_eq!(ids(&found), ["secret-file-unreadable"], "{found:#?}");
    assert!(found[0]["message"].as_str().unwrap().contains("65532"));
    assert!(findings(&scene, &["--fix"]).is_empty());
}

#[test]
fn a_new_file_for_ourselves_is_for_nobody_else() {
    for (user, expected) in [(geteuid().as_raw(), 0o600), (4321, 0o644)] {
        let scene = open_scene();
        scene.write(
            "compose.yaml",
            format!(
                "services: {{a: {{image: x, user: \"{user}\", secrets: [db_password]}}}}\nsecrets: {{db_password: {{file: ./secrets/pw}}}}\n"
            ),
        );
        assert!(findings(&scene, &["--fix"]).is_empty());
        // Root gives the file to its only reader.
        let is_given = geteuid().is_root() && expected == 0o644;
        let expected = if is_given { 0o400 } else { expected };
        assert_eq!(bits(&scene, "secrets/pw"), expected, "user {user}");
    }
}

#[test]
fn white_space_at_the_ends_is_removed_and_nothing_else_changes() {
    for scene in both_ways(&["secret-file-whitespace"], |scene| {
        scene.write(POSTGRES, "Vb8s Kq2w%Lx9Z\n");
        mode(&scene.path(POSTGRES), 0o600);
    }) {
        assert_eq!(scene.read(POSTGRES).as_deref(), Some("Vb8s Kq2w%Lx9Z"));
        assert_eq!(bits(&scene, POSTGRES), 0o600);
    }
}

#[test]
fn a_file_that_the_services_user_cannot_read_is_opened_to_that_user() {
    for scene in both_ways(&["secret-file-unreadable"], |scene| {
        mode(&scene.path(GRAFANA), 0o600);
    }) {
        let there = fs::metadata(scene.path(GRAFANA)).unwrap();
        let is_given = there.uid() == 472;
        assert_eq!(
            is_given,
            geteuid().is_root(),
            "as root it is given to Grafana's user"
        );
    }
}

#[test]
fn in_a_container_the_user_reads_the_secret_after_the_fix_and_not_before() {
    let Some(engine) = Engine::shared() else {
        return;
    };
    let scene = open_scene();
    let project = "\
name: locket-check-reader
services:
  app:
    image: busybox
    user: \"1000:1000\"
    network_mode: none
    command: [cat, /run/secrets/key]
    secrets: [key]
secrets:
  key:
    file: ./secrets/key
";
    scene.write("compose.yaml", project);
    scene.write("secrets/key", "container-reads-this");
    mode(&scene.path("secrets"), 0o700);
    mode(&scene.path("secrets/key"), 0o600);
    let read = || {
        let mut docker = engine.docker();
        let output = docker
            .args(["compose", "run", "--rm", "-T", "app"])
            .current_dir(scene.base())
            .output()
            .unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(!read().contains("container-reads-this"));
    assert_eq!(ids(&findings(&scene, &[])), ["secret-file-unreadable"]);
    assert!(findings(&scene, &["--fix"]).is_empty());
    assert_eq!(read(), "container-reads-this");
    let mut docker = engine.docker();
    let down = docker
        .args(["compose", "down", "--volumes"])
        .current_dir(scene.base())
        .output();
    assert!(down.unwrap().status.success());
}

#[test]
fn spellings_and_conditions_are_corrected_in_the_file_itself() {
    let scene = open_scene();
    let text = "\
services:
  grafana:
    image: grafana/grafana
    environment:
      - \"GF_SECURITY_ADMIN_PASSWORD_FILE=/run/secrets/pw\" # the guide says so
    secrets: [pw]
    depends_on:
      db: {condition: healthy}
  db: {image: example/db}
secrets:
  pw: {environment: PW}
";
    scene.write("compose.yaml", text);
    mode(&scene.path("compose.yaml"), 0o640);
    let found = findings(&scene, &[]);
    assert_eq!(ids(&found), ["file-variable-unread", "unknown-condition"]);
    assert!(findings(&scene, &["--fix"]).is_empty());
    let right = text
        .replace("PASSWORD_FILE", "PASSWORD__FILE")
        .replace("healthy", "service_healthy");
    assert_eq!(scene.read("compose.yaml").unwrap(), right);
    assert_eq!(bits(&scene, "compose.yaml"), 0o640);
}

#[test]
fn nothing_is_written_without_fix_and_no_value_is_ever_shown() {
    let scene = open_scene();
    let canary = "cAnArY-58c1e0";
    scene.write(
        "compose.yaml",
        format!(
            "services:\n  db:\n    image: postgres\n    environment: {{POSTGRES_PASSWORD: '{canary}', B_TOKEN: {canary}}}\n    command: [postgres, --password, {canary}]\n    env_file: a.env\n    secrets: [s]\nsecrets: {{s: {{file: ./s}}}}\n"
        ),
    );
    scene.write(
        "a.env",
        format!("DB_PASSWORD={canary}\nURL=postgres://u:{canary}@h/d\n"),
    );
    scene.write(".env", format!("API_TOKEN='{canary}'\n"));
    scene.write("s", format!("{canary}\n"));
    mode(&scene.path("s"), 0o644);
    let before = paths(scene.base());
    for form in ["text", "json", "sarif", "github"] {
        let output = check(&scene, &["--format", form, "--log-level", "trace"]);
        assert_eq!(output.status.code(), Some(1));
        for stream in [output.stdout, output.stderr] {
            let said = String::from_utf8_lossy(&stream);
            assert!(
                !said.contains(canary) && !said.contains("58c1e0"),
                "{form}: {said}"
            );
        }
    }
    // What cannot be parsed is shown without its values, too.
    scene.write(
        "compose.yaml",
        format!("services:\n  db:\n    environment:\n      P: \"{canary}\n"),
    );
    let output = check(&scene, &[]);
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("compose-mistake") && !said.contains(canary),
        "{said}"
    );
    assert_eq!(paths(scene.base()), before);
}

fn paths(directory: &Path) -> Vec<String> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    paths.sort();
    paths
}

#[test]
fn ages_count_from_the_last_change() {
    let scene = project();
    let file = fs::File::options()
        .write(true)
        .open(scene.path(POSTGRES))
        .unwrap();
    #[expect(clippy::disallowed_methods, reason = "the file's time is the system's")]
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(100 * 86_400);
    file.set_modified(old).unwrap();
    let found = findings(&scene, &["--max-age", "90d"]);
    assert_eq!(ids(&found), ["secret-file-old"]);
    assert!(found[0]["message"].as_str().unwrap().contains("100 days"));
    assert!(findings(&scene, &["--max-age", "101d"]).is_empty());
    let value: &Value = &found[0]["fixable"];
    assert_eq!(value, false);
}
