//! `locket migrate`: what Compose makes of a project is the same before and after, below `locket exec`.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Output;

use locket_testkit::services::Engine;

use super::{beside, compose, printed, said};
use crate::check::beside_compose::collected;
use crate::support::Scene;

/// Projects as people write them: the files of each.
const PROJECTS: &[(&str, &[(&str, &str)])] = &[
    (
        "map",
        &[(
            "compose.yaml",
            "services:\n  db:\n    image: postgres:17 # pinned\n    environment:\n      POSTGRES_USER: app\n      POSTGRES_PASSWORD: hunter2-canary # of the first day\n",
        )],
    ),
    (
        "list",
        &[(
            "docker-compose.yml",
            "version: '3'\nservices:\n  db:\n    image: mysql:8\n    environment:\n      - MYSQL_ROOT_PASSWORD=hunter2-canary\n      - \"MYSQL_PASSWORD=hunter3-canary\"\n      - MYSQL_USER=app\n",
        )],
    ),
    (
        "dotenv",
        &[
            (
                "compose.yaml",
                "services:\n  db:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD: ${DB_PASSWORD:?missing}\n  web:\n    image: shop\n    environment:\n      DB_PASSWORD: ${DB_PASSWORD}\n      PORT: ${PORT:-80}\n",
            ),
            (
                ".env",
                "# variables\nDB_PASSWORD='hunter2-canary $x' # quoted\nPORT=8080\n",
            ),
        ],
    ),
    (
        "address",
        &[(
            "compose.yaml",
            "services:\n  web:\n    image: shop\n    environment:\n      DATABASE_URL: postgres://app:hunter2-canary@db:5432/app?sslmode=disable\n      REDIS_URL: 'redis://:hunter3-canary@cache/0'\n",
        )],
    ),
    (
        "fallback",
        &[(
            "compose.yaml",
            "services:\n  web:\n    image: shop\n    environment:\n      SECRET_KEY: ${SECRET_KEY:-hunter2-canary}\n      LEVEL: ${LEVEL:-info}\n",
        )],
    ),
    (
        "anchors",
        &[(
            "compose.yaml",
            "x-common: &common\n  API_TOKEN: hunter2-canary\n  TZ: UTC\nservices:\n  a:\n    image: shop\n    environment:\n      <<: *common\n      NAME: a\n  b:\n    image: shop\n    environment:\n      <<: *common\n      NAME: b\n",
        )],
    ),
    (
        "files",
        &[
            (
                "compose.yaml",
                "services:\n  app:\n    image: shop\n    env_file:\n      - app.env\n      - path: other.env\n        required: false\n",
            ),
            (
                "app.env",
                "# the app's\nAPI_TOKEN=hunter2-canary\nLEVEL=debug\nSMTP_PASSWORD=\"hunter3-canary with spaces\"\n",
            ),
        ],
    ),
    (
        "command",
        &[(
            "compose.yaml",
            "services:\n  cache:\n    image: redis:7\n    command: [\"redis-server\", \"--requirepass\", \"hunter2-canary\"]\n  other:\n    image: redis:7\n    command: redis-server --requirepass hunter3-canary --save ''\n",
        )],
    ),
    (
        "override",
        &[
            (
                "compose.yaml",
                "services:\n  db:\n    image: postgres\n    environment:\n      POSTGRES_PASSWORD: hunter2-canary\n",
            ),
            (
                "compose.override.yaml",
                "services:\n  db:\n    environment:\n      POSTGRES_PASSWORD: hunter3-canary\n      PGTZ: UTC\n",
            ),
        ],
    ),
    (
        "dollars",
        &[(
            "compose.yaml",
            "services:\n  a:\n    image: shop\n    environment:\n      API_KEY: hunter2-$$canary$$\n      MASTER_KEY: \"hunter3-\\\"quoted\\\"-canary\"\n      JWT_SECRET: 'hunter4-it''s-canary'\n    labels:\n      note: \"$$HOME stays\"\n",
        )],
    ),
    (
        "extends",
        &[
            (
                "compose.yaml",
                "services:\n  web:\n    extends:\n      file: base.yaml\n      service: base\n    environment:\n      NAME: web\n  jobs:\n    extends:\n      file: base.yaml\n      service: base\n",
            ),
            (
                "base.yaml",
                "services:\n  base:\n    image: shop\n    environment:\n      API_TOKEN: hunter2-canary\n",
            ),
        ],
    ),
    (
        "flow",
        &[(
            "compose.yaml",
            "services: {a: {image: shop, environment: {API_TOKEN: hunter2-canary, NAME: a}}}\n",
        )],
    ),
];

