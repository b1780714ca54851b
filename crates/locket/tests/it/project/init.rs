//! `locket init`.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use locket_testkit::services::Engine;

use super::{beside, compose, images, printed, said};
use crate::support::{Scene, locket};

/// Everything below `directory`: mode, owner, time of change, content.
fn everything(directory: &Path) -> BTreeMap<PathBuf, (u32, u32, i64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![directory.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let (path, there) = (entry.path(), entry.metadata().unwrap());
            let content = match there.is_file() {
                true => fs::read(&path).unwrap(),
                false => Vec::new(),
            };
            if there.is_dir() {
                open.push(path.clone());
            }
            found.insert(
                path,
                (
                    there.mode(),
                    there.uid(),
                    there.mtime_nsec() + there.mtime(),
                    content,
                ),
            );
        }
    }
    found
}

#[test]
fn the_set_up_of_the_guide_comes_from_one_command_in_an_empty_directory() {
    let Some(engine) = Engine::shared() else { return };
    let scene = Scene::empty();
    let made = beside(engine, scene.base(), &["init"]).output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    assert!(made.stdout.is_empty());
    assert_eq!(
        fs::metadata(scene.path("secrets")).unwrap().mode() & 0o7777,
        0o700
    );
    for (name, owner) in [
        ("postgres_password", 0),
        ("redis_password", 0),
        ("grafana_admin_password", 472),
    ] {
        let path = scene.path(&format!("secrets/{name}.txt"));
        let there = fs::metadata(&path).unwrap();
        assert_eq!((there.mode() & 0o7777, there.uid()), (0o600, owner), "{name}");
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(data_encoding::BASE64.decode(text.as_bytes()).unwrap().len(), 32);
        assert!(!said(&made).contains(&text));
    }
    for list in [".gitignore", ".dockerignore"] {
        assert_eq!(scene.read(list).as_deref(), Some("secrets/\n"));
    }
    assert!(said(&made).contains("Compose accepts it"), "{}", said(&made));
    let config = printed(&compose(engine, scene.base(), &["config"]));
    for line in [
        "POSTGRES_PASSWORD_FILE: /run/secrets/postgres_password",
        "GF_SECURITY_ADMIN_PASSWORD__FILE: /run/secrets/grafana_admin_password",
    ] {
        assert!(config.contains(line), "{config}");
    }
    let before = everything(scene.base());
    let again = beside(engine, scene.base(), &["init"]).output().unwrap();
    assert_eq!(said(&again), "everything is as it should be\n");
    assert_eq!(everything(scene.base()), before);
}

#[test]
fn a_docker_without_compose_checks_nothing_and_stops_nobody() {
    let scene = Scene::empty();
    scene.write(
        "bin/docker",
        "#!/bin/sh\necho \"unknown command: docker $1\" >&2\nexit 1\n",
    );
    fs::set_permissions(scene.path("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(scene.path("new")).unwrap();
    let mut init = scene.locket(["init"]);
    init.current_dir(scene.path("new"))
        .env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()));
    let made = init.output().unwrap();
    assert!(made.status.success(), "{}", said(&made));
    assert!(
        said(&made).contains("there is no Docker Compose to check it"),
        "{}",
        said(&made)
    );
    assert!(scene.path("new/secrets/postgres_password.txt").exists());
}