#[test]
fn a_migrated_project_is_the_same_one_below_exec() {
    let Some(engine) = Engine::shared() else { return };
    for (name, files) in PROJECTS {
        let scene = Scene::empty();
        for (file, text) in *files {
            scene.write(&format!("p/{file}"), text);
        }
        let directory = scene.path("p");
        let before = printed(&compose(engine, &directory, &["config"]));
        assert!(before.contains("hunter"), "{name}");
        let migrate = |words: &[&str]| {
            let words: Vec<_> = ["migrate"].iter().chain(words).copied().collect();
            beside(engine, &directory, &words)
                .env("XDG_STATE_HOME", scene.path("state"))
                .output()
                .unwrap()
        };
        let dry = migrate(&[]);
        assert!(dry.status.success(), "{name}: {}", said(&dry));
        assert!(
            said(&dry).contains("+++ ") && !said(&dry).contains("hunter"),
            "{name}: {}",
            said(&dry)
        );
        for (file, text) in *files {
            assert_eq!(
                scene.read(&format!("p/{file}")).as_deref(),
                Some(*text),
                "{name}: nothing was changed"
            );
        }
        let applied = migrate(&["--apply"]);
        assert!(applied.status.success(), "{name}: {}", said(&applied));
        assert!(
            said(&applied).contains("says the same as before") && !said(&applied).contains("hunter"),
            "{name}: {}",
            said(&applied)
        );
        // No file but the secrets and the backup holds a value; lines that were not about one are as they were.
        for (file, text) in *files {
            let now = scene.read(&format!("p/{file}")).unwrap();
            assert!(!now.contains("hunter"), "{name}: {now}");
            let untouched = text.lines().filter(|line| !line.contains("hunter"));
            for line in untouched {
                assert!(
                    now.lines().any(|other| other == line),
                    "{name}: {line} is gone\n{now}"
                );
            }
        }
        let docker = engine.docker().get_program().to_owned();
        let after = beside(engine, &directory, &["exec", "--env", ".env", "--"])
            .arg(docker)
            .args(["compose", "config"])
            .output()
            .unwrap();
        assert_eq!(printed(&after), before, "{name}");
        let kept = fs::read_dir(scene.path("state/locket/backups"))
            .unwrap()
            .flatten()
            .next()
            .unwrap()
            .path();
        for (file, text) in *files {
            let copy = kept.join(file);
            if text.contains("hunter") {
                assert_eq!(fs::read_to_string(copy).unwrap(), *text, "{name}");
            }
        }
        let again = migrate(&["--apply"]);
        assert!(
            said(&again).contains("no plain values were found"),
            "{name}: {}",
            said(&again)
        );
    }
}

#[test]
fn values_go_to_the_store_and_backups_never_into_a_repository() {
    let scene = Scene::empty();
    scene.write("p/.env", "API_TOKEN=hunter2-canary\n");
    scene.write(
        "p/compose.yaml",
        "services:\n  a:\n    image: shop\n    environment:\n      API_TOKEN: ${API_TOKEN}\n",
    );
    fs::create_dir(scene.path("p/.git")).unwrap();
    let tell = |words: &[&str]| {
        let mut command = scene.locket(words);
        command
            .current_dir(scene.path("p"))
            .env("HOME", scene.path("home"))
            .env("XDG_STATE_HOME", scene.path("state"));
        command.output().unwrap()
    };
    let refused = tell(&["migrate", "--apply", "--backup", "kept"]);
    assert!(
        refused.status.code() == Some(2) && said(&refused).contains("the backup would be in the repository"),
        "{}",
        said(&refused)
    );
    let early = tell(&["migrate", "--apply", "--to", "store"]);
    assert!(
        !early.status.success() && !said(&early).contains("hunter"),
        "{}",
        said(&early)
    );
    assert_eq!(
        scene.read("p/.env").as_deref(),
        Some("API_TOKEN=hunter2-canary\n")
    );
    assert!(tell(&["store", "init"]).status.success());
    let applied = tell(&["migrate", "--apply", "--to", "store", "--file", "compose.yaml"]);
    assert!(applied.status.success(), "{}", said(&applied));
    assert_eq!(
        scene.read("p/.env").as_deref(),
        Some("API_TOKEN={{ store://api_token }}\n")
    );
    assert_eq!(
        printed(&tell(&["env", "--env", ".env"])),
        "API_TOKEN=\"hunter2-canary\""
    );
    assert!(Path::new(&scene.path("state/locket/backups")).exists());
}

/// Migrates the project in `p`, with a home of its own.
fn apply(scene: &Scene) -> Output {
    let mut command = scene.locket(["migrate", "--apply", "--file", "compose.yaml"]);
    command
        .current_dir(scene.path("p"))
        .env("HOME", scene.path("home"))
        .env("XDG_STATE_HOME", scene.path("state"));
    command.output().unwrap()
}

#[test]
fn no_link_of_a_project_leads_migrate_to_files_of_another() {
    let compose = "services:\n  a: {image: shop, environment: {DB_PASSWORD: \"${DB_PASSWORD}\"}}\n";
    for (link, target) in [
        (".env", "../shared.env"),
        ("secrets", "../victim"),
        (".gitignore", "../victim/list"),
    ] {
        let scene = Scene::empty();
        let shared = "DB_PASSWORD=hunter2-canary\n";
        for (file, text) in [
            ("shared.env", shared),
            ("victim/list", "*.log\n"),
            ("p/compose.yaml", compose),
        ] {
            scene.write(file, text);
        }
        if link != ".env" {
            scene.write("p/.env", shared);
        }
        symlink(target, scene.path("p").join(link)).unwrap();
        let refused = apply(&scene);
        assert_eq!(refused.status.code(), Some(1), "{}", said(&refused));
        assert!(
            said(&refused).contains(&format!("{link} is a link")) && !said(&refused).contains("hunter"),
            "{}",
            said(&refused)
        );
        assert_eq!(scene.read("p/.env").as_deref(), Some(shared));
        assert_eq!(scene.read("victim/list").as_deref(), Some("*.log\n"));
        assert!(!scene.path("victim/db_password.txt").exists());
        assert!(
            !scene.path("state").exists(),
            "a backup of what was not going to be changed"
        );
        // A link that stays in the project is one of its files.
        fs::remove_file(scene.path("p").join(link)).unwrap();
        scene.write("p/variables", shared);
        let _ = fs::remove_file(scene.path("p/.env"));
        symlink("variables", scene.path("p/.env")).unwrap();
        let applied = apply(&scene);
        assert!(applied.status.success(), "{}", said(&applied));
        assert!(!scene.read("p/variables").unwrap().contains("hunter"));
    }
}

#[test]
fn every_file_has_a_copy_of_its_own_in_the_backup() {
    let scene = Scene::empty();
    scene.write(
        "p/compose.yaml",
        "services:\n  db: {image: db, env_file: db/app.env}\n  web: {image: web, env_file: web/app.env}\n",
    );
    let files = [
        ("db/app.env", "DB_PASSWORD=hunter2-canary\n"),
        ("web/app.env", "API_TOKEN='hunter3-\\'canary'\n"),
    ];
    for (file, text) in files {
        scene.write(&format!("p/{file}"), text);
    }
    let applied = apply(&scene);
    assert!(applied.status.success(), "{}", said(&applied));
    let kept = fs::read_dir(scene.path("state/locket/backups"))
        .unwrap()
        .flatten()
        .next()
        .unwrap()
        .path();
    for (file, text) in files {
        assert_eq!(fs::read_to_string(kept.join(file)).unwrap(), text, "{file}");
        assert!(!scene.read(&format!("p/{file}")).unwrap().contains("canary"));
    }
}