/// `locket init` in a new directory, where `docker` is this script; and that directory's override.
fn beside_docker(script: &str) -> (Output, Option<String>) {
    let scene = Scene::empty();
    scene.write("bin/docker", script);
    fs::set_permissions(scene.path("bin/docker"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(scene.path("new")).unwrap();
    let mut init = scene.locket(["init"]);
    init.current_dir(scene.path("new"))
        .env("PATH", format!("{}:/usr/bin:/bin", scene.path("bin").display()));
    (init.output().unwrap(), scene.read("new/compose.override.yaml"))
}

#[test]
fn a_docker_that_says_nothing_is_told_and_stops_nobody() {
    let (made, written) = beside_docker("#!/bin/sh\nexec tail -f /dev/null\n");
    assert!(made.status.success(), "{}", said(&made));
    let told = "docker did not answer within 5s, so Compose has not checked it";
    assert!(said(&made).contains(told), "{}", said(&made));
    assert!(
        !said(&made).contains("there is no Docker Compose"),
        "{}",
        said(&made)
    );
    assert!(written.is_some());
}

#[test]
fn an_override_that_compose_cannot_be_asked_about_is_taken_back() {
    // It has Compose, and is gone before it is asked anything else.
    let script = "#!/bin/sh\n[ \"$1\" = compose ] && rm \"$0\"\nexit 0\n";
    let (made, written) = beside_docker(script);
    assert_eq!(made.status.code(), Some(1), "{}", said(&made));
    assert!(
        said(&made).contains("docker cannot be run") && said(&made).contains("The override was taken back."),
        "{}",
        said(&made)
    );
    assert_eq!(written, None);
}

#[test]
fn no_link_of_a_project_leads_init_to_another_directory() {
    for (link, target) in [("secrets", "../victim"), (".gitignore", "../victim/list")] {
        let scene = Scene::empty();
        scene.write("victim/list", "*.log\n");
        fs::set_permissions(scene.path("victim"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(scene.path("project")).unwrap();
        symlink(target, scene.path("project").join(link)).unwrap();
        let before = everything(scene.base());
        for words in [&["init", "--dry-run"][..], &["init"]] {
            let mut init = scene.locket(words);
            init.current_dir(scene.path("project")).env("PATH", "/none");
            let refused = init.output().unwrap();
            assert_eq!(refused.status.code(), Some(1), "{words:?}: {}", said(&refused));
            assert!(
                said(&refused).contains(&format!("{link} is a link")),
                "{words:?}: {}",
                said(&refused)
            );
            assert_eq!(everything(scene.base()), before, "{words:?}");
        }
    }
}

#[test]
fn nobody_waits_for_a_pipe_in_the_place_of_a_file() {
    let compose = "services:\n  a:\n    image: shop\n    env_file: app.env\n";
    for pipe in ["compose.yaml", ".env", "app.env"] {
        let scene = Scene::empty();
        for (file, text) in [("compose.yaml", compose), (".env", "A=1\n"), ("app.env", "B=1\n")] {
            if file != pipe {
                scene.write(file, text);
            }
        }
        assert!(
            Command::new("mkfifo")
                .arg(scene.path(pipe))
                .status()
                .unwrap()
                .success()
        );
        for command in ["init", "migrate"] {
            let mut limited = Command::new("/usr/bin/timeout");
            limited.arg("20").arg(locket().get_program()).arg(command);
            let ended = limited.current_dir(scene.base()).env("PATH", "/none").output();
            let ended = ended.unwrap();
            assert_ne!(ended.status.code(), Some(124), "{command} waits for {pipe}");
            // Who needs nothing of `.env` goes on without it, as beside one that cannot be read.
            let is_told = said(&ended).contains("it is no regular file");
            assert!(
                is_told || (command == "init" && pipe == ".env"),
                "{command}, {pipe}: {}",
                said(&ended)
            );
        }
    }
}

#[test]
fn a_dry_run_tells_of_every_file_that_a_run_makes_or_changes() {
    let scene = Scene::empty();
    scene.write(
        "compose.yaml",
        "services:\n  a:\n    image: postgres\n    environment: {POSTGRES_PASSWORD: hunter2}\n",
    );
    scene.write(".gitignore", "*.log");
    let init = |words: &[&str]| {
        let words = ["init", "--also", "session_key"].iter().chain(words);
        said(&scene.locket(words).env("PATH", "/none").output().unwrap())
    };
    let before = everything(scene.base());
    let dry = init(&["--dry-run"]);
    assert_eq!(everything(scene.base()), before, "{dry}");
    init(&[]);
    let after = everything(scene.base());
    let made = after
        .iter()
        .filter(|(path, file)| before.get(*path) != Some(file));
    let made: Vec<_> = made.map(|(path, _)| path.display().to_string()).collect();
    for name in [
        ".gitignore",
        ".dockerignore",
        "session_key",
        "postgres_password",
        "override",
    ] {
        assert!(made.iter().any(|path| path.contains(name)), "{name}: {made:?}");
        assert!(dry.contains(name), "{name}: {dry}");
    }
    let files = fs::read_dir(scene.path("secrets")).unwrap().count();
    assert_eq!(dry.matches("would make").count(), files, "{dry}");
    assert_eq!(init(&["--dry-run"]), "everything is as it should be\n");
}

#[test]
fn a_directory_that_others_look_into_is_told_before_it_is_shut() {
    let scene = Scene::empty();
    fs::create_dir(scene.path("secrets")).unwrap();
    fs::set_permissions(scene.path("secrets"), fs::Permissions::from_mode(0o755)).unwrap();
    let init = |words: &[&str]| {
        let mut init = scene.locket(["init"].iter().chain(words));
        said(&init.env("PATH", "/none").output().unwrap())
    };
    let told = "would make secrets/ its owner's alone, whose mode is 755\n";
    let dry = init(&["--dry-run"]);
    assert!(dry.contains(told), "{dry}");
    init(&[]);
    let dry = init(&["--dry-run"]);
    assert!(!dry.contains(told), "{dry}");
}

#[test]
fn containers_read_their_secrets_whether_they_run_as_root_or_not() {
    let Some(engine) = Engine::shared() else { return };
    let Some(()) = images::redis(engine) else { return };
    images::grafana(engine);
    let scene = Scene::empty();
    let made = beside(
        engine,
        scene.base(),
        &["init", "--with", "redis", "--with", "grafana"],
    )
    .output()
    .unwrap();
    assert!(made.status.success(), "{}", said(&made));
    let text = scene.read("compose.yaml").unwrap();
    let apart = text.replace("    restart: unless-stopped\n", "    network_mode: none\n");
    scene.write("compose.yaml", apart + "name: locket-init\n");
    let up = compose(engine, scene.base(), &["up", "--detach", "--wait", "redis"]);
    assert!(
        up.status.success(),
        "{}{}",
        said(&up),
        said(&compose(engine, scene.base(), &["logs"]))
    );
    let value = |name: &str| scene.read(&format!("secrets/{name}.txt")).unwrap();
    // Healthy means that the health check logged in with the file. Without it the server refuses.
    let ping = printed(&compose(
        engine,
        scene.base(),
        &["exec", "-T", "redis", "redis-cli", "ping"],
    ));
    assert!(ping.contains("NOAUTH"), "{ping}");
    let processes = printed(&compose(
        engine,
        scene.base(),
        &["exec", "-T", "redis", "ps", "-o", "args"],
    ));
    assert!(processes.contains("redis-server"), "{processes}");
    let id = printed(&compose(engine, scene.base(), &["ps", "--quiet", "redis"]));
    let inspected = engine.run(&["inspect", &id]);
    for text in [&processes, &inspected] {
        assert!(!text.contains(&value("redis_password")), "{text}");
    }
    let read = |service: &str, user: &str, name: &str| {
        let path = format!("/run/secrets/{name}");
        let words = [
            "run",
            "--rm",
            "--no-deps",
            "-T",
            "--user",
            user,
            "--entrypoint",
            "cat",
            service,
            &path,
        ];
        compose(engine, scene.base(), &words)
    };
    assert_eq!(
        printed(&read("grafana", "472", "grafana_admin_password")),
        value("grafana_admin_password")
    );
    assert_eq!(
        printed(&read("redis", "0", "redis_password")),
        value("redis_password")
    );
    assert!(
        !read("grafana", "4242", "grafana_admin_password").status.success(),
        "nobody else reads it"
    );
    compose(engine, scene.base(), &["down", "--volumes", "--timeout", "0"]);
}

#[test]
fn plain_values_of_a_project_move_into_files_and_nothing_else_changes() {
    let Some(engine) = Engine::shared() else { return };
    let scene = Scene::empty();
    let text = "# mine\nservices:\n  db:\n    image: postgres:17\n    environment:\n      - POSTGRES_PASSWORD=${DB_PASSWORD}\n      - POSTGRES_USER=app\n  feeds:\n    image: miniflux/miniflux\n    environment:\n      DATABASE_URL: postgres://app:${DB_PASSWORD}@db/app\n";
    scene.write("docker-compose.yml", text);
    scene.write(".env", "DB_PASSWORD=hunter2-canary\n");
    scene.write(".gitignore", "target");
    let made = beside(engine, scene.base(), &["init"]).output().unwrap();
    assert!(
        made.status.success() && !said(&made).contains("hunter2"),
        "{}",
        said(&made)
    );
    assert_eq!(scene.read("docker-compose.yml").as_deref(), Some(text));
    assert_eq!(
        scene.read("secrets/postgres_password.txt").as_deref(),
        Some("hunter2-canary")
    );
    assert_eq!(
        scene.read("secrets/miniflux_database_url.txt").as_deref(),
        Some("postgres://app:hunter2-canary@db/app")
    );
    assert_eq!(
        scene.read("secrets/miniflux_database_url.tmpl").as_deref(),
        Some("postgres://app:{{ file://secrets/postgres_password.txt | url }}@db/app")
    );
    assert_eq!(scene.read(".gitignore").as_deref(), Some("target\nsecrets/\n"));
    let config = printed(&compose(engine, scene.base(), &["config"]));
    assert!(!config.contains("hunter2"), "{config}");
    assert!(
        config.contains("DATABASE_URL_FILE: /run/secrets/miniflux_database_url"),
        "{config}"
    );
    // What somebody edits stays, and is told of.
    let edited = scene.read("docker-compose.override.yml").unwrap() + "# by hand\n";
    scene.write("docker-compose.override.yml", &edited);
    scene.write(
        "docker-compose.yml",
        text.replace("POSTGRES_USER=app", "POSTGRES_USER=other")
            .replace("db:\n", "data:\n"),
    );
    let again = beside(engine, scene.base(), &["init"]).output().unwrap();
    assert!(said(&again).contains("edited by hand"), "{}", said(&again));
    assert_eq!(
        scene.read("docker-compose.override.yml").as_deref(),
        Some(edited.as_str())
    );
}

#[test]
fn every_answer_of_the_guided_way_is_a_flag_and_needs_no_terminal() {
    let scene = Scene::empty();
    scene.write(
        "compose.yaml",
        "services:\n  a:\n    image: postgres\n    environment: {POSTGRES_PASSWORD: hunter2}\n  b:\n    image: grafana/grafana\n    environment: {GF_SECURITY_ADMIN_PASSWORD: hunter3}\n  c:\n    image: nextcloud\n    environment: {SMTP_PASSWORD: hunter4}\n",
    );
    let tell = |words: &[&str]| scene.locket(["init"].iter().chain(words)).output().unwrap();
    let dry = tell(&["--dry-run"]);
    assert!(
        said(&dry).contains("would make secrets/smtp_password.txt"),
        "{}",
        said(&dry)
    );
    assert!(!scene.path("secrets").exists());
    let words = [
        "--guided",
        "--service",
        "a",
        "--service",
        "b",
        "--new",
        "postgres_password",
        "--skip",
        "grafana_admin_password",
        "--also",
        "session_key",
    ];
    let told = tell(&words);
    assert!(
        told.status.success() && said(&told).contains("Each secret gets a file of its own"),
        "{}",
        said(&told)
    );
    assert_ne!(scene.read("secrets/postgres_password.txt").unwrap(), "hunter2");
    assert!(scene.path("secrets/session_key.txt").exists());
    for left in ["grafana_admin_password", "smtp_password"] {
        assert!(!scene.path(&format!("secrets/{left}.txt")).exists(), "{left}");
    }
    let named = tell(&["--file", "compose.yaml"]);
    assert!(
        said(&named).contains("COMPOSE_FILE=compose.yaml:compose.secrets.yaml"),
        "{}",
        said(&named)
    );
    let elsewhere = tell(&["new/place", "--with", "redis"]);
    assert!(elsewhere.status.success(), "{}", said(&elsewhere));
    assert!(
        scene
            .read("new/place/compose.yaml")
            .unwrap()
            .contains("redis:7-alpine")
    );
    for (words, told) in [
        (&["--service", "bb"][..], "the project has no service `bb`"),
        (&["--with", "redis"], "there is a Compose file already"),
        (&["--also", "../x"], "is not the name of a secret"),
        (&["other", "--with", "reddis"], "Did you mean `redis`?"),
    ] {
        let refused = tell(words);
        assert!(
            refused.status.code() == Some(2) && said(&refused).contains(told),
            "{words:?} {}",
            said(&refused)
        );
    }
}