#[test]
fn the_files_are_as_they_were_when_compose_cannot_be_asked_a_second_time() {
    let scene = Scene::empty();
    let text = "services:\n  db: {image: db, environment: {DB_PASSWORD: hunter2-canary}}\n";
    scene.write("p/compose.yaml", text);
    scene.write(
        "bin/docker",
        "#!/bin/sh\n[ \"$2\" = version ] || rm \"$0\"\necho '{}'\n",
    );
    fs::set_permissions(scene.path("bin/docker"), Permissions::from_mode(0o755)).unwrap();
    let mut command = scene.locket(["migrate", "--apply"]);
    command
        .current_dir(scene.path("p"))
        .env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()))
        .env("HOME", scene.path("home"))
        .env("XDG_STATE_HOME", scene.path("state"));
    let failed = command.output().unwrap();
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    assert!(
        said(&failed).contains("docker cannot be run")
            && said(&failed).contains("The files are as they were."),
        "{}",
        said(&failed)
    );
    assert_eq!(scene.read("p/compose.yaml").as_deref(), Some(text));
    let left: Vec<_> = fs::read_dir(scene.path("p"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(left, ["compose.yaml"], "nothing that this run made");
}

#[test]
fn a_migration_that_fails_leaves_what_was_there_before_it() {
    let scene = Scene::empty();
    let text = "services:\n  db: {image: db, environment: {DB_PASSWORD: hunter2-canary, API_TOKEN: hunter3-canary}}\n";
    let files = [
        ("p/compose.yaml", text),
        ("p/secrets/api_token.txt", "another"),
        ("p/secrets/other.txt", "other"),
        ("p/.gitignore", "*.log\n"),
    ];
    for (file, text) in files {
        scene.write(file, text);
    }
    let failed = apply(&scene);
    assert!(
        said(&failed).contains("is there already with another value"),
        "{}",
        said(&failed)
    );
    for (file, text) in files {
        assert_eq!(scene.read(file).as_deref(), Some(text), "{file}");
    }
    for file in ["p/.env", "p/.dockerignore", "p/secrets/db_password.txt"] {
        assert_eq!(scene.read(file), None, "{file}");
    }
    // What is in the way is moved, and all of it comes about.
    fs::remove_file(scene.path("p/secrets/api_token.txt")).unwrap();
    let applied = apply(&scene);
    assert!(applied.status.success(), "{}", said(&applied));
    assert!(scene.read("p/secrets/db_password.txt").is_some() && scene.read("p/.dockerignore").is_some());
}

#[test]
fn a_file_of_variables_that_a_service_reads_itself_stays_and_is_told() {
    let scene = Scene::empty();
    scene.write("p/.env", "DB_PASSWORD=hunter2-canary\n");
    scene.write(
        "p/compose.yaml",
        "services:\n  a:\n    image: shop\n    env_file: .env\n",
    );
    let told = apply(&scene);
    assert!(told.status.success(), "{}", said(&told));
    assert!(
        said(&told).contains("DB_PASSWORD stays: a service reads .env itself (`env_file`)")
            && !said(&told).contains("hunter"),
        "{}",
        said(&told)
    );
    assert_eq!(
        scene.read("p/.env").as_deref(),
        Some("DB_PASSWORD=hunter2-canary\n")
    );
}

/// Whatever moves out of a project of others, Compose makes the same of it; what Compose does not accept by itself is left
/// out.
#[test]
fn projects_that_were_written_for_the_checks_are_the_same_below_exec_too() {
    let Some(engine) = Engine::shared() else { return };
    let (mut moved, mut refused) = (Vec::new(), Vec::new());
    for (name, files) in collected() {
        let scene = Scene::empty();
        for (file, text) in &files {
            scene.write(&format!("p/{file}"), text);
        }
        let directory = scene.path("p");
        let before = compose(engine, &directory, &["config"]);
        if !before.status.success() {
            continue;
        }
        let migrated = beside(engine, &directory, &["migrate", "--apply"])
            .env("XDG_STATE_HOME", scene.path("state"))
            .output()
            .unwrap();
        if said(&migrated).contains("no plain values were found") {
            continue;
        }
        if said(&migrated).contains("Nothing was changed.") {
            for (file, text) in &files {
                assert_eq!(scene.read(&format!("p/{file}")).as_deref(), Some(text.as_str()));
            }
            refused.push(name);
            continue;
        }
        assert!(migrated.status.success(), "{name}: {}", said(&migrated));
        assert!(
            said(&migrated).contains("says the same as before"),
            "{name}: {}",
            said(&migrated)
        );
        let docker = engine.docker().get_program().to_owned();
        let after = beside(engine, &directory, &["exec", "--env", ".env", "--"])
            .arg(docker)
            .args(["compose", "config"])
            .output()
            .unwrap();
        assert_eq!(printed(&after), printed(&before), "{name}");
        moved.push(name);
    }
    assert!(moved.len() >= 10, "only {moved:?}");
    // An override that resets what it overrides is not followed, nor a file that is read without any grammar.
    refused.sort();
    assert_eq!(refused, ["raw-env-file", "reset"]);
}
